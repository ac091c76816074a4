package num

import (
	"math/bits"
	"testing"
)

// The proofs run the package's own code on words of a few bits and try all
// operands. A set of numbers is a word of bits: number v is bit v.

// model sets the widths of uint16 and uint8 for one test.
func model(t testing.TB, wide, low uint8) {
	old := modelWidth
	modelWidth = [3]uint8{1: low, 2: wide}
	t.Cleanup(func() { modelWidth = old })
}

type (
	big   = uint16
	small = uint8
	prod  = Product[big, small]
)

func arcs[U Word]() []Arc[U] {
	all := []Arc[U]{fullArc[U]()}
	for base := range int(ones[U]()) + 1 {
		for size := range int(ones[U]()) {
			all = append(all, Arc[U]{U(base), U(size)})
		}
	}
	return all
}

func tnums[U Word]() []Tnum[U] {
	var all []Tnum[U]
	for mask := range int(ones[U]()) + 1 {
		for value := range int(ones[U]()) + 1 {
			if value&mask == 0 {
				all = append(all, Tnum[U]{U(value), U(mask)})
			}
		}
	}
	return all
}

// setOf has the numbers of any of the abstract ones.
func setOf[U Word](contains func(U) bool) (set uint64) {
	for v := range int(ones[U]()) + 1 {
		if contains(U(v)) {
			set |= 1 << v
		}
	}
	return set
}

// members is the other way round, for range loops.
func members(set uint64) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for ; set != 0; set &= set - 1 {
			if !yield(bits.TrailingZeros64(set)) {
				return
			}
		}
	}
}

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

// bestArc is the size of the smallest arc around a set, bestTnum the tnum.
func bestArc(set uint64, w uint) int {
	n := 1 << w
	longest, run := 0, 0
	for i := range 2 * n {
		if run++; set>>(i%n)&1 == 1 {
			run = 0
		}
		longest = max(longest, run)
	}
	return n - longest - 1
}

func bestTnum(set uint64) (t Tnum[big]) {
	first := true
	for v := range members(set) {
		u := Tnum[big]{Value: big(v)}
		if !first {
			u = u.join(t)
		}
		t, first = u, false
	}
	return t
}

// score counts how many results were as sharp as they can be.
type score struct{ All, Bits, Wide, Set int }

func (s *score) count(r prod, exact uint64) {
	s.All++
	if r.Bits == bestTnum(exact) {
		s.Bits++
	}
	if int(r.Wide.Size) <= bestArc(exact, width[big]()) {
		s.Wide++
	}
	if setOf(r.Contains) == exact {
		s.Set++
	}
}

// a set of products, and what each of them contains.
type universe struct {
	of   []prod
	sets []uint64
}

func universeOf(ps []prod) (u universe) {
	seen := map[prod]bool{}
	for _, p := range ps {
		if !seen[p] {
			seen[p] = true
			u.of = append(u.of, p)
			u.sets = append(u.sets, setOf(p.Contains))
		}
	}
	return u
}

// fromTnums and fromArcs are all that can be known of bits alone, and all
// ranges of registers and of lower halves.
func fromTnums() universe {
	var ps []prod
	for _, t := range tnums[big]() {
		p := unknown[big, small]()
		p.Bits = t
		ps = append(ps, p.synced())
	}
	return universeOf(ps)
}

func fromArcs() universe {
	var ps []prod
	for _, a := range arcs[big]() {
		p := unknown[big, small]()
		p.Wide = a
		ps = append(ps, p.synced())
	}
	for _, a := range arcs[small]() {
		p := unknown[big, small]()
		p.Low = a
		ps = append(ps, p.synced())
	}
	return universeOf(ps)
}

// everything is each combination of a tnum, an arc and an arc of the lower
// half that has a number.
func everything() universe {
	var ps []prod
	for _, t := range tnums[big]() {
		for _, w := range arcs[big]() {
			for _, l := range arcs[small]() {
				if p := (prod{t, w, l}); p.sync() {
					ps = append(ps, p)
				}
			}
		}
	}
	return universeOf(ps)
}

var allOps = []Op{Add, Sub, Mul, Div, Mod, SDiv, SMod, And, Or, Xor, Lsh, Rsh, Arsh}

var allCmps = []Cmp{Eq, Ne, Gt, Ge, Lt, Le, Set, Sgt, Sge, Slt, Sle}

// proveALU tries op on all pairs. The set of results for one x and all of y is
// found once for each y.
func proveALU(t *testing.T, u universe, op Op, wide bool) (s score) {
	n := int(ones[big]()) + 1
	results := make([]uint64, n*len(u.of))
	for i, ys := range u.sets {
		for x := range n {
			for y := range members(ys) {
				results[i*n+x] |= 1 << apply(op, wide, x, y)
			}
		}
	}
	for i, x := range u.of {
		for j, y := range u.of {
			var exact uint64
			for v := range members(u.sets[i]) {
				exact |= results[j*n+v]
			}
			r := ALU(op, wide, x, y)
			if exact&^setOf(r.Contains) != 0 {
				t.Fatalf("%v wide=%v: %v, %v: %v has not all of %b", op, wide, x, y, r, exact)
			}
			s.count(r, exact)
		}
	}
	return s
}

