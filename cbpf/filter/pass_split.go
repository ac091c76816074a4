package filter

import (
	"slices"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// Threading by cases. After "port 80" the IP protocol is one of SCTP, TCP and
// UDP, and the same three tests stand before "or port 443". None of them has a
// known outcome, but for each of the three numbers control gets to the test of
// the port.

const (
	maxChoices = 8 // numbers that a value may be one of
	maxDetour  = 8 // blocks to look at for one of them
)

// A join is what a block with several predecessors tells of a value.
type join struct {
	v       *ir.Value
	numbers []uint32
}

// joinOf recognises a block that is entered only where one value equals one
// number or another.
func joinOf(b *ir.Block) (j join, ok bool) {
	if len(b.Preds) < 2 || len(b.Preds) > maxChoices {
		return j, false
	}
	j.v = b.Preds[0].From.Cond.X
	for _, e := range b.Preds {
		c := e.From.Cond
		if e.From.Kind != ir.If || e.Index != 0 || c.Op != ir.Eq || c.X != j.v || c.Y.Op != ir.Const {
			return j, false
		}
	}
	for _, e := range b.Preds {
		j.numbers = append(j.numbers, e.From.Cond.Y.Const)
	}
	return j, true
}

// split returns an edge that control passes, having evaluated nothing that can
// fault, whichever of its choices the operand of b's condition is.
func (t *threader) split(b *ir.Block) (out ir.Edge, ok bool) {
	v := b.Cond.X
	numbers := t.known.choices[v]
	if len(numbers) == 0 || b.Cond.Y.Op != ir.Const {
		return out, false
	}
	var memory [maxDetour]ir.Edge
	first := t.detour(memory[:0], b, v, numbers[0], nil)
	meet := 0 // where on the first way the others have met it
	for _, n := range numbers[1:] {
		if meet, ok = t.meet(b, v, n, first, meet); !ok {
			return out, false
		}
	}
	for _, n := range numbers[1:] {
		if at, ok := t.meet(b, v, n, first[:meet+1], meet); !ok || at != meet {
			return out, false
		}
	}
	return first[meet], true
}

// meet returns the first place, from a given one on, at which the way that
// control takes if v is n joins the way first.
func (t *threader) meet(b *ir.Block, v *ir.Value, n uint32, first []ir.Edge, from int) (at int, ok bool) {
	if from >= len(first) {
		return 0, false
	}
	var memory [maxDetour]ir.Edge
	way := t.detour(memory[:0], b, v, n, first[from:])
	if len(way) == 0 {
		return 0, false
	}
	at = indexOfTarget(first[from:], way[len(way)-1])
	return from + at, at >= 0
}

// indexOfTarget finds an edge to the same block with the same phi arguments.
func indexOfTarget(edges []ir.Edge, e ir.Edge) int {
	return slices.IndexFunc(edges, func(o ir.Edge) bool {
		return o.To() == e.To() && slices.Equal(o.PhiArgs(), e.PhiArgs())
	})
}

// detour appends the edges that control passes from b on if v is n, as far as
// that is known and nothing can fault, but not beyond the target of an edge in
// end.
func (t *threader) detour(passed []ir.Edge, b *ir.Block, v *ir.Value, n uint32, end []ir.Edge) []ir.Edge {
	m := t.known.mark()
	defer t.known.back(m)
	t.known.narrow(v, n, n)
	for len(passed) < maxDetour && len(b.Phis) == 0 && t.harmless(b) {
		out := ir.Edge{From: b}
		if b.Kind != ir.Jump {
			way, ok := t.onlyWay(b)
			if !ok {
				break
			}
			out.Index = way
		}
		t.budget--
		t.skip(b)
		passed = append(passed, out)
		if indexOfTarget(end, out) >= 0 {
			break
		}
		b = out.To()
	}
	return passed
}
