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
	maxChoices = 8  // numbers that a value may be one of
	maxDetour  = 16 // blocks to look at for one of them
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
	var ways [maxChoices][]ir.Edge
	for i, n := range numbers {
		m := t.known.mark()
		t.known.narrow(v, n, n)
		ways[i] = t.detour(b)
		t.known.back(m)
	}
	others := ways[1:len(numbers)]
	for _, e := range slices.Backward(ways[0]) {
		same := func(o ir.Edge) bool { return o.To() == e.To() && slices.Equal(o.PhiArgs(), e.PhiArgs()) }
		if !slices.ContainsFunc(others, func(w []ir.Edge) bool { return !slices.ContainsFunc(w, same) }) {
			return e, true
		}
	}
	return out, false
}

// detour returns the edges that control passes from b on, as far as that is
// known and nothing can fault.
func (t *threader) detour(b *ir.Block) []ir.Edge {
	var passed []ir.Edge
	for len(passed) < maxDetour && len(b.Phis) == 0 && t.harmless(b) {
		var out ir.Edge
		if i, ok := t.onlyWay(b); ok || b.Kind == ir.Jump {
			out = ir.Edge{From: b, Index: i}
		} else {
			break
		}
		t.budget--
		t.skip(b)
		passed = append(passed, out)
		b = out.To()
	}
	return passed
}
