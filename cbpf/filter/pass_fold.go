package filter

import (
	"math/bits"
	"slices"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// fold simplifies block by block: conditions get their plainest form, those
// that always have the same outcome become jumps, jumps through blocks that do
// nothing are shortened, and blocks in a row become one.
//
// A fault rejects the packet, so a block from where all ways lead to Reject
// does nothing either, whatever it evaluates.
func fold(f *ir.Func) bool {
	changed := false
	decide := decideAlone(f)
	order := f.ReversePostorder()
	for _, b := range order {
		b.Evals = slices.DeleteFunc(b.Evals, func(v *ir.Value) bool { return !v.CanFault() })
		if b.Kind != ir.If {
			continue
		}
		changed = plainCond(f, b) || changed
		if way, ok := onlyWay(b, decide); ok {
			f.KeepOnly(b, way)
			changed = true
		}
	}
	for _, b := range slices.Backward(order) {
		changed = skipEmpty(f, b) || changed
	}
	for _, b := range order {
		changed = absorbRow(f, b) || changed
	}
	if changed {
		f.RemoveUnreachable()
	}
	return changed
}

// onlyWay returns the way out of an If that is always taken, if it is known.
// decide tells of the condition alone.
func onlyWay(b *ir.Block, decide func(*ir.Block) (outcome, ok bool)) (way int, ok bool) {
	if b.Succs[0] == b.Succs[1] {
		t, f := ir.Edge{From: b, Index: 0}, ir.Edge{From: b, Index: 1}
		if slices.Equal(t.PhiArgs(), f.PhiArgs()) {
			return 0, true
		}
	}
	outcome, ok := decide(b)
	if outcome {
		return 0, ok
	}
	return 1, ok
}

// decideAlone decides conditions that have the same outcome wherever they
// stand.
func decideAlone(f *ir.Func) func(b *ir.Block) (outcome, ok bool) {
	bounds := func(v *ir.Value) (lo, hi uint32) {
		if v.Op == ir.Const {
			return v.Const, v.Const
		}
		return 0, f.MaxOf(v)
	}
	return func(b *ir.Block) (outcome, ok bool) { return decideByRange(b.Cond, bounds) }
}

// skipEmpty leads the edges into a block that only jumps to where it jumps.
func skipEmpty(f *ir.Func, b *ir.Block) bool {
	if b.Kind == ir.If && b.Succs[0].Kind == ir.Reject && b.Succs[1].Kind == ir.Reject {
		f.KeepOnly(b, 0)
	}
	if b.Kind != ir.Jump || len(b.Preds) == 0 {
		return false
	}
	if b.Succs[0].Kind == ir.Reject {
		b.Evals, b.Phis = nil, nil
	}
	if len(b.Evals)+len(b.Phis) > 0 {
		return false
	}
	out := ir.Edge{From: b}
	args := out.PhiArgs()
	for len(b.Preds) > 0 {
		f.Redirect(b.Preds[len(b.Preds)-1], out.To(), args...)
	}
	f.Disconnect(out)
	b.Succs = b.Succs[:0] // unreachable now
	return true
}

// absorbRow makes one block of b and the blocks after it that are reached from
// nowhere else.
func absorbRow(f *ir.Func, b *ir.Block) bool {
	var from []origin.Set
	for b.Kind == ir.Jump && len(b.Succs) > 0 {
		to := b.Succs[0]
		if len(to.Preds) != 1 || len(to.Phis) > 0 || to.Kind == ir.Accept || to.Kind == ir.Reject {
			break
		}
		from = append(from, to.Origin)
		f.Absorb(b)
	}
	if len(from) == 0 {
		return false
	}
	b.Origin = ir.Unite(append(from, b.Origin))
	return true
}

// plainCond gives a condition its plainest form, which is also the one that
// makes equal conditions equal: a constant stands right, and arithmetic that
// an equality can do without is undone.
func plainCond(f *ir.Func, b *ir.Block) bool {
	old := b.Cond
	for c := &b.Cond; ; {
		swap, again := plainStep(f, c)
		if swap {
			f.SwapSuccs(b)
		}
		if !again {
			return b.Cond != old
		}
	}
}

// plainStep changes c a little. It reports whether c is now to be negated, and
// whether it changed.
func plainStep(f *ir.Func, c *ir.Cond) (negate, again bool) {
	symmetric := c.Op == ir.Eq || c.Op == ir.Set
	constX, constY := c.X.Op == ir.Const, c.Y.Op == ir.Const
	switch {
	case symmetric && (constX && !constY || constX == constY && c.X.ID > c.Y.ID):
		c.X, c.Y = c.Y, c.X
		return false, true
	case constX && !constY: // k > y is not y >= k, k >= y is not y > k
		c.Op, c.X, c.Y = ir.Gt+ir.Ge-c.Op, c.Y, c.X
		return true, true
	case !constY:
		return false, false
	}
	return plainWithConst(f, c, c.Y.Const)
}

// plainWithConst is plainStep for a comparison with k.
func plainWithConst(f *ir.Func, c *ir.Cond, k uint32) (negate, again bool) {
	x := c.X
	switch {
	case c.Op == ir.Set && bits.OnesCount32(k) == 32:
		c.Op, c.Y = ir.Eq, f.Const(0, c.Y.Origin)
		return true, true
	case c.Op == ir.Set && x.Op == ir.And && x.Args[1].Op == ir.Const:
		c.X, c.Y = x.Args[0], f.Const(k&x.Args[1].Const, c.Y.Origin)
		return false, true
	case c.Op == ir.Eq:
		return plainEquality(f, c, k)
	}
	return false, false
}

// plainEquality is plainStep for x == k.
func plainEquality(f *ir.Func, c *ir.Cond, k uint32) (negate, again bool) {
	x := c.X
	if len(x.Args) < 2 || x.Op == ir.Phi {
		return false, false
	}
	l, r := x.Args[0], x.Args[1]
	constant := r.Op == ir.Const
	switch {
	case x.Op == ir.Sub && k == 0:
		c.X, c.Y = l, r
		return false, true
	case x.Op == ir.And && constant && k == 0:
		c.Op, c.X, c.Y = ir.Set, l, r
		return true, true
	case x.Op == ir.And && constant && k == r.Const && bits.OnesCount32(k) == 1:
		c.Op, c.X, c.Y = ir.Set, l, r
		return false, true
	case x.Op == ir.Add && constant:
		c.X, c.Y = l, f.Const(k-r.Const, c.Y.Origin)
		return false, true
	case x.Op == ir.Sub && constant:
		c.X, c.Y = l, f.Const(k+r.Const, c.Y.Origin)
		return false, true
	case x.Op == ir.Xor && constant:
		c.X, c.Y = l, f.Const(k^r.Const, c.Y.Origin)
		return false, true
	}
	return false, false
}
