package verifier_test

import (
	"os"
	"testing"
	"fmt"

	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
)

func TestZZ(t *testing.T) {
	f, _ := os.Create("/tmp/report-all.txt")
	for _, p := range append(programs.Rejects(), programs.Bugs()...) {
		_, r := verifier.Verify(program(&p), verifier.Options{Strict: p.Strict})
		if r != nil {
			fmt.Fprintf(f, "%+v\n------------------------\n", r)
		}
	}
}
