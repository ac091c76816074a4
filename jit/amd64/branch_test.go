package amd64_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/bpflab/bpflab/jit/amd64"
)

// A graph is code of jumps and fillers, written twice: by the assembler and as text
// for another one.
type graph struct {
	Assembler
	jumps []graphJump
	text  strings.Builder
}

// A graphJump is the place before a jump, and where it must lead.
type graphJump struct {
	pos    Pos
	target Label
}

func (g *graph) label(l Label) {
	g.Bind(l)
	fmt.Fprintf(&g.text, "L%d:\n", l)
}

// fill writes n bytes: ret, which has one.
func (g *graph) fill(n int) {
	for range n {
		g.Ret()
	}
	fmt.Fprintf(&g.text, ".fill %d, 1, 0xc3\n", n)
}

// jump writes jmp for a negative condition.
func (g *graph) jump(cond int, l Label) {
	g.jumps = append(g.jumps, graphJump{g.Pos(), l})
	if cond < 0 {
		g.Jmp(l)
		fmt.Fprintf(&g.text, "jmp L%d\n", l)
		return
	}
	g.Jcc(Cond(cond), l)
	fmt.Fprintf(&g.text, "j%s L%d\n", condNames[cond], l)
}

func (g *graph) lea(r Reg, l Label) {
	g.LeaLabel(r, l)
	fmt.Fprintf(&g.text, "lea %v, [rip+L%d]\n", r, l)
}

// finish returns the code after a look at where its jumps lead.
func (g *graph) finish(t *testing.T) Code {
	t.Helper()
	code, err := g.Finish()
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range g.jumps {
		offset := code.Offset(j.pos)
		if got, want := jumpTarget(code.Bytes, offset), code.LabelOffset(j.target); got != want {
			t.Fatalf("the jump at %#x leads to %#x, not %#x", offset, got, want)
		}
	}
	return code
}

// jumpTarget decodes the jump at an offset.
func jumpTarget(code []byte, offset int) int {
	b := code[offset:]
	long := func(size int) int { return offset + size + int(int32(binary.LittleEndian.Uint32(b[size-4:]))) }
	switch {
	case b[0] == 0xe9:
		return long(5)
	case b[0] == 0x0f && b[1]>>4 == 8:
		return long(6)
	case b[0] == 0xeb || b[0]>>4 == 7:
		return offset + 2 + int(int8(b[1]))
	}
	return -1
}

// TestBranchEdges: how far the short form reaches.
func TestBranchEdges(t *testing.T) {
	for _, test := range []struct {
		cond, between int
		back          bool
		size          int
	}{
		{-1, 0, false, 2}, {-1, 127, false, 2}, {-1, 128, false, 5}, {-1, 100000, false, 5},
		{4, 0, false, 2}, {4, 127, false, 2}, {4, 128, false, 6}, {4, 100000, false, 6},
		{-1, 0, true, 2}, {-1, 126, true, 2}, {-1, 127, true, 5}, {-1, 100000, true, 5},
		{15, 0, true, 2}, {15, 126, true, 2}, {15, 127, true, 6}, {15, 100000, true, 6},
	} {
		var g graph
		l := g.NewLabel()
		if test.back {
			g.label(l)
			g.fill(test.between)
			g.jump(test.cond, l)
		} else {
			g.jump(test.cond, l)
			g.fill(test.between)
			g.label(l)
		}
		code := g.finish(t)
		if size := len(code.Bytes) - test.between; size != test.size {
			t.Errorf("%+v: the jump has %d bytes", test, size)
		}
	}
}

// TestBranchToBranch: a long jump moves only labels behind it.
func TestBranchToBranch(t *testing.T) {
	var g graph
	near, far := g.NewLabel(), g.NewLabel()
	g.jump(4, near)
	g.fill(126)
	g.label(near)
	g.jump(4, far)
	g.jump(4, near)
	g.fill(128)
	g.label(far)
	if size, want := len(g.finish(t).Bytes), 2+126+6+2+128; size != want {
		t.Errorf("%d bytes, not %d", size, want)
	}
}

