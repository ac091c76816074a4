package filter

import (
	"testing"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// checkedPasses runs passes and the invariants after each.
func checkedPasses(t *testing.T, f *ir.Func, list []pass, disabled ...string) {
	t.Helper()
	runPasses(f, list, disabled, func(pass string) {
		if err := f.Check(); err != nil {
			t.Fatalf("after %s: %v\n%s", pass, err, f)
		}
	})
}

func TestOptimizeRandomGraphs(t *testing.T) {
	before, after := 0, 0
	overGraphs(t, func(t *testing.T, f, twin *ir.Func, packets []*testPacket) {
		was := f.String()
		want := make([]bool, len(packets))
		for i, p := range packets {
			want[i] = interpret(f, p)
		}
		checkedPasses(t, f, passes)
		for i, p := range packets {
			if interpret(f, p) != want[i] {
				t.Errorf("% x gives %v\nbefore:\n%s\nafter:\n%s", p.data, !want[i], was, f)
				return
			}
		}
		plain, _, err := emit(twin, 1)
		if err != nil {
			return
		}
		prog, _, err := emit(f, 1)
		if err != nil {
			return
		}
		before += len(plain)
		after += len(prog)
		for i, p := range packets {
			checkProgram(t, prog, p, want[i])
		}
	})
	t.Logf("%d instructions without passes, %d with them", before, after)
}
