package num

// div: the quotient grows with x and falls with y.
func div[U Word](x, y view[U]) view[U] {
	lo, hi := y.umin(), y.umax()
	switch {
	case hi == 0:
		return known(U(0))
	case lo == 0:
		return spanning(between(0, x.umax()))
	case hi == 1:
		return x
	}
	v := spanning(between(x.umin()/hi, x.umax()/lo))
	if lo == hi && lo&(lo-1) == 0 {
		v.Bits = x.Bits.rsh(trailing(lo))
	}
	return v
}

// mod is below the divisor and not above the dividend. It is the dividend
// itself if that is smaller or if the divisor is 0.
func mod[U Word](x, y view[U]) view[U] {
	lo, hi := y.umin(), y.umax()
	most := x.umax()
	switch {
	case hi == 0 || most < lo:
		return x
	case lo == hi && lo&(lo-1) == 0:
		return and(x, known(lo-1))
	case lo == hi && x.umin()/lo == most/lo:
		return view[U]{sameLow(x, y), between(x.umin()%lo, most%lo)}
	case lo > 0:
		most = min(most, hi-1)
	}
	return view[U]{sameLow(x, y), between(0, most)}
}

// sameLow: where every divisor is a multiple of 2^n, the n lowest bits of the
// dividend are those of the remainder.
func sameLow[U Word](x, y view[U]) Tnum[U] {
	low := below[U](trailing(y.possible()))
	return Tnum[U]{x.Bits.Value & low, x.Bits.Mask&low | ones[U]()&^low}
}

// sdiv divides by the negative and by the positive divisors apart: for each
// the quotients lie between those of the ends.
func sdiv[U Word](x, y view[U]) view[U] {
	a, b, c, d := signed(x.smin()), signed(x.smax()), signed(y.smin()), signed(y.smax())
	switch {
	case a >= 0 && c >= 0, y.is(1):
		return div(x, y)
	case y.is(ones[U]()):
		return operate(Sub, known(U(0)), x)
	}
	var v Arc[U]
	none := true
	add := func(a Arc[U]) {
		if !none {
			a = a.join(v)
		}
		v, none = a, false
	}
	if y.Bits.contains(0) && y.Span.contains(0) {
		add(Arc[U]{})
	}
	if c < 0 {
		add(quotients[U](a, b, c, min(d, -1)))
	}
	if d > 0 {
		add(quotients[U](a, b, max(c, 1), d))
	}
	return spanning(v)
}

// quotients has those of a..b by c..d, where all of c..d have one sign. The
// smallest number by -1 is itself, out of the order of the others.
func quotients[U Word](a, b, c, d int64) Arc[U] {
	if a == signed(signBit[U]()) && d == -1 {
		return fullArc[U]()
	}
	lo := min(a/c, a/d, b/c, b/d)
	hi := max(a/c, a/d, b/c, b/d)
	return between(unsigned[U](lo), unsigned[U](hi))
}

// smod has the sign of the dividend and less than the divisor's magnitude.
func smod[U Word](x, y view[U]) view[U] {
	a, b, c, d := signed(x.smin()), signed(x.smax()), signed(y.smin()), signed(y.smax())
	least := max(c, -d) // magnitude of a divisor, if it has one sign
	switch {
	case a >= 0 && c >= 0:
		return mod(x, y)
	case y.is(0), -least < a && b < least:
		return x
	}
	lo, hi := min(a, 0), max(b, 0)
	if c > 0 || d < 0 { // no divisor is 0
		most := max(-(c + 1), d-1) // one less than the largest magnitude
		lo, hi = max(lo, -most), min(hi, most)
	}
	return view[U]{sameLow(x, y), between(unsigned[U](lo), unsigned[U](hi))}
}
