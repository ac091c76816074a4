package num

// Cmp is a condition of a jump, as in RFC 9669.
type Cmp uint8

const (
	Eq Cmp = iota
	Ne
	Gt
	Ge
	Lt
	Le
	Set // x&y is not 0
	Sgt
	Sge
	Slt
	Sle
	unset // x&y is 0: what Set is when it is not taken
)

// opposite holds where a condition does not.
var opposite = [...]Cmp{
	Eq: Ne, Ne: Eq, Gt: Le, Ge: Lt, Lt: Ge, Le: Gt, Set: unset,
	Sgt: Sle, Sge: Slt, Slt: Sge, Sle: Sgt, unset: Set,
}

// Branch is what is known of x and y where "x cmp y" holds (taken) or does not
// (not taken); of whole registers if wide is set, else of their lower halves.
// It is false if that cannot be, for any numbers of x and y.
func Branch[W, H Word](cmp Cmp, wide, taken bool, x, y Product[W, H]) (x2, y2 Product[W, H], ok bool) {
	if !taken {
		cmp = opposite[cmp]
	}
	if cmp == Eq && wide {
		x, ok = Meet(x, y)
		return x, x, ok
	}
	if wide {
		a, b := x.wide(), y.wide()
		ok = refine(cmp, &a, &b) && x.learn(&a) && y.learn(&b)
	} else {
		a, b := x.low(), y.low()
		ok = refine(cmp, &a, &b) && x.learnLow(&a) && y.learnLow(&b)
	}
	return x, y, ok
}

func (p *Product[W, H]) learn(v *view[W]) bool {
	if v.Bits == p.Bits && v.Span == p.Wide {
		return true
	}
	p.Bits, p.Wide = v.Bits, v.Span
	return p.sync()
}

func (p *Product[W, H]) learnLow(v *view[H]) bool {
	if v.Bits == p.lowBits() && v.Span == p.Low {
		return true
	}
	p.setLowBits(v.Bits)
	p.Low = v.Span
	return p.sync()
}

// refine is Branch at one width, for conditions that are taken.
func refine[U Word](cmp Cmp, x, y *view[U]) bool {
	switch cmp {
	case Eq:
		return equal(x, y)
	case Ne:
		return differ(x, y)
	case Lt:
		return less(x, y, 1)
	case Le:
		return less(x, y, 0)
	case Gt:
		return less(y, x, 1)
	case Ge:
		return less(y, x, 0)
	case Slt:
		return signedLess(x, y, 1)
	case Sle:
		return signedLess(x, y, 0)
	case Sgt:
		return signedLess(y, x, 1)
	case Sge:
		return signedLess(y, x, 0)
	case Set:
		return share(x, y)
	}
	return shareNone(x, y)
}

func equal[U Word](x, y *view[U]) bool {
	b, ok := x.Bits.meet(y.Bits)
	s, ok2 := x.Span.meet(y.Span)
	*x, *y = view[U]{b, s}, view[U]{b, s}
	return ok && ok2
}

// differ drops a constant from the end of the other operand.
func differ[U Word](x, y *view[U]) bool {
	switch {
	case y.isConst():
		return x.drop(y.Bits.Value)
	case x.isConst():
		return y.drop(x.Bits.Value)
	}
	return true
}

// drop drops c if it is at an end; a full circle is taken to begin with 0.
func (v *view[U]) drop(c U) bool {
	switch s := v.Span; {
	case s.Size == 0:
		return s.Base != c
	case c == s.Base:
		v.Span = Arc[U]{(c + 1) & ones[U](), s.Size - 1}
	case c == s.end():
		v.Span = Arc[U]{s.Base, s.Size - 1}
	}
	return true
}

// less keeps of x what can be below some of y by gap or more, and of y what can
// be above some of x.
func less[U Word](x, y *view[U], gap U) bool {
	lo, hi := x.umin(), y.umax()
	if hi < gap || lo > hi-gap {
		return false
	}
	return x.keep(Arc[U]{0, hi - gap}) && y.keep(arc(lo+gap, ones[U]()-lo-gap))
}

// signedLess is less in the order that begins with the sign bit.
func signedLess[U Word](x, y *view[U], gap U) bool {
	first := signBit[U]()
	lo, hi := x.smin()^first, y.smax()^first
	if hi < gap || lo > hi-gap {
		return false
	}
	return x.keep(arc(first, hi-gap)) && y.keep(arc(lo+gap+first, ones[U]()-lo-gap))
}

// keep drops what is not in a. A constant that it is called for is in it.
func (v *view[U]) keep(a Arc[U]) (ok bool) {
	if v.isConst() {
		return true
	}
	v.Span, ok = v.Span.meet(a)
	return ok
}

// share: the operands have a 1 in common. If only one bit can be it, it is set
// in both; in any case neither is below the lowest bit that can.
func share[U Word](x, y *view[U]) bool {
	common := x.possible() & y.possible()
	if common == 0 {
		return false
	}
	if common&(common-1) == 0 {
		x.Bits = Tnum[U]{x.Bits.Value | common, x.Bits.Mask &^ common}
		y.Bits = Tnum[U]{y.Bits.Value | common, y.Bits.Mask &^ common}
	}
	above := between(common&-common, ones[U]())
	return x.keep(above) && y.keep(above)
}

// shareNone: where one operand has a 1 the other has a 0.
func shareNone[U Word](x, y *view[U]) bool {
	x.Bits.Mask, y.Bits.Mask = x.Bits.Mask&^y.Bits.Value, y.Bits.Mask&^x.Bits.Value
	return x.Bits.Value&y.Bits.Value == 0
}
