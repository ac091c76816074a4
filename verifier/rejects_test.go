package verifier_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
)

var update = flag.Bool("update", false, "write the messages of rejected programs into testdata/verifier")

func program(p *programs.Program) *verifier.Program {
	return &verifier.Program{
		Name: p.Name, Type: p.Type, Insns: p.Insns, Maps: p.Maps, Absent: p.Absent, NotGPL: p.NotGPL, Egress: p.Egress,
		ContextSize: p.ContextSize,
	}
}

// TestTables holds the verifier to the verdicts of the tables, and to the
// messages that stand there.
func TestTables(t *testing.T) {
	messages := map[string]string{} // by name
	for _, p := range slices.Concat(programs.Rejects(), programs.Accepts(), programs.Bugs()) {
		proof, report := verifier.Verify(program(&p), verifier.Options{Strict: p.Strict})
		switch {
		case (proof == nil) == (report == nil):
			t.Errorf("%s: %s: proof %v and report %v", p.Where, p.Name, proof, report)
		case report == nil && p.Code != 0:
			t.Errorf("%s: %s: accepted, want V%03d", p.Where, p.Name, p.Code)
		case report != nil && report.Code != verifier.Code(p.Code):
			t.Errorf("%s: %s: V%03d at %d: %s, want V%03d", p.Where, p.Name, report.Code, report.Slot, report.Message, p.Code)
		case report != nil:
			got := fmt.Sprintf("at %d: %s", report.Slot, report.Message)
			messages[p.Name] = got
			if got != p.Message && !*update {
				t.Errorf("%s: %s: %s\nwant %s (-update records messages)", p.Where, p.Name, got, p.Message)
			}
		}
	}
	if *update {
		writeMessages(t, messages)
	}
}

// writeMessages writes messages into the files.
func writeMessages(t *testing.T, messages map[string]string) {
	t.Helper()
	files, err := filepath.Glob("../testdata/verifier/rejects/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, "../testdata/verifier/bugs.txt") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rewritten := programs.Rewrite(string(text), func(program string) string { return messages[program] })
		if err := os.WriteFile(name, []byte(rewritten), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
