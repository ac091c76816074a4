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
type env struct {
	forgotten slot        // the last slot that was not wanted any more when the env was made
	values    []*ir.Value // of the slots from there on
}

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
	return lw.slots
}

// forget says that the text from here on does not look at the slots up to the
// given one. Without it each of many nested Geneve headers would carry the
// offsets of all headers around it, which takes quadratic time and memory.
func (lw *lowerer) forget(upTo slot) { lw.forgotten = upTo }

// value returns what a slot holds on the ways that e belongs to.
func (lw *lowerer) value(e env, s slot) *ir.Value {
	if i := int(s - e.forgotten - 1); i < len(e.values) && e.values[i] != nil {
		return e.values[i]
	}
	return lw.f.Const(0, nil)
}

// with returns a copy of e in which a slot has another value.
func (lw *lowerer) with(e env, s slot, v *ir.Value) env {
	values := make([]*ir.Value, lw.slots-lw.forgotten)
	if gone := int(lw.forgotten - e.forgotten); gone < len(e.values) {
		copy(values, e.values[gone:])
	}
	values[s-lw.forgotten-1] = v
	return env{lw.forgotten, values}
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
	return dangle(b, 0, lw.with(old, s, v))
}

// settle brings ways together so that every slot has one value: where the ways
// differ, a block with phis joins them. It returns the ways and their env.
func (lw *lowerer) settle(in edges) (edges, env) {
	if in.none() {
		return in, env{}
	}
	var differ []slot
	for s := lw.forgotten + 1; s <= lw.slots; s++ {
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
	joined := in.first.env
	for _, s := range differ {
		var args []*ir.Value
		for d := in.first; d != nil; d = d.next {
			args = append(args, lw.value(d.env, s))
		}
		joined = lw.with(joined, s, lw.f.Phi(b, args, lw.origin))
	}
	return dangle(b, 0, joined), joined
}
