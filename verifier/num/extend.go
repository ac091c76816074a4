package num

import "math/bits"

// SignExtend takes the lowest bits of x, from of them (8, 16, 32), as a signed
// number and extends it to a whole register, or if wide is not set to the
// lower half, with zeros above.
func SignExtend[W, H Word](x Product[W, H], from int, wide bool) (r Product[W, H]) {
	half := uint(from) >= width[H]()
	low := x.low()
	if !half {
		low = low.signExtend(uint(from))
	}
	if !wide {
		r.zeroExtend(low)
		r.reduce()
		return r
	}
	if w := x.wide(); fits(w.smin(), from) && fits(w.smax(), from) {
		return x
	}
	s := width[W]() - width[H]()
	lo, hi := signed(low.smin()), signed(low.smax())
	r = Product[W, H]{
		Bits: Tnum[W]{W(low.Bits.Value), W(low.Bits.Mask)}.lsh(s).arsh(s),
		Wide: between(unsigned[W](lo), unsigned[W](hi)),
		Low:  low.Span,
	}
	r.reduce()
	return r
}

// fits tells whether x is a signed number of n bits.
func fits[U Word](x U, n int) bool { return signedLength(x) < uint(n) }

func (v view[U]) signExtend(n uint) view[U] {
	if fits(v.smin(), int(n)) && fits(v.smax(), int(n)) {
		return v
	}
	s := width[U]() - n
	b := v.Bits.lsh(s).arsh(s)
	// Moved up, what does not fit into n bits is gone; what is left is an arc
	// unless it crosses the border of the n bits.
	up := v.Span.lsh(s)
	lo, hi := signed(up.Base)>>s, signed(up.end())>>s
	if up.crosses() {
		lo, hi = -1<<(n-1), 1<<(n-1)-1
	}
	return view[U]{b, between(unsigned[U](lo), unsigned[U](hi))}
}

// ZeroExtend keeps the lowest bits of x, as many as said (8, 16, 32), with
// zeros above.
func ZeroExtend[W, H Word](x Product[W, H], bits int) (r Product[W, H]) {
	if uint(bits) == width[H]() {
		r.zeroExtend(x.low())
		r.reduce()
		return r
	}
	return ALU(And, true, x, constant[W, H](below[W](uint(bits))))
}

// Truncated is what loads of 1, 2, 4 or 8 bytes find where x has been stored
// with the same size.
func Truncated(x Scalar, bytes int) Scalar {
	if bytes == 8 {
		return x
	}
	return ZeroExtend(x, 8*bytes)
}

// ByteSwap reverses the lowest 2, 4 or 8 bytes of x (16, 32, 64 bits), with
// zeros above. Of the order of numbers it leaves nothing, of single bits all.
func ByteSwap(x Scalar, size int) Scalar {
	swap := func(v uint64) uint64 { return bits.ReverseBytes64(v) >> (64 - size) }
	s := unknown[uint64, uint32]()
	s.Bits = Tnum[uint64]{swap(x.Bits.Value), swap(x.Bits.Mask)}
	s.reduce()
	return s
}
