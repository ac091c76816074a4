package filter

import (
	"math"
	"slices"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// group reorders tests that stand in a row and go to the same block if one of
// them hits, so that tests of one value follow each other and the value is
// loaded once: "host a or host b or host c" then compares the source with b
// and c and after that the destination, instead of taking turns.
//
// Tests may change places if none of them can fault, or if a hit rejects the
// packet as a fault would.
func group(f *ir.Func) bool {
	g := &grouper{threader: newThreader(f), calm: make([]bool, f.NumBlocks()), placed: make([]bool, f.NumBlocks())}
	g.walk(g.look)
	changed := false
	for _, b := range f.ReversePostorder() {
		if b.Kind == ir.If && !g.placed[b.ID] {
			changed = g.row(b) || changed
		}
	}
	return changed
}

type grouper struct {
	*threader
	calm   []bool // by block ID: what the block evaluates cannot fault there
	placed []bool // by block ID: is in a row already
}

// look notes whether b can fault.
func (g *grouper) look(b *ir.Block) {
	if b.Kind != ir.If && b.Kind != ir.Jump {
		return
	}
	g.enter(b)
	g.calm[b.ID] = g.harmless(b)
	for _, v := range b.Evals {
		g.known.evaluate(v)
	}
	if b.Kind == ir.If {
		g.known.evaluate(b.Cond.X)
		g.known.evaluate(b.Cond.Y)
	}
	g.nodes[b.ID].after = g.known.captured
}

// A moving is what moves from block to block.
type moving struct {
	cond ir.Cond
	hit  int // the way out that is a hit
	from origin.Set
}

// row orders the row of tests that starts with b.
func (g *grouper) row(b *ir.Block) bool {
	row, hit := g.rowFrom(b, 0)
	if other, h := g.rowFrom(b, 1); len(other) > len(row) {
		row, hit = other, h
	}
	for _, b := range row {
		g.placed[b.ID] = true
	}
	var before *ir.Value // the value tested before the row
	if len(row) > 0 && !g.movable(b, b.Succs[hit]) {
		before, row = b.Cond.X, row[1:]
	}
	if len(row) < 2 {
		return false
	}
	return g.arrange(row, b.Succs[hit], before)
}

// rowFrom returns the longest row of tests, all but the first of them movable,
// that starts with b and hits by way out number hit of b.
func (g *grouper) rowFrom(b *ir.Block, hit int) ([]*ir.Block, int) {
	target := b.Succs[hit]
	if len(target.Phis) > 0 {
		return nil, hit
	}
	row := []*ir.Block{b}
	for next := b.Succs[1-hit]; ; {
		if next.Kind != ir.If || len(next.Preds) != 1 || next.Succs[0] == next.Succs[1] ||
			!slices.Contains(next.Succs, target) || !g.movable(next, target) {
			return row, hit
		}
		row = append(row, next)
		next = next.Succs[1-slices.Index(next.Succs, target)]
	}
}

// movable reports whether b may change places with other tests whose hit leads
// to a target.
func (g *grouper) movable(b, target *ir.Block) bool {
	if len(b.Phis)+len(b.Evals) > 0 {
		return false
	}
	budget := maxLooks
	return g.calm[b.ID] ||
		target.Kind == ir.Reject && g.boundedAddresses(b.Cond.X, &budget) && g.boundedAddresses(b.Cond.Y, &budget)
}

// boundedAddresses reports whether no address under v can be large. A load at a
// base that can be stays behind the test of its size that lowering has put
// before it, for the sake of machines on which addresses wrap.
func (g *grouper) boundedAddresses(v *ir.Value, budget *int) bool {
	if *budget--; *budget < 0 {
		return false
	}
	if !v.CanFault() || v.Op == ir.Phi {
		return true
	}
	if v.Op == ir.Load && len(v.Args) > 0 && uint64(g.f.MaxOf(v.Args[0]))+uint64(v.Const) > math.MaxInt32-4 {
		return false
	}
	return !slices.ContainsFunc(v.Args, func(a *ir.Value) bool { return !g.boundedAddresses(a, budget) })
}

// arrange puts the tests of each value together, in the order in which the
// values appear, but those of the value tested before the row first.
func (g *grouper) arrange(row []*ir.Block, target *ir.Block, before *ir.Value) bool {
	rank := map[*ir.Value]int{before: 0}
	tests := make([]moving, len(row))
	for i, b := range row {
		tests[i] = moving{b.Cond, slices.Index(b.Succs, target), b.Origin}
		if _, ok := rank[b.Cond.X]; !ok {
			rank[b.Cond.X] = len(rank)
		}
	}
	byRank := func(a, b moving) int { return rank[a.cond.X] - rank[b.cond.X] }
	if slices.IsSortedFunc(tests, byRank) {
		return false
	}
	slices.SortStableFunc(tests, byRank)
	for i, b := range row {
		b.Cond, b.Origin = tests[i].cond, tests[i].from
		if b.Succs[tests[i].hit] != target {
			g.f.SwapSuccs(b)
		}
	}
	return true
}
