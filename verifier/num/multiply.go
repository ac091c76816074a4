package num

import "math/bits"

// mul by a constant multiplies distances, wherever the arc lies. Otherwise the
// product lies between those of the ends, in signed order; they are computed
// with twice the width, and are of use if less than one turn apart.
func mul[U Word](x, y view[U]) view[U] {
	v := view[U]{x.Bits.mul(y.Bits), fullArc[U]()}
	switch {
	case y.isConst():
		v.Span = x.Span.times(y.Bits.Value)
	case x.isConst():
		v.Span = y.Span.times(x.Bits.Value)
	case !x.Span.crosses() && !y.Span.crosses():
		v.Span = productSpan(x, y)
	}
	return v
}

// times multiplies by the nearer of k and -k.
func (a Arc[U]) times(k U) Arc[U] {
	if k > signBit[U]() {
		a, k = a.neg(), -k&ones[U]()
	}
	if hi, size := double(a.Size, k); hi == 0 {
		return arc(a.Base*k, size)
	}
	return fullArc[U]()
}

func productSpan[U Word](x, y view[U]) Arc[U] {
	least := wideProduct(x.smin(), y.smin())
	most := least
	for _, p := range [...]int128[U]{
		wideProduct(x.smin(), y.smax()), wideProduct(x.smax(), y.smin()), wideProduct(x.smax(), y.smax()),
	} {
		if p.less(least) {
			least = p
		}
		if most.less(p) {
			most = p
		}
	}
	borrow := U(0)
	if most.lo < least.lo {
		borrow = 1
	}
	if (most.hi-least.hi-borrow)&ones[U]() != 0 {
		return fullArc[U]()
	}
	return between(least.lo, most.lo)
}

// double is x*y in two words, as unsigned numbers.
func double[U Word](x, y U) (hi, lo U) {
	h, l := bits.Mul64(uint64(x), uint64(y))
	w := width[U]()
	return U(h<<(64-w)|l>>w) & ones[U](), U(l) & ones[U]()
}

// int128 is a signed number of two words.
type int128[U Word] struct{ hi, lo U }

func wideProduct[U Word](x, y U) int128[U] {
	hi, lo := double(x, y)
	if signed(x) < 0 {
		hi -= y
	}
	if signed(y) < 0 {
		hi -= x
	}
	return int128[U]{hi & ones[U](), lo}
}

func (a int128[U]) less(b int128[U]) bool {
	return signed(a.hi) < signed(b.hi) || a.hi == b.hi && a.lo < b.lo
}
