package num

import "math/bits"

// Concrete semantics, written apart from the package: on ints, from the words
// of RFC 9669.
func concrete(op Op, w uint, x, y int) int {
	m := 1 << w
	sx, sy := toSigned(x, w), toSigned(y, w)
	k := y & (1<<bits.Len(w-1) - 1)
	switch op {
	case Add:
		return (x + y) % m
	case Sub:
		return (x - y + m) % m
	case Mul:
		return x * y % m
	case Div:
		if y == 0 {
			return 0
		}
		return x / y
	case Mod:
		if y == 0 {
			return x
		}
		return x % y
	case SDiv:
		if y == 0 {
			return 0
		}
		return (sx/sy + 2*m) % m
	case SMod:
		if y == 0 {
			return x
		}
		return (sx%sy + m) % m
	case And:
		return x & y
	case Or:
		return x | y
	case Xor:
		return x ^ y
	case Lsh:
		return x << k % m
	case Rsh:
		return x >> k
	case Arsh:
		return (sx>>k + m) % m
	}
	panic("no such operation")
}

func toSigned(x int, w uint) int {
	if x >= 1<<(w-1) {
		return x - 1<<w
	}
	return x
}

func holds(cmp Cmp, w uint, x, y int) bool {
	sx, sy := toSigned(x, w), toSigned(y, w)
	switch cmp {
	case Eq:
		return x == y
	case Ne:
		return x != y
	case Gt:
		return x > y
	case Ge:
		return x >= y
	case Lt:
		return x < y
	case Le:
		return x <= y
	case Set:
		return x&y != 0
	case Sgt:
		return sx > sy
	case Sge:
		return sx >= sy
	case Slt:
		return sx < sy
	case Sle:
		return sx <= sy
	}
	panic("no such condition")
}

// apply is op on whole registers or lower halves.
func apply(op Op, wide bool, x, y int) int {
	if wide {
		return concrete(op, width[big](), x, y)
	}
	m := int(ones[small]())
	return concrete(op, width[small](), x&m, y&m)
}

// compare is cmp on whole registers or lower halves.
func compare(cmp Cmp, wide bool, x, y int) bool {
	if wide {
		return holds(cmp, width[big](), x, y)
	}
	m := int(ones[small]())
	return holds(cmp, width[small](), x&m, y&m)
}

var allOps = []Op{Add, Sub, Mul, Div, Mod, SDiv, SMod, And, Or, Xor, Lsh, Rsh, Arsh}

var allCmps = []Cmp{Eq, Ne, Gt, Ge, Lt, Le, Set, Sgt, Sge, Slt, Sle}

func signExtended(v, n int, wide bool) int {
	v = toSigned(v&(1<<n-1), uint(n))
	if wide {
		return v & int(ones[big]())
	}
	return v & int(ones[small]())
}
