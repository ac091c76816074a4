package filter

import (
	"slices"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// thread leads edges past blocks that have nothing to tell on that way: what
// they evaluate cannot fault there, and the outcome of their condition is
// known. In "host a or host b", a packet that is IPv4 but not from or to a
// goes on to the test of the address b, past the tests of b's protocol.
//
// What is known of a block is what its dominators know, found by one walk over
// the dominator tree. The tree is that of the graph before the pass. Facts
// stay true all the same: an edge led past a block has that block's facts, or
// it would not have been led past it.
func thread(f *ir.Func) bool {
	t := newThreader(f)
	t.walk(t.visit)
	if t.changed {
		f.RemoveUnreachable()
	}
	return t.changed
}

type threader struct {
	f       *ir.Func
	order   []*ir.Block
	known   *facts
	nodes   []threadNode // by block ID
	joins   map[*ir.Block]join
	budget  int // blocks that edges may still be led past
	changed bool
}

// A threadNode is what there is to a block beside the block.
type threadNode struct {
	child   int32     // place in the order of the first child in the dominator tree; 0 for none
	sibling int32     // place of the next child of the same parent; 0 for none
	parent  *ir.Block // in the dominator tree
	entry   outcome   // of the parent's condition, if only the parent led to the block
	after   uint32    // bytes captured at the end of the block
	skipped uint32    // the least of after on edges that were led past the block
}

// stepsPerBlock bounds the work of thread to a multiple of the graph's size.
// Few edges of real filters are led past more than ten blocks.
// Once they are used up, an edge still gets minSteps.
const (
	stepsPerBlock = 16
	minSteps      = 4
)

func newThreader(f *ir.Func) *threader {
	order := f.ReversePostorder()
	t := &threader{
		f: f, order: order, known: newFacts(f), nodes: make([]threadNode, f.NumBlocks()),
		joins: make(map[*ir.Block]join), budget: stepsPerBlock * len(order),
	}
	dom := f.Dominators()
	for i := len(order) - 1; i > 0; i-- {
		b := order[i]
		n := &t.nodes[b.ID]
		n.parent = dom.Idom(b)
		up := &t.nodes[n.parent.ID]
		n.sibling, up.child = up.child, int32(i)
		n.skipped = ^uint32(0)
		if e := b.Preds[0]; len(b.Preds) == 1 && e.From.Kind == ir.If {
			n.entry = [...]outcome{alwaysTrue, alwaysFalse}[e.Index]
		}
		if j, ok := joinOf(b); ok {
			t.joins[b] = j
		}
	}
	return t
}

// walk visits the dominator tree from the root, children in reverse postorder.
// So a block comes after all its predecessors: each is dominated by the
// block's parent, through a child that comes no later.
func (t *threader) walk(visit func(*ir.Block)) {
	type frame struct {
		m     mark
		child int32
	}
	m := t.known.mark()
	visit(t.order[0])
	stack := []frame{{m, t.nodes[t.order[0].ID].child}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.child == 0 {
			t.known.back(top.m)
			stack = stack[:len(stack)-1]
			continue
		}
		b := t.order[top.child]
		n := &t.nodes[b.ID]
		top.child = n.sibling
		m := t.known.mark()
		visit(b)
		if n.child == 0 {
			t.known.back(m)
		} else {
			stack = append(stack, frame{m, n.child})
		}
	}
}

// visit learns the facts of b, drops what b evaluates in vain, and threads the
// edges out of it.
func (t *threader) visit(b *ir.Block) {
	if b.Kind == ir.Accept || b.Kind == ir.Reject {
		return
	}
	t.enter(b)
	dead := len(b.Preds) == 0 && b != t.f.Blocks[0]
	m := t.known.mark()
	t.enterNow(b)
	way, ok := t.onlyWay(b)
	t.known.back(m)
	if ok && !dead {
		t.f.KeepOnly(b, way)
		t.changed = true
	}
	if b.Kind == ir.If {
		t.known.evaluate(b.Cond.X)
		t.known.evaluate(b.Cond.Y)
	}
	t.evals(b)
	if dead {
		t.disconnect(b)
		return
	}
	t.nodes[b.ID].after = t.known.captured
	for i := range b.Succs {
		m := t.known.mark()
		t.enterNow(b)
		if b.Kind == ir.If {
			t.known.assume(b, i == 0)
		}
		t.edge(ir.Edge{From: b, Index: i})
		t.known.back(m)
	}
}

// enterNow learns from the one edge that is left of several into b. What it
// tells holds in b, but not in the blocks behind, to which other edges have
// been led past b.
func (t *threader) enterNow(b *ir.Block) {
	if len(b.Preds) == 1 && b.Preds[0].From.Kind == ir.If {
		t.known.assume(b.Preds[0].From, b.Preds[0].Index == 0)
	}
}

func (t *threader) onlyWay(b *ir.Block) (way int, ok bool) {
	if b.Kind != ir.If {
		return 0, false
	}
	return onlyWay(b, t.known.decide)
}

// disconnect takes the edges out of a block that is no longer reached.
func (t *threader) disconnect(b *ir.Block) {
	for i := range b.Succs {
		t.f.Disconnect(ir.Edge{From: b, Index: i})
	}
	b.Succs = b.Succs[:0]
}

// enter learns what holds on all edges into b, those that were led past it
// included.
func (t *threader) enter(b *ir.Block) {
	n := &t.nodes[b.ID]
	least := n.skipped
	for _, e := range b.Preds {
		least = min(least, t.nodes[e.From.ID].after)
	}
	t.known.captured = max(t.known.captured, least)
	if n.entry != undecided && n.parent.Kind == ir.If {
		t.known.assume(n.parent, n.entry == alwaysTrue)
	}
	if j, ok := t.joins[b]; ok {
		t.known.choose(j.v, j.numbers)
	}
}

// evals drops the evaluations that cannot fault, and learns from the others.
func (t *threader) evals(b *ir.Block) {
	b.Evals = slices.DeleteFunc(b.Evals, func(v *ir.Value) bool {
		if t.known.proven(v) {
			t.changed = true
			return true
		}
		t.known.evaluate(v)
		return false
	})
}

// edge leads e past blocks as far as it can.
func (t *threader) edge(e ir.Edge) {
	w := t.follow(e)
	if w.end != e {
		t.f.Redirect(e, w.end.To(), w.end.PhiArgs()...)
		t.changed = true
	}
}

// A way is what control does after an edge, as far as that is known.
type way struct {
	end ir.Edge // it passes this edge without having evaluated what might fault
	at  ir.Edge // it passes this edge, or a fault has rejected the packet
}

// follow goes from e past blocks whose way out is known. A way to Reject may
// fault, which rejects as well.
func (t *threader) follow(e ir.Edge) way {
	w := way{e, e}
	for steps := 0; t.budget > 0 || steps < minSteps; steps++ {
		b := w.at.To()
		next, ok := t.next(b)
		if !ok {
			break
		}
		t.budget--
		if w.end == w.at && t.harmless(b) {
			t.skip(b)
			w.end = next
		}
		w.at = next
	}
	if w.at.To().Kind == ir.Reject {
		w.end = w.at
	}
	return w
}

// skip notes that an edge is led past b.
func (t *threader) skip(b *ir.Block) {
	n := &t.nodes[b.ID]
	n.skipped = min(n.skipped, t.known.captured)
}

// next returns the edge by which control leaves b, if that is known.
func (t *threader) next(b *ir.Block) (out ir.Edge, ok bool) {
	switch {
	case b.Kind == ir.Accept || b.Kind == ir.Reject || len(b.Phis) > 0:
		return ir.Edge{}, false
	case b.Kind == ir.Jump:
		return ir.Edge{From: b}, true
	}
	if i, ok := t.onlyWay(b); ok {
		return ir.Edge{From: b, Index: i}, true
	}
	return t.split(b)
}

// harmless reports whether what b evaluates cannot fault here.
func (t *threader) harmless(b *ir.Block) bool {
	faulty := func(v *ir.Value) bool { return !t.known.proven(v) }
	return !slices.ContainsFunc(b.Evals, faulty) && (b.Kind != ir.If || !faulty(b.Cond.X) && !faulty(b.Cond.Y))
}
