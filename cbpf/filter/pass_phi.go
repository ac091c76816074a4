package filter

import (
	"slices"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// simplifyPhis replaces phis whose arguments are all equal, which passes leave
// behind when they remove edges, and removes phis that nobody uses.
func simplifyPhis(f *ir.Func) bool {
	if !slices.ContainsFunc(f.Blocks, func(b *ir.Block) bool { return len(b.Phis) > 0 }) {
		return false
	}
	r := &replacer{f: f, as: make(map[*ir.Value]*ir.Value)}
	order := f.ReversePostorder()
	for _, b := range order {
		b.Phis = slices.DeleteFunc(b.Phis, func(p *ir.Value) bool { return r.phi(b, p) })
		r.all(b.Evals)
		if b.Kind == ir.If {
			b.Cond.X, b.Cond.Y = r.value(b.Cond.X), r.value(b.Cond.Y)
		}
	}
	return dropUnusedPhis(order) || r.changed
}

type replacer struct {
	f       *ir.Func
	as      map[*ir.Value]*ir.Value
	changed bool
}

// phi replaces the arguments of p, and then p itself if they are equal. An
// argument that can fault is still evaluated.
func (r *replacer) phi(b *ir.Block, p *ir.Value) (gone bool) {
	r.all(p.Args)
	v := p.Args[0]
	if slices.ContainsFunc(p.Args, func(a *ir.Value) bool { return a != v }) {
		return false
	}
	if v.CanFault() {
		b.Evals = append(b.Evals, v)
	}
	r.as[p] = v
	r.changed = true
	return true
}

func (r *replacer) all(list []*ir.Value) {
	for i, v := range list {
		list[i] = r.value(v)
	}
}

// value returns v with the phis under it replaced.
func (r *replacer) value(v *ir.Value) *ir.Value {
	if w, ok := r.as[v]; ok {
		return w
	}
	if len(v.Args) == 0 || v.Op == ir.Phi {
		return v
	}
	w := v
	x := r.value(v.Args[0])
	switch {
	case v.Op == ir.Load:
		if x != v.Args[0] {
			w = r.f.Load(v.Size, x, v.Const, v.Origin)
		}
	case v.Op == ir.Neg:
		if x != v.Args[0] {
			w = r.f.Neg(x, v.Origin)
		}
	default:
		if y := r.value(v.Args[1]); x != v.Args[0] || y != v.Args[1] {
			w = r.f.Binary(v.Op, x, y, v.Origin)
		}
	}
	r.as[v] = w
	return w
}

// dropUnusedPhis removes phis that neither a block nor a used phi needs. Those
// with an argument that can fault stay, for the fault.
func dropUnusedPhis(order []*ir.Block) bool {
	used := make(map[*ir.Value]bool)
	var use func(v *ir.Value)
	use = func(v *ir.Value) {
		if !used[v] && (len(v.Args) > 0 || v.Op == ir.Phi) {
			used[v] = true
			for _, a := range v.Args {
				use(a)
			}
		}
	}
	for _, b := range order {
		for _, v := range b.Evals {
			use(v)
		}
		if b.Kind == ir.If {
			use(b.Cond.X)
			use(b.Cond.Y)
		}
		for _, p := range b.Phis {
			if slices.ContainsFunc(p.Args, (*ir.Value).CanFault) {
				use(p)
			}
		}
	}
	changed := false
	for _, b := range order {
		n := len(b.Phis)
		b.Phis = slices.DeleteFunc(b.Phis, func(p *ir.Value) bool { return !used[p] })
		changed = changed || len(b.Phis) < n
	}
	return changed
}