// TestBranchChain: jumps each of which reaches its label only while the next one
// (or the one before) is short. The last one is too far in any case, so all grow.
func TestBranchChain(t *testing.T) {
	const n = 50
	for _, far := range []int{0, 1} {
		for _, back := range []bool{false, true} {
			g := chain(n, far, back)
			grown := len(g.finish(t).Bytes) - int(g.Pos())
			if want := far * n * 4; grown != want {
				t.Errorf("far %d, back %t: the jumps grew by %d bytes, not %d", far, back, grown, want)
			}
		}
	}
}

// chain writes n jumps, each over the next one and exactly as far as the short
// form reaches, but for the last, which leads farther by far bytes. back turns
// the order of the code round.
func chain(n, far int, back bool) *graph {
	const before, after = 32, 61 // bytes around a label, between two jumps
	g := new(graph)
	var parts []func()
	labels := make([]Label, n)
	for i := range labels {
		labels[i] = g.NewLabel()
		parts = append(parts,
			func() { g.jump(4, labels[i]) },
			func() { g.fill(before) },
			func() {
				if i > 0 {
					g.label(labels[i-1])
				}
			},
			func() {
				if back {
					g.fill(after - 1) // a jump counts itself
				} else {
					g.fill(after)
				}
			})
	}
	parts = append(parts, func() { g.fill(127 - before - after + far) }, func() { g.label(labels[n-1]) })
	if back {
		slices.Reverse(parts)
	}
	for _, part := range parts {
		part()
	}
	return g
}

// randomGraph writes about n jumps among labels, and instructions between them.
func randomGraph(r *rand.Rand, n int) *graph {
	g := new(graph)
	labels := make([]Label, 1+r.IntN(n))
	for i := range labels {
		labels[i] = g.NewLabel()
	}
	next, reach := 0, 1+r.IntN(12)
	for range n {
		for next < len(labels) && r.IntN(n) < len(labels) {
			g.label(labels[next])
			next++
		}
		g.fill(r.IntN(40))
		near := labels[min(max(next+r.IntN(2*reach)-reach, 0), len(labels)-1)]
		if r.IntN(10) == 0 {
			g.lea(Reg(r.IntN(16)), near)
		}
		g.jump(r.IntN(24)-8, near)
	}
	for ; next < len(labels); next++ {
		g.label(labels[next])
	}
	return g
}

// TestBranchesLLVM compares random jumps with what LLVM's assembler makes of
// them. It finds the short forms by the same rule: all short at first.
func TestBranchesLLVM(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	var text strings.Builder
	var ours []byte
	for i := range 300 {
		g := randomGraph(r, 1+r.IntN(200))
		code := g.finish(t)
		ours = append(ours, code.Bytes...)
		text.WriteString(strings.ReplaceAll(g.text.String(), "L", fmt.Sprintf("L%d_", i)))
	}
	theirs := llvmAssemble(t, text.String())
	if !bytes.Equal(ours, theirs) {
		t.Errorf("%d bytes differ from the %d that LLVM makes", len(ours), len(theirs))
	}
}

func TestBranchTargets(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	for range 300 {
		randomGraph(r, 1+r.IntN(300)).finish(t)
	}
	long := randomGraph(r, 20000)
	code := long.finish(t)
	targets := make(map[int]bool)
	for l := range int(long.NewLabel()) {
		targets[code.LabelOffset(Label(l))] = true
	}
	for _, line := range Text(code.Bytes) {
		_, operand, _ := strings.Cut(line.Text, " 0x")
		var target int
		if line.Text[0] != 'j' {
			continue
		}
		if n, err := fmt.Sscanf(operand, "%x", &target); n != 1 || !targets[target] {
			t.Fatalf("%v: %v, not at a label", line, err)
		}
	}
}
