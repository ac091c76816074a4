package verifier_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/verifier"
)

// TestDocs checks that docs/VERIFIER.md shows the report and the codes as they
// are.
func TestDocs(t *testing.T) {
	const name = "../docs/VERIFIER.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for _, part := range []struct{ before, after, want string }{
		{"r=0)`:\n\n```\n", "```\n\n- **The first line**", exampleReport(t)},
		{"the machine can stop a run that breaks them.\n\n", "", codeTable()},
	} {
		start := strings.Index(doc, part.before)
		if start < 0 {
			t.Fatalf("no %q in %s", part.before, name)
		}
		start += len(part.before)
		length := strings.Index(doc[start:], part.after)
		if part.after == "" {
			length = len(doc) - start
		}
		if got := doc[start : start+length]; got != part.want && !*update {
			t.Errorf("%s has another text behind %q (-update writes it):\n%s", name, part.before, part.want)
		}
		doc = doc[:start] + part.want + doc[start+length:]
	}
	if *update {
		if err := os.WriteFile(name, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func exampleReport(t *testing.T) string {
	for _, p := range rejectedC(t, "packet") {
		if p.Name == "variable_header" {
			_, r := verifier.Verify(p, verifier.Options{})
			return fmt.Sprintf("%+v", r)
		}
	}
	t.Fatal("no such program")
	return ""
}

// codeTable is the table of rules in Markdown.
func codeTable() string {
	var b strings.Builder
	b.WriteString("| code | | rule | the kernel says, for example |\n|---|---|---|---|\n")
	for _, r := range verifier.Rules() {
		witness := ""
		if r.Faults {
			witness = " W"
		}
		fmt.Fprintf(&b, "| %v%s | %s | %s | `%s` |\n", r.Code, witness, r.Title, r.Rule, strings.ReplaceAll(r.Kernel, "|", `\|`))
	}
	return b.String()
}
