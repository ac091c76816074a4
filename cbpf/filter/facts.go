package filter

import (
	"math"
	"math/bits"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// facts are what is known at a point of the graph: ranges of values, outcomes
// of conditions, and which values cannot fault any more because the same bytes
// were read on every way to this point. They are taken back in the reverse
// order of their making, which fits a walk over the dominator tree.
type facts struct {
	f        *ir.Func
	captured uint32                 // the packet has at least so many bytes
	ranges   []valueRange           // by value ID
	behind   []uint32               // by value ID: so many bytes of the packet lie behind that address
	done     []bool                 // by value ID: was evaluated
	conds    []int32                // the number of a block's condition, by block ID
	outcomes []outcome              // by number of a condition
	choices  map[*ir.Value][]uint32 // a value is one of these
	log      factLog
}

// A valueRange is what is known of a value; valid unless it is the zero range.
type valueRange struct {
	lo, hi uint32
	valid  bool
}

// A factLog says what to take back.
type factLog struct {
	ranges   []rangeBefore
	behind   []behindBefore
	done     []int
	outcomes []int32
	choices  []choicesBefore
}

type rangeBefore struct {
	id  int
	old valueRange
}

type behindBefore struct {
	id  int
	old uint32
}

type choicesBefore struct {
	v   *ir.Value
	old []uint32
}

// A mark is a point to go back to.
type mark struct {
	captured                                uint32
	ranges, behind, done, outcomes, choices int
}

// An outcome is what is known of a condition.
type outcome uint8

const (
	undecided outcome = iota
	alwaysFalse
	alwaysTrue
)

func newFacts(f *ir.Func) *facts {
	n := f.NumValues()
	k := &facts{
		f: f, ranges: make([]valueRange, n), behind: make([]uint32, n), done: make([]bool, n),
		conds: make([]int32, f.NumBlocks()), choices: make(map[*ir.Value][]uint32),
	}
	numbers := make(map[ir.Cond]int32, len(f.Blocks)/2)
	for _, b := range f.Blocks {
		if b.Kind != ir.If {
			continue
		}
		number, ok := numbers[b.Cond]
		if !ok {
			number = int32(len(numbers))
			numbers[b.Cond] = number
		}
		k.conds[b.ID] = number
	}
	k.outcomes = make([]outcome, len(numbers))
	return k
}

func (k *facts) mark() mark {
	l := &k.log
	return mark{k.captured, len(l.ranges), len(l.behind), len(l.done), len(l.outcomes), len(l.choices)}
}

// back forgets what was learnt since m.
func (k *facts) back(m mark) {
	l := &k.log
	k.captured = m.captured
	for ; len(l.ranges) > m.ranges; l.ranges = l.ranges[:len(l.ranges)-1] {
		last := l.ranges[len(l.ranges)-1]
		k.ranges[last.id] = last.old
	}
	for ; len(l.behind) > m.behind; l.behind = l.behind[:len(l.behind)-1] {
		last := l.behind[len(l.behind)-1]
		k.behind[last.id] = last.old
	}
	for ; len(l.done) > m.done; l.done = l.done[:len(l.done)-1] {
		k.done[l.done[len(l.done)-1]] = false
	}
	for ; len(l.outcomes) > m.outcomes; l.outcomes = l.outcomes[:len(l.outcomes)-1] {
		k.outcomes[l.outcomes[len(l.outcomes)-1]] = undecided
	}
	for ; len(l.choices) > m.choices; l.choices = l.choices[:len(l.choices)-1] {
		last := l.choices[len(l.choices)-1]
		k.choices[last.v] = last.old
	}
}

// rangeOf returns what is known of v. Values that were made after k know only
// their bound.
func (k *facts) rangeOf(v *ir.Value) (lo, hi uint32) {
	if v.Op == ir.Const {
		return v.Const, v.Const
	}
	if v.ID < len(k.ranges) && k.ranges[v.ID].valid {
		r := k.ranges[v.ID]
		return r.lo, r.hi
	}
	if n, ok := k.computed(v, 3); ok {
		return n, n
	}
	return 0, k.f.MaxOf(v)
}

// computed computes v from arguments that are known exactly.
func (k *facts) computed(v *ir.Value, depth int) (uint32, bool) {
	switch {
	case v.Op == ir.Const:
		return v.Const, true
	case v.ID < len(k.ranges) && k.ranges[v.ID].valid:
		r := k.ranges[v.ID]
		return r.lo, r.lo == r.hi
	case depth == 0 || len(v.Args) != 2 || v.Op == ir.Phi:
		return 0, false
	}
	x, okX := k.computed(v.Args[0], depth-1)
	if !okX {
		return 0, false
	}
	y, okY := k.computed(v.Args[1], depth-1)
	if !okY {
		return 0, false
	}
	return v.Op.Eval(x, y)
}

// decide returns the outcome of b's condition, if it is known.
func (k *facts) decide(b *ir.Block) (outcome bool, ok bool) {
	if o := k.outcomes[k.conds[b.ID]]; o != undecided {
		return o == alwaysTrue, true
	}
	return decideByRange(b.Cond, k.rangeOf)
}

// decideByRange returns the outcome of a condition, if it follows from the
// ranges of its operands.
func decideByRange(c ir.Cond, rangeOf func(*ir.Value) (lo, hi uint32)) (outcome bool, ok bool) {
	if c.X == c.Y && c.Op != ir.Set {
		return c.Op != ir.Gt, true
	}
	xlo, xhi := rangeOf(c.X)
	ylo, yhi := rangeOf(c.Y)
	switch c.Op {
	case ir.Eq:
		single := xlo == xhi && ylo == yhi && xlo == ylo
		return single, single || xhi < ylo || yhi < xlo
	case ir.Gt:
		return xlo > yhi, xlo > yhi || xhi <= ylo
	case ir.Ge:
		return xlo >= yhi, xlo >= yhi || xhi < ylo
	}
	if xlo == xhi && ylo == yhi {
		return xlo&ylo != 0, true
	}
	bitsX, bitsY := possibleBits(xlo, xhi), possibleBits(ylo, yhi)
	return false, bitsX&bitsY == 0
}

// possibleBits returns a mask of the bits that numbers from lo to hi may have.
func possibleBits(lo, hi uint32) uint32 {
	if lo == hi {
		return lo
	}
	return uint32(uint64(1)<<bits.Len32(hi) - 1)
}

// assume learns the outcome of b's condition.
func (k *facts) assume(b *ir.Block, outcome bool) {
	number := k.conds[b.ID]
	if k.outcomes[number] == undecided {
		k.outcomes[number] = alwaysFalse
		if outcome {
			k.outcomes[number] = alwaysTrue
		}
		k.log.outcomes = append(k.log.outcomes, number)
	}
	c := b.Cond
	if c.Y.Op != ir.Const || c.X.Op == ir.Const {
		return
	}
	lo, hi := k.rangeOf(c.X)
	n := c.Y.Const
	switch c.Op {
	case ir.Eq:
		switch {
		case outcome:
			lo, hi = n, n
		case n == lo && lo < hi:
			lo++
		case n == hi && lo < hi:
			hi--
		}
	case ir.Gt:
		if outcome {
			lo = max(lo, min(n, math.MaxUint32-1)+1)
		} else {
			hi = min(hi, n)
		}
	case ir.Ge:
		if outcome {
			lo = max(lo, n)
		} else {
			hi = min(hi, max(n, 1)-1)
		}
	case ir.Set:
		if outcome {
			lo = max(lo, n&-n)
		}
	}
	k.narrow(c.X, lo, hi)
}

// narrow learns a range. An empty one means that the point is never reached,
// so that anything may be said of it.
func (k *facts) narrow(v *ir.Value, lo, hi uint32) {
	old := &k.ranges[v.ID]
	if oldLo, oldHi := k.rangeOf(v); oldLo == lo && oldHi == hi || lo > hi {
		return
	}
	k.log.ranges = append(k.log.ranges, rangeBefore{v.ID, *old})
	*old = valueRange{lo, hi, true}
}

// choose learns that v is one of a few numbers.
func (k *facts) choose(v *ir.Value, numbers []uint32) {
	k.log.choices = append(k.log.choices, choicesBefore{v, k.choices[v]})
	k.choices[v] = numbers
}

// evaluate learns that v was evaluated without a fault.
func (k *facts) evaluate(v *ir.Value) {
	if !v.CanFault() || k.done[v.ID] {
		return
	}
	k.done[v.ID] = true
	k.log.done = append(k.log.done, v.ID)
	for _, a := range v.Args {
		k.evaluate(a)
	}
	if v.Op != ir.Load {
		return
	}
	end := v.Const + uint32(v.Size)
	if len(v.Args) > 0 {
		base := v.Args[0]
		if old := k.behind[base.ID]; end > old {
			k.log.behind = append(k.log.behind, behindBefore{base.ID, old})
			k.behind[base.ID] = end
		}
		lo, _ := k.rangeOf(base)
		end = uint32(min(uint64(end)+uint64(lo), math.MaxInt32))
	}
	k.captured = max(k.captured, end)
}

// maxLooks is how many values to look at for what one value is made of. One
// that uses its operands often may have exponentially many.
const maxLooks = 64

// proven reports whether evaluating v cannot fault here.
func (k *facts) proven(v *ir.Value) bool {
	budget := maxLooks
	return k.provenWithin(v, &budget)
}

// provenWithin gives up, with false, when the budget is used up.
func (k *facts) provenWithin(v *ir.Value, budget *int) bool {
	if *budget--; *budget < 0 {
		return false
	}
	switch {
	case !v.CanFault() || k.done[v.ID]:
		return true
	case v.Op == ir.Load && len(v.Args) == 0:
		return v.Const+uint32(v.Size) <= k.captured
	case v.Op == ir.Load && v.Const+uint32(v.Size) > k.behind[v.Args[0].ID]:
		return false
	case v.Op != ir.Load && v.Faults():
		if lo, _ := k.rangeOf(v.Args[1]); lo == 0 {
			return false
		}
	}
	for _, a := range v.Args {
		if !k.provenWithin(a, budget) {
			return false
		}
	}
	return true
}
