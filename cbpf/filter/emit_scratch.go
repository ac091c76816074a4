package filter

import (
	"cmp"
	"slices"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// Two kinds of value live in scratch memory: phis, because they cannot be
// computed again, and values that cost several instructions and are wanted
// again in blocks that the first one dominates. Since control only goes
// forward, the life of a value is a range of places in the order of blocks,
// and slots are given out by one scan over these ranges.

// worthKeeping is the cost from which storing a value once and loading it
// later is shorter than computing it twice.
const worthKeeping = 3

// A life is the range of places, both included, at which a slot is taken.
type life struct {
	v          *ir.Value
	first, end int
	slot       int
	used       bool // something was loaded from the slot
}

// A scratchPlan says which value has which slot where.
type scratchPlan struct {
	f     *ir.Func
	order []*ir.Block
	place []int // of a block in order, by ID
	dom   *ir.DomTree

	cost   []int32 // instructions to compute a value into A, by ID; 0 is unknown
	needed []int32 // slots needed to compute a value, plus 1; 0 is unknown
	seen   []int   // by value ID: 1 + the last place that used it
	def    []*ir.Block
	lives  map[*ir.Value]*life

	phis, kept []uint16 // slots taken at each place
}

func assignScratch(f *ir.Func, order []*ir.Block) (*scratchPlan, error) {
	n := f.NumValues()
	p := &scratchPlan{
		f: f, order: order, place: make([]int, f.NumBlocks()),
		cost: make([]int32, n), needed: make([]int32, n), seen: make([]int, n), def: make([]*ir.Block, n),
		lives: make(map[*ir.Value]*life),
		phis:  make([]uint16, len(order)), kept: make([]uint16, len(order)),
	}
	for i, b := range order {
		p.place[b.ID] = i
	}
	for i, b := range order {
		p.uses(b, i)
	}
	return p, p.assign()
}

// home returns the slot that v has at a place, if it has one there.
func (p *scratchPlan) home(v *ir.Value, place int) (slot int, ok bool) {
	if l := p.lives[v]; l != nil && l.slot >= 0 && l.first <= place && place <= l.end {
		return l.slot, true
	}
	return 0, false
}

// isDef reports whether b is the block that stores v for others.
func (p *scratchPlan) isDef(v *ir.Value, b *ir.Block) bool { return p.def[v.ID] == b }

// use notes that v is loaded from its slot.
func (p *scratchPlan) use(v *ir.Value) {
	if l := p.lives[v]; l != nil {
		l.used = true
	}
}

// uses notes what b evaluates at a place.
func (p *scratchPlan) uses(b *ir.Block, place int) {
	for _, v := range b.Evals {
		p.note(v, place, false)
	}
	if b.Kind == ir.If {
		p.note(b.Cond.X, place, false)
		p.note(b.Cond.Y, place, false)
	}
	for _, to := range b.Succs {
		for _, phi := range to.Phis {
			// Control enters to from b alone or with the copy made; the copies
			// for to's other predecessors come later.
			if l := p.lives[phi]; l == nil {
				p.lives[phi] = &life{v: phi, first: place, end: -1}
			}
		}
		if b.Kind == ir.Jump {
			for _, arg := range (ir.Edge{From: b}).PhiArgs() {
				p.note(arg, place, false)
			}
		}
	}
}

// note notes that v is evaluated at a place. Under a value that is kept
// already, operands are not wanted for themselves.
func (p *scratchPlan) note(v *ir.Value, place int, underKept bool) {
	if v.Op == ir.Phi {
		p.lives[v].end = place
		return
	}
	if len(v.Args) == 0 || p.seen[v.ID] == place+1 {
		return
	}
	p.seen[v.ID] = place + 1
	if !underKept && p.costOf(v) >= worthKeeping {
		underKept = p.wantAgain(v, place)
	}
	for _, arg := range v.Args {
		p.note(arg, place, underKept)
	}
}

// wantAgain notes a use of an expensive value, and reports whether an earlier
// block will have kept it.
func (p *scratchPlan) wantAgain(v *ir.Value, place int) bool {
	b := p.order[place]
	if def := p.def[v.ID]; def != nil && p.dominators().Dominates(def, b) {
		if l := p.lives[v]; l != nil {
			l.end = place
		} else {
			p.lives[v] = &life{v: v, first: p.place[def.ID], end: place}
		}
		return true
	}
	if p.lives[v] == nil {
		p.def[v.ID] = b
	}
	return false
}

// dominators are wanted only where expensive values are used twice.
func (p *scratchPlan) dominators() *ir.DomTree {
	if p.dom == nil {
		p.dom = p.f.Dominators()
	}
	return p.dom
}

// assign gives each life a slot, in the order of their beginnings. A phi takes
// the slot of a kept value if there is no other.
func (p *scratchPlan) assign() error {
	var lives []*life
	for _, l := range p.lives {
		l.slot = -1
		if l.end >= 0 {
			lives = append(lives, l)
		}
	}
	slices.SortFunc(lives, func(a, b *life) int {
		return cmp.Or(a.first-b.first, a.v.ID-b.v.ID)
	})
	var owner [cbpf.MemWords]*life
	for _, l := range lives {
		l.slot = slices.IndexFunc(owner[:], func(o *life) bool { return o == nil || o.end < l.first })
		if l.slot < 0 && l.v.Op == ir.Phi {
			l.slot = slices.IndexFunc(owner[:], func(o *life) bool { return o.v.Op != ir.Phi })
			if l.slot < 0 {
				return errScratch(l.v)
			}
			owner[l.slot].slot = -1
		}
		if l.slot >= 0 {
			owner[l.slot] = l
		}
	}
	for _, l := range lives {
		p.take(l)
	}
	return nil
}

// take marks the slot of l as taken while l lives.
func (p *scratchPlan) take(l *life) {
	taken := p.kept
	if l.v.Op == ir.Phi {
		taken = p.phis
	}
	for i := l.first; i <= l.end && l.slot >= 0; i++ {
		taken[i] |= 1 << l.slot
	}
}

// costOf returns the number of instructions that compute v into A.
func (p *scratchPlan) costOf(v *ir.Value) int32 {
	if len(v.Args) == 0 || v.Op == ir.Phi {
		return 1
	}
	c := &p.cost[v.ID]
	if *c != 0 {
		return *c
	}
	*c = 1 + p.costOf(v.Args[0])
	if v.Op == ir.Load && !inOneLoadX(v.Args[0]) {
		*c++ // tax
	}
	if v.Op != ir.Neg && v.Op != ir.Load && v.Args[1].Op != ir.Const {
		*c += p.costOf(v.Args[1])
	}
	if _, ok := headerLength(v); ok {
		*c = 1 // into X, where it is mostly wanted
	}
	*c = min(*c, 1<<20)
	return *c
}

// inOneLoadX reports whether one instruction brings v into X.
func inOneLoadX(v *ir.Value) bool {
	_, ok := headerLength(v)
	return ok || v.Op == ir.Phi || v.Op == ir.Const || v.Op == ir.Len
}

// need returns the number of slots that throughScratch wants to compute v.
func (p *scratchPlan) need(v *ir.Value) int32 {
	if !touchesX(v) {
		return 0
	}
	n := &p.needed[v.ID]
	if *n != 0 {
		return *n - 1
	}
	need := p.need(v.Args[0])
	if v.Op != ir.Neg && v.Op != ir.Load && v.Args[1].Op != ir.Const {
		x, y := need, p.need(v.Args[1])
		need = max(x, y)
		if x == y && touchesX(v.Args[0]) && touchesX(v.Args[1]) {
			need++
		}
	}
	*n = need + 1
	return need
}
