package verifier_test

import (
	"slices"
	"strings"
	"testing"

	programs "github.com/bpflab/bpflab/testdata/verifier"
)

// TestTablesInKernel asks the running kernel for its verdict on all programs of
// the tables.
func TestTablesInKernel(t *testing.T) {
	k := newReferee(t)
	for _, p := range slices.Concat(programs.Rejects(), programs.Accepts(), programs.Bugs()) {
		want := p.Code == 0
		switch verdict, _, _ := strings.Cut(p.Kernel, ":"); verdict {
		case "cannot":
			continue
		case "accepts":
			want = true
		case "rejects":
			want = false
		}
		accepted, err := k.load(program(&p), nil)
		switch {
		case err != nil:
			t.Errorf("%s: %s: %v", p.Where, p.Name, err)
		case accepted != want:
			t.Errorf("%s: %s: the kernel accepts: %v, the table says %v: %s", p.Where, p.Name, accepted, want, k.words(program(&p)))
		case testing.Verbose() && !accepted:
			t.Logf("%s: %s: V%03d: %s", p.Where, p.Name, p.Code, k.words(program(&p)))
		}
	}
}
