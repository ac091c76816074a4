package filter

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The golden files of the front end have blocks with blank lines between: the
// expression after "> ", then what comes of it. "go test -update" rewrites what
// comes of it.

// goldenBlocks yields the expression of each block, its line, and the rest.
func goldenBlocks(t testing.TB, file string, visit func(expr, line, rest string)) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
		line, rest, _ := strings.Cut(block, "\n")
		expr, ok := strings.CutPrefix(line, "> ")
		if !ok {
			t.Fatalf("%s: block %q does not begin with an expression", file, line)
		}
		visit(strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`).Replace(expr), line, rest)
	}
}

// golden checks every block of a file against what result says.
func golden(t *testing.T, file string, result func(expr string) string) {
	t.Helper()
	var out strings.Builder
	goldenBlocks(t, file, func(expr, line, want string) {
		got := strings.TrimSpace(result(expr))
		if got != strings.TrimSpace(want) {
			t.Errorf("%s: %q gives\n%s\nwant\n%s", file, expr, got, want)
		}
		fmt.Fprintf(&out, "%s\n%s\n\n", line, got)
	})
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTrees has expressions, their syntax trees, and their meaning.
func TestTrees(t *testing.T) {
	golden(t, "testdata/front/trees.txt", func(expr string) string {
		n, err := parse(expr)
		if err != nil {
			return fmt.Sprintf("%+v", err)
		}
		syntax := format(n)
		meaning, err := Expand(expr, BuiltinNames())
		if err != nil {
			return fmt.Sprintf("%+v", err)
		}
		return syntax + "\n" + meaning
	})
}

var hinted = regexp.MustCompile(`(?:write|says) "([^…]*?)"(?: |$)`)

// TestErrors has everything that is wrong with an expression, and where. What
// a hint says to write is accepted.
func TestErrors(t *testing.T) {
	golden(t, "testdata/front/errors.txt", func(expr string) string {
		_, err := Expand(expr, BuiltinNames())
		if err == nil {
			t.Errorf("%q is accepted", expr)
			return ""
		}
		text := fmt.Sprintf("%+v", err)
		if m := hinted.FindStringSubmatch(err.(*Error).Hint); m != nil {
			_, err := Expand(m[1], BuiltinNames())
			if unknown := (*UnknownNameError)(nil); err != nil && !errors.As(err, &unknown) {
				t.Errorf("%q: the hint %q: %v", expr, m[1], err)
			}
		}
		return text
	})
}
