package num

import "math/bits"

// and: a mask whose ones are in one row rounds and cuts off; bits that the
// other operand does not have may count as ones of it. In general no result is
// above either operand, and x&y = x+y-(x|y) is at least x+y less the largest
// number.
func and[U Word](x, y view[U]) view[U] {
	v := view[U]{x.Bits.and(y.Bits), fullArc[U]()}
	if x.isConst() {
		x, y = y, x
	}
	if y.isConst() {
		m := y.Bits.Value
		if all := m | ones[U]()&^x.possible(); oneRow(all) {
			m = all
		}
		if oneRow(m) {
			v.Span = x.Span.mask(m)
			return v
		}
	}
	least := U(0)
	if a, b := x.umin(), y.umin(); a > ones[U]()-b {
		least = (a + b + 1) & ones[U]()
	}
	v.Span = between(least, min(x.umax(), y.umax()))
	if v.possible()&signBit[U]() != 0 {
		v = v.also(signedRoom(x, y))
	}
	return v
}

func oneRow[U Word](m U) bool {
	m >>= trailing(m)
	return m != 0 && m&(m+1) == 0
}

// signedRoom: if both operands are numbers from -2^n to 2^n-1, so is what
// and, or and xor make of them.
func signedRoom[U Word](x, y view[U]) Arc[U] {
	n := max(signedLength(x.smin()), signedLength(x.smax()), signedLength(y.smin()), signedLength(y.smax()))
	return arc(-(U(1) << n), below[U](n+1))
}

// signedLength is the number of bits that x needs beside its sign.
func signedLength[U Word](x U) uint {
	s := signed(x)
	return uint(bits.Len64(uint64(s ^ s>>63)))
}

// or adds where the operands share no bit; else it is and, of what is not.
func or[U Word](x, y view[U]) view[U] {
	b := x.Bits.or(y.Bits)
	if x.possible()&y.possible() == 0 {
		return view[U]{b, x.Span.add(y.Span)}
	}
	return view[U]{b, and(x.not(), y.not()).Span.not()}
}

func (v view[U]) not() view[U] { return view[U]{v.Bits.not(), v.Span.not()} }

// xor is add where the operands share no bit, and for the sign bit.
func xor[U Word](x, y view[U]) view[U] {
	v := view[U]{x.Bits.xor(y.Bits), fullArc[U]()}
	if v.possible()&signBit[U]() != 0 {
		v.Span = signedRoom(x, y)
	}
	switch {
	case x.possible()&y.possible() == 0, y.is(signBit[U]()), x.is(signBit[U]()):
		return v.also(x.Span.add(y.Span))
	case y.isConst():
		return v.also(x.Span.flip(y.Bits.Value))
	case x.isConst():
		return v.also(y.Span.flip(x.Bits.Value))
	}
	return v
}

func (v view[U]) is(x U) bool { return v.isConst() && v.Bits.Value == x }

// shift joins the results for all distances that y may have.
func shift[U Word](op Op, x, y view[U]) view[U] {
	if y.isConst() {
		k := uint(y.Bits.Value & shiftMask[U]())
		if k == 0 {
			return x
		}
		return shiftBy(op, x, k)
	}
	by := and(y, known(shiftMask[U]()))
	var v view[U]
	none := true
	for k := U(0); k <= shiftMask[U](); k++ {
		if !by.Bits.contains(k) || !by.Span.contains(k) {
			continue
		}
		w := shiftBy(op, x, uint(k))
		if !none {
			w = w.join(v)
		}
		if v, none = w, false; v.Bits.isUnknown() && v.Span.isFull() {
			break
		}
	}
	return v
}

func shiftBy[U Word](op Op, x view[U], k uint) view[U] {
	switch {
	case k == 0 && op == Rsh:
		return x
	case op == Lsh:
		return view[U]{x.Bits.lsh(k), x.Span.lsh(k)}
	case op == Rsh:
		return view[U]{x.Bits.rsh(k), between(x.umin()>>k, x.umax()>>k)}
	}
	lo, hi := unsigned[U](signed(x.smin())>>k), unsigned[U](signed(x.smax())>>k)
	return view[U]{x.Bits.arsh(k), between(lo, hi)}
}
