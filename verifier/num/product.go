package num

// Product is what is known of a word W whose lower half is H: three views of
// it, each sharpened by what the others know. A number is in a Product if it
// is in all three. The zero value is the constant 0.
//
// A Product that a function of this package has returned is canonical: no view
// can be sharpened by another one. It has at least one number.
type Product[W, H Word] struct {
	Bits Tnum[W]
	Wide Arc[W]
	Low  Arc[H]
}

// Scalar is what is known of a register that holds no pointer. Scalars can be
// compared with ==, and be keys of a map.
type Scalar = Product[uint64, uint32]

// Unknown has all numbers.
func Unknown() Scalar { return unknown[uint64, uint32]() }

// Const has the number v alone.
func Const(v uint64) Scalar { return constant[uint64, uint32](v) }

// Range has the numbers from lo to hi. Where hi is below lo they go around:
// from lo to the largest number, and from 0 to hi.
func Range(lo, hi uint64) Scalar { return interval[uint64, uint32](lo, hi) }

// SignedRange has the numbers from lo to hi in signed order.
func SignedRange(lo, hi int64) Scalar { return Range(uint64(lo), uint64(hi)) }

func unknown[W, H Word]() Product[W, H] {
	return Product[W, H]{Tnum[W]{0, ones[W]()}, fullArc[W](), fullArc[H]()}
}

func constant[W, H Word](v W) Product[W, H] {
	return Product[W, H]{Tnum[W]{Value: v}, Arc[W]{Base: v}, Arc[H]{Base: lower[W, H](v)}}
}

func interval[W, H Word](lo, hi W) Product[W, H] {
	p := unknown[W, H]()
	p.Wide = between(lo, hi)
	p.reduce()
	return p
}

// rounds is the most that sync repeats its deductions. Each round that changes
// an arc makes one smaller, so the end is certain, but not that it is near;
// what is known at any time is true.
const rounds = 8

// sync sharpens the three views by each other until nothing changes. It is
// false if it finds that no number is in all of them.
//
// Bits that are learned from arcs agree with the ends of these arcs, and so
// cannot move them: the arcs alone tell whether another round is of use.
func (p *Product[W, H]) sync() bool {
	if p.Bits.Mask == 0 || p.Wide.Size == 0 {
		return p.settle()
	}
	for range rounds {
		wide, low := p.Wide, p.Low
		if !p.trimWide() || !p.trimLow() || !p.learnBits() {
			return false
		}
		if p.Wide == wide && p.Low == low {
			return true
		}
	}
	return true
}

// settle makes a constant of a p that has one number at most.
func (p *Product[W, H]) settle() bool {
	v := p.Bits.Value
	if p.Bits.Mask != 0 {
		v = p.Wide.Base
	}
	ok := p.Contains(v)
	*p = constant[W, H](v)
	return ok
}

// trimWide drops from both ends of Wide what Bits and Low exclude. Low allows
// an arc in each turn of the lower half: from outside of it, the next number
// is where the next one begins.
func (p *Product[W, H]) trimWide() bool {
	wide, low, ok := p.Wide, p.Low, true
	if !p.Bits.contains(wide.Base) || !p.Bits.contains(wide.end()) {
		if wide, ok = wide.trim(p.Bits); !ok {
			return false
		}
	}
	first, last := lower[W, H](wide.Base), lower[W, H](wide.end())
	var skip, back H
	if !low.contains(first) {
		skip = (low.Base - first) & ones[H]()
	}
	if !low.contains(last) {
		back = (last - low.end()) & ones[H]()
	}
	if W(skip) > wide.Size {
		return false
	}
	if skip|back != 0 {
		wide = arc(wide.Base+W(skip), wide.Size-W(skip)-W(back))
	}
	p.Wide = wide
	return true
}

// trimLow brings to Low what Wide says of the lower half, if it is less than
// one turn of it, and what Bits does.
func (p *Product[W, H]) trimLow() bool {
	low, ok := p.Low, true
	if p.Wide.Size < W(ones[H]()) && low != p.turn() {
		if low, ok = low.meet(p.turn()); !ok {
			return false
		}
	}
	if t := p.lowBits(); !t.contains(low.Base) || !t.contains(low.end()) {
		low, ok = low.trim(t)
	}
	p.Low = low
	return ok
}

// turn is the lower half of a Wide that does not go all around it.
func (p *Product[W, H]) turn() Arc[H] {
	return Arc[H]{lower[W, H](p.Wide.Base), H(p.Wide.Size)}
}

// learnBits adds the bits that are the same in all numbers of an arc.
func (p *Product[W, H]) learnBits() bool {
	t, low := p.Wide.bits(), p.Low.bits()
	half := W(ones[H]())
	all := Tnum[W]{W(low.Value), W(low.Mask) | ones[W]()&^half}
	bits, ok := p.Bits.meet(t)
	bits, ok2 := bits.meet(all)
	p.Bits = bits
	return ok && ok2
}

func (p *Product[W, H]) lowBits() Tnum[H] {
	return Tnum[H]{lower[W, H](p.Bits.Value), lower[W, H](p.Bits.Mask)}
}

func (p *Product[W, H]) setLowBits(t Tnum[H]) {
	low := W(ones[H]())
	p.Bits = Tnum[W]{p.Bits.Value&^low | W(t.Value), p.Bits.Mask&^low | W(t.Mask)}
}

// reduce is sync for a p that has a number in any case, being the result of an
// operation on some. Only where an operand had none, unnoticed, can the result
// show it; then nothing runs there, and all that is said of it is true.
func (p *Product[W, H]) reduce() {
	if !p.sync() {
		*p = unknown[W, H]()
	}
}

// IsConst returns the number if p has one alone.
func (p Product[W, H]) IsConst() (W, bool) { return p.Bits.Value, p.Bits.Mask == 0 }

// IsUnknown tells whether nothing is known.
func (p Product[W, H]) IsUnknown() bool { return p == unknown[W, H]() }

// Contains tells whether p has the number v.
func (p Product[W, H]) Contains(v W) bool {
	return p.Bits.contains(v) && p.Wide.contains(v) && p.Low.contains(lower[W, H](v))
}

// UMin is a number that no one of p is below; most often the least of p.
func (p Product[W, H]) UMin() W { return p.wide().umin() }

// UMax is a number that no one of p is above.
func (p Product[W, H]) UMax() W { return p.wide().umax() }

// SMin is UMin in signed order.
func (p Product[W, H]) SMin() int64 { return signed(p.wide().smin()) }

// SMax is UMax in signed order.
func (p Product[W, H]) SMax() int64 { return signed(p.wide().smax()) }

// UMin32 is UMin of the lower half.
func (p Product[W, H]) UMin32() H { return p.low().umin() }

// UMax32 is UMax of the lower half.
func (p Product[W, H]) UMax32() H { return p.low().umax() }

// SMin32 is SMin of the lower half.
func (p Product[W, H]) SMin32() int32 { return int32(signed(p.low().smin())) }

// SMax32 is SMax of the lower half.
func (p Product[W, H]) SMax32() int32 { return int32(signed(p.low().smax())) }
