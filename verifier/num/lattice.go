package num

import "slices"

// Leq is true only if all numbers of p are in q. It looks at each view of q by
// itself: none of p's may lie outside of it.
func (p Product[W, H]) Leq(q Product[W, H]) bool {
	if p == q {
		return true
	}
	return p.Bits.Mask&^q.Bits.Mask == 0 && q.Bits.contains(p.Bits.Value&^q.Bits.Mask) &&
		(p.Wide.within(q.Wide) || !p.reaches(q.Wide.outside(), fullArc[H]())) &&
		(p.Low.within(q.Low) || !p.reaches(fullArc[W](), q.Low.outside()))
}

// reaches tells whether p may have a number in wide with its lower half in
// low. Even where the arcs of p do, its other views may exclude all of them.
// The ends of arcs are those that most often are not excluded.
func (p *Product[W, H]) reaches(wide Arc[W], low Arc[H]) bool {
	if wide.contains(p.Wide.Base) && low.contains(lower[W, H](p.Wide.Base)) && p.Contains(p.Wide.Base) {
		return true
	}
	_, ok := Meet(*p, Product[W, H]{Tnum[W]{0, ones[W]()}, wide, low})
	return ok
}

// Join has the numbers of both p and q.
func Join[W, H Word](p, q Product[W, H]) Product[W, H] {
	if p == q {
		return p
	}
	p = Product[W, H]{p.Bits.join(q.Bits), p.Wide.join(q.Wide), p.Low.join(q.Low)}
	p.reduce()
	return p
}

// Meet has the numbers that are both in p and in q, and is false if there are
// none.
func Meet[W, H Word](p, q Product[W, H]) (Product[W, H], bool) {
	switch {
	case p == q:
		return p, true
	case q.Bits.Mask == 0:
		return q, p.Contains(q.Bits.Value)
	case p.Bits.Mask == 0:
		return p, q.Contains(p.Bits.Value)
	}
	var ok, ok2, ok3 bool
	p.Bits, ok = p.Bits.meet(q.Bits)
	p.Wide, ok2 = p.Wide.meet(q.Wide)
	p.Low, ok3 = p.Low.meet(q.Low)
	ok = ok && ok2 && ok3 && p.sync()
	return p, ok
}

// Thresholds are the numbers at which Widen lets a growing range stop. It is
// made once for a program: the constants that it compares with, sizes.
type Thresholds = thresholds[uint64, uint32]

type thresholds[W, H Word] struct {
	wide []W
	low  []H
}

// NewThresholds takes for each constant also the numbers beside it, as "x < c"
// and "x <= c" end at different ones. The ends of the signed and the unsigned
// order at either width are always among them.
func NewThresholds(constants ...uint64) *Thresholds {
	return newThresholds[uint64, uint32](constants)
}

func newThresholds[W, H Word](constants []W) *thresholds[W, H] {
	half := W(ones[H]())
	t := &thresholds[W, H]{low: []H{0, ones[H](), signBit[H](), signBit[H]() - 1}}
	for _, last := range [...]W{ones[W](), signBit[W]() - 1, half, half >> 1, -(half>>1 + 2)} {
		t.wide = append(t.wide, last&ones[W](), (last+1)&ones[W]())
	}
	for _, c := range constants {
		for _, near := range [...]W{c - 1, c, c + 1} {
			t.wide = append(t.wide, near&ones[W]())
			t.low = append(t.low, lower[W, H](near))
		}
	}
	slices.Sort(t.wide)
	slices.Sort(t.low)
	t.wide, t.low = slices.Compact(t.wide), slices.Compact(t.low)
	return t
}

// Widen has the numbers of old and new, and more where new goes beyond old: it
// guesses where a loop that makes old into new will end. An arc that has grown
// grows up to the next threshold; of the bits only those below the first one
// that has changed are kept. Widening again and again comes to an end soon.
func Widen[W, H Word](old, new Product[W, H], t *thresholds[W, H]) Product[W, H] {
	p := Product[W, H]{
		Bits: old.Bits.join(new.Bits),
		Wide: grow(old.Wide, new.Wide, t.wide),
		Low:  grow(old.Low, new.Low, t.low),
	}
	if lost := p.Bits.Mask &^ old.Bits.Mask; lost != 0 {
		p.Bits.Mask |= -(lost & -lost) & ones[W]()
		p.Bits.Value &^= p.Bits.Mask
	}
	p.reduce()
	return p
}

// grow joins, and moves each end that moves on to a threshold.
func grow[U Word](old, new Arc[U], stops []U) Arc[U] {
	a := old.join(new)
	lo, hi := a.Base, a.end()
	if a.isFull() {
		return a
	}
	size := a.Size
	if lo != old.Base {
		i, found := slices.BinarySearch(stops, lo)
		if !found {
			i = (i + len(stops) - 1) % len(stops)
		}
		d := (lo - stops[i]) & ones[U]()
		if d > ones[U]()-size {
			return fullArc[U]()
		}
		lo, size = stops[i], size+d
	}
	if hi != old.end() {
		i, _ := slices.BinarySearch(stops, hi)
		d := (stops[i%len(stops)] - hi) & ones[U]()
		if d > ones[U]()-size {
			return fullArc[U]()
		}
		size += d
	}
	return arc(lo, size)
}
