package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// lists are the kinds of long filter that people write.
var lists = []struct {
	name string
	term func(i int) string
}{
	{"host", func(i int) string { return "host " + address(i) }},
	{"ip src host", func(i int) string { return "ip src host " + address(i) }},
	{"port", func(i int) string { return fmt.Sprintf("port %d", i) }},
	{"host and port", func(i int) string { return fmt.Sprintf("(host %s and tcp port %d)", address(i), i) }},
}

func address(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255) }

// listGraph returns the graph of a list of n terms.
func listGraph(t testing.TB, term func(i int) string, n int) *ir.Func {
	t.Helper()
	terms := make([]string, n)
	for i := range terms {
		terms[i] = term(i)
	}
	o := Options{LinkType: cbpf.LinkEthernet, Names: BuiltinNames()}
	tree, err := parse(strings.Join(terms, " or "))
	if err == nil {
		tree, err = resolve(tree, o.Names)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := lower(tree, &o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestThreadIsLinear counts the blocks that edges were led past, with lists of
// two lengths.
func TestThreadIsLinear(t *testing.T) {
	for _, l := range lists {
		spent := func(n int) int {
			f := listGraph(t, l.term, n)
			f.RemoveUnreachable()
			fold(f)
			th := newThreader(f)
			full := th.budget
			th.walk(th.visit)
			return full - th.budget
		}
		once, twice := spent(1000), spent(2000)
		t.Logf("%s: %d steps for 1000 terms, %d for 2000", l.name, once, twice)
		if twice > once*21/10 {
			t.Errorf("%s: %d steps for 1000 terms, %d for 2000", l.name, once, twice)
		}
	}
}

// TestLongLists: the program grows by so many instructions with each term, and
// few of them are jumps to jumps.
func TestLongLists(t *testing.T) {
	for i, perTerm := range []int{3, 1, 3, 13} {
		f := listGraph(t, lists[i].term, 2000)
		optimize(f)
		prog, _, err := emit(f, 1)
		if err != nil {
			t.Fatal(err)
		}
		jumps := 0
		for _, ins := range prog {
			if ins.Op == opJa {
				jumps++
			}
		}
		if len(prog)-jumps > perTerm*2000+50 || jumps > len(prog)/200 || jumps == 0 {
			t.Errorf("%s: %d instructions for 2000 terms, %d of them jumps", lists[i].name, len(prog), jumps)
		}
	}
}

// BenchmarkLongList has the time of the passes and of the emitter for 60 000
// terms; lowering is not measured.
func BenchmarkLongList(b *testing.B) {
	for _, l := range lists {
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				f := listGraph(b, l.term, 60_000)
				b.StartTimer()
				optimize(f)
				if _, _, err := emit(f, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