// proveBranch tries a condition on all pairs. It is sharp if what is left of x
// is what some y satisfies, and if nothing is left where nothing does.
func proveBranch(t *testing.T, u universe, cmp Cmp, wide, taken bool) (s branchScore) {
	n := int(ones[big]()) + 1
	partners := make([]uint64, n) // of x: the y that satisfy
	for x := range n {
		for y := range n {
			if compare(cmp, wide, x, y) == taken {
				partners[x] |= 1 << y
			}
		}
	}
	for i, x := range u.of {
		for j, y := range u.of {
			var xs, ys uint64
			for v := range members(u.sets[i]) {
				if p := partners[v] & u.sets[j]; p != 0 {
					xs |= 1 << v
					ys |= p
				}
			}
			x2, y2, ok := Branch(cmp, wide, taken, x, y)
			s.All++
			if !ok && xs != 0 {
				t.Fatalf("%v wide=%v taken=%v: %v, %v can be", cmp, wide, taken, x, y)
			}
			if !ok || xs == 0 {
				if !ok {
					s.Dead++
				} else {
					s.Missed++
				}
				continue
			}
			if xs&^setOf(x2.Contains) != 0 || ys&^setOf(y2.Contains) != 0 {
				t.Fatalf("%v wide=%v taken=%v: %v, %v: %v has not all of %b or %v of %b", cmp, wide, taken, x, y, x2, xs, y2, ys)
			}
			if setOf(x2.Contains) == xs && setOf(y2.Contains) == ys {
				s.Set++
			}
		}
	}
	return s
}

type branchScore struct{ All, Dead, Missed, Set int }

func proveSync(t *testing.T) (s struct{ All, Empty, Bits, Wide, Low int }) {
	tn, wi, lo := tnums[big](), arcs[big](), arcs[small]()
	ws, ls := make([]uint64, len(wi)), make([]uint64, len(lo))
	for i, a := range wi {
		ws[i] = setOf(a.contains)
	}
	for i, a := range lo {
		ls[i] = setOf(func(v big) bool { return a.contains(lower[big, small](v)) })
	}
	for _, b := range tn {
		bs := setOf(b.contains)
		for i, w := range wi {
			for j, l := range lo {
				exact := bs & ws[i] & ls[j]
				p := prod{b, w, l}
				ok := p.sync()
				s.All++
				if exact == 0 {
					if !ok {
						s.Empty++
					}
					continue
				}
				if got := setOf(p.Contains); !ok || exact&^got != 0 {
					t.Fatalf("%v %v %v: %v has not all of %b", b, w, l, p, exact)
				}
				q := p
				if !q.sync() || p != q {
					t.Fatalf("%v %v %v: sync gives %v, and again %v", b, w, l, p, q)
				}
				if p.Bits == bestTnum(exact) {
					s.Bits++
				}
				if int(p.Wide.Size) <= bestArc(exact, width[big]()) {
					s.Wide++
				}
				var low uint64
				for v := range members(exact) {
					low |= 1 << lower[big, small](big(v))
				}
				if int(p.Low.Size) <= bestArc(low, width[small]()) {
					s.Low++
				}
			}
		}
	}
	return s
}

func proveLattice(t *testing.T, u universe) (s struct{ All, Leq, LeqBest, Join, JoinBest, Empty, EmptyBest, MeetBest int }) {
	for i, x := range u.of {
		for j, y := range u.of {
			xs, ys := u.sets[i], u.sets[j]
			s.All++
			leq := x.Leq(y)
			if leq {
				s.Leq++
			}
			if xs&^ys == 0 {
				s.LeqBest++
			} else if leq {
				t.Fatalf("%v is said to be within %v", x, y)
			}
			if z := Join(x, y); (xs|ys)&^setOf(z.Contains) != 0 || z != Join(y, x) || !x.Leq(z) {
				t.Fatalf("join of %v and %v is %v (%#v %#v %#v %v)", x, y, z, x, z, Join(y, x), x.Leq(z))
			} else if int(z.Wide.Size) <= bestArc(xs|ys, width[big]()) {
				s.JoinBest++
			}
			z, ok := Meet(x, y)
			if !ok {
				s.Empty++
			}
			if xs&ys == 0 {
				s.EmptyBest++
			} else if z2, _ := Meet(y, x); !ok || xs&ys&^setOf(z.Contains) != 0 || z != z2 {
				t.Fatalf("meet of %v and %v is %v, %v", x, y, z, z2)
			} else if xs&ys == setOf(z.Contains) {
				s.MeetBest++
			}
		}
	}
	return s
}
