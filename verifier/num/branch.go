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
	if !wide {
		a, b, ok := refine(cmp, x.low(), y.low())
		ok = ok && x.learnLow(a) && y.learnLow(b)
		return x, y, ok
	}
	if cmp == Eq {
		z, ok := Meet(x, y)
		return z, z, ok
	}
	a, b, ok := refine(cmp, x.wide(), y.wide())
	ok = ok && x.learn(a) && y.learn(b)
	return x, y, ok
}

func (p *Product[W, H]) learn(v view[W]) bool {
	if v.Bits == p.Bits && v.Span == p.Wide {
		return true
	}
	p.Bits, p.Wide = v.Bits, v.Span
	return p.sync()
}

func (p *Product[W, H]) learnLow(v view[H]) bool {
	if v.Bits == p.lowBits() && v.Span == p.Low {
		return true
	}
	p.setLowBits(v.Bits)
	p.Low = v.Span
	return p.sync()
}

// refine is Branch at one width.
func refine[U Word](cmp Cmp, x, y view[U]) (view[U], view[U], bool) {
	switch cmp {
	case Eq:
		b, ok := x.Bits.meet(y.Bits)
		s, ok2 := x.Span.meet(y.Span)
		return view[U]{b, s}, view[U]{b, s}, ok && ok2
	case Ne:
		return differ(x, y)
	case Lt:
		return less(x, y, 1)
	case Le:
		return less(x, y, 0)
	case Gt, Ge, Sgt, Sge:
		y, x, ok := refine(cmp+(Lt-Gt), y, x)
		return x, y, ok
	case Slt:
		return signedLess(x, y, 1)
	case Sle:
		return signedLess(x, y, 0)
	case Set:
		return meetBits(x, y)
	}
	return missBits(x, y)
}

// differ drops a constant from the end of the other operand.
func differ[U Word](x, y view[U]) (view[U], view[U], bool) {
	ok := true
	if y.isConst() {
		x, ok = x.without(y.Bits.Value)
	} else if x.isConst() {
		y, ok = y.without(x.Bits.Value)
	}
	return x, y, ok
}

// without drops c if it is at an end; a full circle is taken to begin with 0.
func (v view[U]) without(c U) (view[U], bool) {
	switch s := v.Span; {
	case s.Size == 0:
		return v, s.Base != c
	case c == s.Base:
		v.Span = Arc[U]{(c + 1) & ones[U](), s.Size - 1}
	case c == s.end():
		v.Span = Arc[U]{s.Base, s.Size - 1}
	}
	return v, true
}

// less keeps what can be below y by gap or more in x, and above x in y.
func less[U Word](x, y view[U], gap U) (view[U], view[U], bool) {
	lo, hi := x.umin(), y.umax()
	if hi < gap || lo > hi-gap {
		return x, y, false
	}
	ok, ok2 := true, true
	if !x.isConst() {
		x.Span, ok = x.Span.meet(Arc[U]{0, hi - gap})
	}
	if !y.isConst() {
		y.Span, ok2 = y.Span.meet(between(lo+gap, ones[U]()))
	}
	return x, y, ok && ok2
}

// signedLess is less in the order that begins at the sign bit.
func signedLess[U Word](x, y view[U], gap U) (view[U], view[U], bool) {
	first := signBit[U]()
	lo, hi := x.smin()-first, y.smax()-first
	lo, hi = lo&ones[U](), hi&ones[U]()
	if hi < gap || lo > hi-gap {
		return x, y, false
	}
	ok, ok2 := true, true
	if !x.isConst() {
		x.Span, ok = x.Span.meet(arc(first, hi-gap))
	}
	if !y.isConst() {
		y.Span, ok2 = y.Span.meet(between((lo+gap+first)&ones[U](), first-1))
	}
	return x, y, ok && ok2
}

// meetBits: the operands have a 1 in common. If only one bit can be it, it is
// set in both; in any case neither is below the lowest that can.
func meetBits[U Word](x, y view[U]) (view[U], view[U], bool) {
	common := x.possible() & y.possible()
	if common == 0 {
		return x, y, false
	}
	if common&(common-1) == 0 {
		x.Bits = Tnum[U]{x.Bits.Value | common, x.Bits.Mask &^ common}
		y.Bits = Tnum[U]{y.Bits.Value | common, y.Bits.Mask &^ common}
	}
	above := between(common&-common, ones[U]())
	var ok, ok2 bool
	x.Span, ok = x.Span.meet(above)
	y.Span, ok2 = y.Span.meet(above)
	return x, y, ok && ok2
}

// missBits: where one operand has a 1 the other has a 0.
func missBits[U Word](x, y view[U]) (view[U], view[U], bool) {
	if x.Bits.Value&y.Bits.Value != 0 {
		return x, y, false
	}
	x.Bits.Mask, y.Bits.Mask = x.Bits.Mask&^y.Bits.Value, y.Bits.Mask&^x.Bits.Value
	return x, y, true
}
