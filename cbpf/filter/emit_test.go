package filter

import (
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// graphShapes are the kinds of random graph that the tests use.
var graphShapes = []struct {
	name                  string
	graphs, blocks        int
	spread, depth, packet int
	crowd                 int // phis in a block
}{
	{"small", 3000, 8, 4, 2, 12, 0},
	{"phis", 3000, 12, 4, 2, 12, 2},
	{"many phis", 1000, 12, 3, 4, 12, 8},
	{"deep values", 300, 8, 3, 5, 20, 2},
	{"long jumps", 30, 1200, 600, 1, 60, 0},
	{"long jumps and phis", 30, 600, 100, 2, 60, 2},
}

// overGraphs calls test with the same random graph made twice, and packets.
func overGraphs(t *testing.T, test func(t *testing.T, f, g *ir.Func, packets []*testPacket)) {
	for _, s := range graphShapes {
		t.Run(s.name, func(t *testing.T) {
			for seed := range uint64(s.graphs) {
				makeGraph := func() (*ir.Func, *graphMaker) {
					g := &graphMaker{Rand: rand.New(rand.NewPCG(seed, 1)), spread: s.spread, depth: s.depth, phis: s.crowd > 0, crowd: s.crowd}
					return g.graph(s.blocks), g
				}
				f, maker := makeGraph()
				twin, _ := makeGraph()
				if err := f.Check(); err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, f)
				}
				packets := make([]*testPacket, s.packet)
				for i := range packets {
					packets[i] = maker.packet()
				}
				test(t, f, twin, packets)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func TestEmitRandomGraphs(t *testing.T) {
	overGraphs(t, func(t *testing.T, f, twin *ir.Func, packets []*testPacket) {
		prog, table, err := emit(twin, 1)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Msg != errScratch(&ir.Value{}).(*Error).Msg {
				t.Error(err)
			}
			return
		}
		if len(table) != len(prog) {
			t.Errorf("%d instructions with an origin, of %d", len(table), len(prog))
		}
		for _, p := range packets {
			want := interpret(f, p)
			checkProgram(t, prog, p, want)
		}
		if t.Failed() {
			t.Logf("from\n%s", f)
		}
	})
}

func checkProgram(t *testing.T, prog []bpf.RawInstruction, p *testPacket, want bool) {
	t.Helper()
	ret, err := runClassic(prog, p)
	if err == nil && len(prog) <= cbpf.MaxInstructions {
		err = cbpf.Check(prog)
	}
	if err != nil || ret != map[bool]uint32{true: 1}[want] {
		t.Errorf("program returns %d, %v, want match %v, for % x len %d meta %d", ret, err, want, p.data, p.len, p.meta)
		for i, ins := range prog {
			t.Logf("%3d %s", i, cbpf.Mnemonic(ins, i))
		}
	}
}
