package filter

import (
	"slices"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// merge makes one block of those that do the same and go on to the same
// blocks. Going through the graph from its end, it meets the successors of a
// block first, so one sweep finds equal ways of any length.
func merge(f *ir.Func) bool {
	m := &merger{f: f, conds: make(map[ir.Cond]int, len(f.Blocks)/2), byKey: make(map[blockKey]*ir.Block), byEvals: make(map[string]int), from: make(map[*ir.Block][]origin.Set)}
	order := f.ReversePostorder()
	for _, b := range order {
		m.conds[b.Cond]++
	}
	for _, b := range slices.Backward(order) {
		if m.conds[b.Cond] > 1 {
			m.block(b)
		}
	}
	for b, sets := range m.from {
		b.Origin = ir.Unite(append(sets, b.Origin))
	}
	if len(m.from) > 0 {
		f.RemoveUnreachable()
	}
	return len(m.from) > 0
}

type merger struct {
	f       *ir.Func
	conds   map[ir.Cond]int // how many blocks have the condition
	byKey   map[blockKey]*ir.Block
	byEvals map[string]int // numbers lists of values
	from    map[*ir.Block][]origin.Set
}

// A blockKey is what makes blocks equal. Lists of values stand in it by their
// number.
type blockKey struct {
	cond  ir.Cond
	evals int
	succs [2]*ir.Block
	phis  [2]int
}

func (m *merger) block(b *ir.Block) {
	if b.Kind == ir.Accept || b.Kind == ir.Reject || len(b.Phis) > 0 || b == m.f.Blocks[0] {
		return
	}
	key := blockKey{cond: b.Cond, evals: m.list(sortedByID(b.Evals))}
	for i, to := range b.Succs {
		key.succs[i] = to
		key.phis[i] = m.list(ir.Edge{From: b, Index: i}.PhiArgs())
	}
	twin, ok := m.byKey[key]
	if !ok {
		m.byKey[key] = b
		return
	}
	for len(b.Preds) > 0 {
		m.f.Redirect(b.Preds[len(b.Preds)-1], twin)
	}
	m.from[twin] = append(m.from[twin], b.Origin)
}

// list numbers a list of values; the empty one is 0.
func (m *merger) list(values []*ir.Value) int {
	if len(values) == 0 {
		return 0
	}
	var text []byte
	for _, v := range values {
		text = append(text, byte(v.ID), byte(v.ID>>8), byte(v.ID>>16), byte(v.ID>>24))
	}
	n, ok := m.byEvals[string(text)]
	if !ok {
		n = len(m.byEvals) + 1
		m.byEvals[string(text)] = n
	}
	return n
}

func sortedByID(values []*ir.Value) []*ir.Value {
	return slices.SortedFunc(slices.Values(values), func(a, b *ir.Value) int { return a.ID - b.ID })
}
