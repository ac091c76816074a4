package filter

import "github.com/bpflab/bpflab/cbpf/filter/ir"

// Control flow is made with continuation lists. A piece of the filter is given
// the edges that lead to it and returns the edges that leave it; an edge
// dangles until the block that it leads to is made.

// edges is a list of dangling edges. Each list is used once: chaining and
// connecting consume it. That makes chaining O(1), so that lists of many
// thousand terms are lowered in linear time however they are nested.
type edges struct{ first, last *danglingEdge }

type danglingEdge struct {
	edge ir.Edge
	env  env
	next *danglingEdge
}

// An env holds the value of every run-time offset on one way through the
// graph. An offset that was not computed on that way is 0 (libpcap reads
// uninitialised scratch memory there); an env may be shorter than the number
// of slots for that reason. Envs are shared and never changed in place.
type env []*ir.Value

// A slot names a run-time offset. The zero slot stands for none.
type slot int

// dangle is the list of one edge.
func dangle(from *ir.Block, index int, e env) edges {
	d := &danglingEdge{edge: ir.Edge{From: from, Index: index}, env: e}
	return edges{d, d}
}

func (e edges) none() bool { return e.first == nil }

// chain joins two lists.
func chain(a, b edges) edges {
	if a.none() {
		return b
	}
	if b.none() {
		return a
	}
	a.last.next = b.first
	return edges{a.first, b.last}
}

// connect ends all edges of the list at a block.
func (lw *lowerer) connect(in edges, to *ir.Block) {
	for d := in.first; d != nil; d = d.next {
		lw.f.Connect(d.edge, to)
	}
}

// newSlot makes a run-time offset.
func (lw *lowerer) newSlot() slot {
	lw.slots++
	return slot(lw.slots)
}

// value returns what a slot holds on the ways that e belongs to.
func (lw *lowerer) value(e env, s slot) *ir.Value {
	if i := int(s) - 1; i < len(e) && e[i] != nil {
		return e[i]
	}
	return lw.f.Const(0, nil)
}

// assign sets a slot on all ways of the list. The value is computed in a block
// of its own, because a way on which it is not wanted may leave the same block.
func (lw *lowerer) assign(in edges, s slot, v *ir.Value) edges {
	if in.none() {
		return in
	}
	in, old := lw.settle(in)
	b := lw.f.NewBlock(ir.Jump)
	b.Origin = lw.origin
	if v.CanFault() {
		b.Evals = []*ir.Value{v}
	}
	lw.connect(in, b)
	e := make(env, max(len(old), int(s)))
	copy(e, old)
	e[s-1] = v
	return dangle(b, 0, e)
}

// settle brings ways together so that every slot has one value: where the ways
// differ, a block with phis joins them. It returns the ways and their env.
func (lw *lowerer) settle(in edges) (edges, env) {
	if in.none() {
		return in, nil
	}
	var differ []slot
	for s := slot(1); int(s) <= lw.slots; s++ {
		for d := in.first.next; d != nil; d = d.next {
			if lw.value(d.env, s) != lw.value(in.first.env, s) {
				differ = append(differ, s)
				break
			}
		}
	}
	if differ == nil {
		return in, in.first.env
	}
	b := lw.f.NewBlock(ir.Jump)
	b.Origin = lw.origin
	lw.connect(in, b)
	joined := make(env, lw.slots)
	copy(joined, in.first.env)
	for _, s := range differ {
		var args []*ir.Value
		for d := in.first; d != nil; d = d.next {
			args = append(args, lw.value(d.env, s))
		}
		joined[s-1] = lw.f.Phi(b, args, lw.origin)
	}
	return dangle(b, 0, joined), joined
}
