package num

// view is an operand as an operation sees it: at one width, all of a register
// or the lower half. Every operation is written once for views, and so is the
// same code at 64 bits and at 32.
//
// The bounds of a view are those of its span; where the span goes around the
// end of an order, those that the bits allow are left.
type view[U Word] struct {
	Bits Tnum[U]
	Span Arc[U]
}

func (p *Product[W, H]) wide() view[W] { return view[W]{p.Bits, p.Wide} }

func (p *Product[W, H]) low() view[H] { return view[H]{p.lowBits(), p.Low} }

// zeroExtend makes p the result v of a 32-bit operation, to be reduced.
func (p *Product[W, H]) zeroExtend(v view[H]) {
	p.Bits = Tnum[W]{W(v.Bits.Value), W(v.Bits.Mask)}
	p.Wide = between(W(v.umin()), W(v.umax()))
	p.Low = v.Span
}

func known[U Word](x U) view[U] { return view[U]{Tnum[U]{Value: x}, Arc[U]{Base: x}} }

func spanning[U Word](a Arc[U]) view[U] { return view[U]{a.bits(), a} }

func (v view[U]) isConst() bool { return v.Bits.Mask == 0 }

func (v view[U]) umin() U {
	if v.Span.wraps() {
		return v.Bits.Value
	}
	return v.Span.Base
}

func (v view[U]) umax() U {
	if v.Span.wraps() {
		return v.Bits.Value | v.Bits.Mask
	}
	return v.Span.end()
}

// smin and smax are words; signed reads them.
func (v view[U]) smin() U {
	if v.Span.crosses() {
		return v.Bits.Value | v.Bits.Mask&signBit[U]()
	}
	return v.Span.Base
}

func (v view[U]) smax() U {
	if v.Span.crosses() {
		return v.Bits.Value | v.Bits.Mask&^signBit[U]()
	}
	return v.Span.end()
}

// possible has the bits that some number may have.
func (v view[U]) possible() U { return v.Bits.Value | v.Bits.Mask }

func (v view[U]) join(u view[U]) view[U] {
	return view[U]{v.Bits.join(u.Bits), v.Span.join(u.Span)}
}

// also narrows the span to a, which is known to have all results as well.
func (v view[U]) also(a Arc[U]) view[U] {
	v.Span, _ = v.Span.meet(a)
	return v
}
