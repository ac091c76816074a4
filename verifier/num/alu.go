package num

// Op is an arithmetic operation of RFC 9669.
type Op uint8

const (
	Add Op = iota
	Sub
	Mul
	Div  // by 0 gives 0
	Mod  // by 0 gives the dividend
	SDiv // truncates towards 0; the smallest number by -1 is itself
	SMod // has the dividend's sign
	And
	Or
	Xor
	Lsh // distances are taken modulo the width
	Rsh
	Arsh
)

// ALU has all results of op for numbers of x and y: of whole registers if wide
// is set, else of their lower halves, with zeros above.
func ALU[W, H Word](op Op, wide bool, x, y Product[W, H]) (r Product[W, H]) {
	switch {
	case x.Bits.Mask|y.Bits.Mask == 0 && wide:
		return constant[W, H](compute(op, x.Bits.Value, y.Bits.Value))
	case x.Bits.Mask|y.Bits.Mask == 0:
		return constant[W, H](W(compute(op, x.lowBits().Value, y.lowBits().Value)))
	case !wide:
		v := operate(op, x.low(), y.low())
		r.zeroExtend(v)
	case op == Add:
		r = Product[W, H]{x.Bits.add(y.Bits), x.Wide.add(y.Wide), x.Low.add(y.Low)}
	case op == Sub:
		r = Product[W, H]{x.Bits.sub(y.Bits), x.Wide.sub(y.Wide), x.Low.sub(y.Low)}
	default:
		v := operate(op, x.wide(), y.wide())
		r = Product[W, H]{v.Bits, v.Span, lowSpan(op, &x, &y)}
	}
	r.reduce()
	return r
}

// Neg has 0-x for the numbers of x.
func Neg[W, H Word](wide bool, x Product[W, H]) Product[W, H] {
	return ALU(Sub, wide, Product[W, H]{}, x)
}

// lowSpan is what the lower halves alone say of the lower half of the result.
// Division and right shifts bring down bits from above.
func lowSpan[W, H Word](op Op, x, y *Product[W, H]) Arc[H] {
	switch {
	case op == Lsh && y.Bits.Mask == 0:
		return x.Low.lsh(uint(y.Bits.Value & shiftMask[W]()))
	case op != Mul && op != And && op != Or && op != Xor:
	case x.lowTells() || y.lowTells():
		return operate(op, x.low(), y.low()).Span
	}
	return fullArc[H]()
}

// lowTells tells whether Low knows anything that Wide does not.
func (p *Product[W, H]) lowTells() bool {
	return !p.Low.isFull() && W(p.Low.Size) != p.Wide.Size
}

// operate is ALU at one width.
func operate[U Word](op Op, x, y view[U]) view[U] {
	switch op {
	case Add:
		return view[U]{x.Bits.add(y.Bits), x.Span.add(y.Span)}
	case Sub:
		return view[U]{x.Bits.sub(y.Bits), x.Span.sub(y.Span)}
	case Mul:
		return mul(x, y)
	case Div:
		return div(x, y)
	case Mod:
		return mod(x, y)
	case SDiv:
		return sdiv(x, y)
	case SMod:
		return smod(x, y)
	case And:
		return and(x, y)
	case Or:
		return or(x, y)
	case Xor:
		return xor(x, y)
	}
	return shift(op, x, y)
}

// compute is op on numbers.
func compute[U Word](op Op, x, y U) U {
	switch k := y & shiftMask[U](); op {
	case Add:
		x += y
	case Sub:
		x -= y
	case Mul:
		x *= y
	case Div, Mod, SDiv, SMod:
		return divide(op, x, y)
	case And:
		x &= y
	case Or:
		x |= y
	case Xor:
		x ^= y
	case Lsh:
		x <<= k
	case Rsh:
		x >>= k
	case Arsh:
		x = unsigned[U](signed(x) >> k)
	}
	return x & ones[U]()
}

func divide[U Word](op Op, x, y U) U {
	switch {
	case y == 0 && (op == Mod || op == SMod):
		return x
	case y == 0:
		return 0
	case op == Div:
		return x / y
	case op == Mod:
		return x % y
	case op == SDiv:
		return unsigned[U](signed(x) / signed(y))
	}
	return unsigned[U](signed(x) % signed(y))
}
