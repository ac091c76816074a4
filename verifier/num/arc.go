package num

// Arc is a circular interval: the numbers met going up from Base by Size
// steps, and around from the largest to 0. Size is one less than how many they
// are, so that all of them fit; then Base is 0.
type Arc[U Word] struct{ Base, Size U }

func fullArc[U Word]() Arc[U] { return Arc[U]{0, ones[U]()} }

// arc is the canonical form: a full circle has no beginning.
func arc[U Word](base, size U) Arc[U] {
	if size == ones[U]() {
		base = 0
	}
	return Arc[U]{base & ones[U](), size}
}

// between goes up from lo to hi, in whichever order they are: -8 to 8 passes 0,
// 8 to -8 passes the sign's border.
func between[U Word](lo, hi U) Arc[U] { return arc(lo, (hi-lo)&ones[U]()) }

func (a Arc[U]) end() U { return (a.Base + a.Size) & ones[U]() }

func (a Arc[U]) isFull() bool { return a.Size == ones[U]() }

// distance is how far x is from the base.
func (a Arc[U]) distance(x U) U { return (x - a.Base) & ones[U]() }

func (a Arc[U]) contains(x U) bool { return a.distance(x) <= a.Size }

// within tells whether all of a is in b.
func (a Arc[U]) within(b Arc[U]) bool {
	if b.isFull() {
		return true
	}
	d := b.distance(a.Base)
	return d <= b.Size && a.Size <= b.Size-d
}

// wraps tells whether a goes from the largest number on to 0.
func (a Arc[U]) wraps() bool { return a.end() < a.Base }

// crosses tells whether a goes from the largest signed number on to the
// smallest.
func (a Arc[U]) crosses() bool { return a.end()^signBit[U]() < a.Base^signBit[U]() }

// outside has the numbers that are not in a, of which there must be some.
func (a Arc[U]) outside() Arc[U] { return arc(a.end()+1, ones[U]()-a.Size-1) }

// meet has the numbers that are in both. Two arcs can overlap at both of their
// ends, which leaves two arcs; the smaller of the operands is then the
// smallest arc that has them.
func (a Arc[U]) meet(b Arc[U]) (Arc[U], bool) {
	switch {
	case a.isFull():
		return b, true
	case b.isFull():
		return a, true
	}
	toB, toA := a.distance(b.Base), b.distance(a.Base)
	switch bIn, aIn := toB <= a.Size, toA <= b.Size; {
	case bIn && aIn && toA != 0:
		return smaller(a, b), true
	case bIn:
		return Arc[U]{b.Base, min(b.Size, a.Size-toB)}, true
	case aIn:
		return Arc[U]{a.Base, min(a.Size, b.Size-toA)}, true
	}
	return a, false
}

// join is the smallest arc that has the numbers of both.
func (a Arc[U]) join(b Arc[U]) Arc[U] {
	switch {
	case a.within(b):
		return b
	case b.within(a):
		return a
	}
	toB, toA := a.distance(b.Base), b.distance(a.Base)
	switch bIn, aIn := toB <= a.Size, toA <= b.Size; {
	case bIn && aIn:
		return fullArc[U]()
	case bIn:
		return arc(a.Base, toB+b.Size)
	case aIn:
		return arc(b.Base, toA+a.Size)
	}
	return smaller(arc(a.Base, toB+b.Size), arc(b.Base, toA+a.Size))
}

// smaller chooses between arcs; of two as large the one that begins first,
// so that the order of the operands does not matter.
func smaller[U Word](a, b Arc[U]) Arc[U] {
	if b.Size < a.Size || b.Size == a.Size && b.Base < a.Base {
		return b
	}
	return a
}

// trim drops from both ends what the known bits exclude. What remains ends in
// numbers of t, unless a has none.
func (a Arc[U]) trim(t Tnum[U]) (Arc[U], bool) {
	first := t.atLeast(a.Base)
	skip := a.distance(first)
	if skip > a.Size {
		return a, false
	}
	back := (a.end() - t.atMost(a.end())) & ones[U]()
	return arc(first, a.Size-skip-back), true
}

// bits are those that are the same in all numbers of a: the highest ones, up
// to where the ends differ. An arc around 0 shares none.
func (a Arc[U]) bits() Tnum[U] {
	if a.wraps() {
		return Tnum[U]{0, ones[U]()}
	}
	m := below[U](length(a.Base ^ a.end()))
	return Tnum[U]{a.Base &^ m, m}
}

func (a Arc[U]) add(b Arc[U]) Arc[U] {
	if a.Size > ones[U]()-b.Size {
		return fullArc[U]()
	}
	return arc(a.Base+b.Base, a.Size+b.Size)
}

func (a Arc[U]) not() Arc[U] { return arc(^a.end(), a.Size) }

func (a Arc[U]) neg() Arc[U] { return arc(-a.end(), a.Size) }

func (a Arc[U]) sub(b Arc[U]) Arc[U] { return a.add(b.neg()) }

// lsh keeps arcs that are small enough, wherever they lie: shifting multiplies
// distances as it does numbers.
func (a Arc[U]) lsh(k uint) Arc[U] {
	if a.Size > ones[U]()>>k {
		return fullArc[U]()
	}
	return arc(a.Base<<k, a.Size<<k)
}

// mask is what the numbers of a become under "& m" for an m whose ones are in
// one row: rounded down, which keeps their order, then cut off at the top.
func (a Arc[U]) mask(m U) Arc[U] {
	gap := below[U](trailing(m))
	top := m | gap
	room := a.Base & gap
	if a.Size > ones[U]()-room || top&(top+1) != 0 {
		return between(0, m)
	}
	base, size := a.Base&m, (a.Size+room)&^gap
	if top != ones[U]() && size > top-base {
		return between(0, m)
	}
	return arc(base, size)
}

// flip is xor with m. The bits that all of a have in common just change; of
// those below them, to change none keeps an arc, and to change all turns it.
func (a Arc[U]) flip(m U) Arc[U] {
	varying := a.bits().Mask
	switch m & varying {
	case 0:
		return arc(a.Base^m, a.Size)
	case varying:
		return arc(a.end()^m, a.Size)
	}
	return fullArc[U]()
}
