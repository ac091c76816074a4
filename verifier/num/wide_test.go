package num

import "testing"

// TestWide has the same proofs where they take minutes: all pairs at 6/3 bits,
// 8/4 bits, and all that can be known of both operands at 4/2. Of 8 bits only
// that it is sound is tried.
func TestWide(t *testing.T) {
	if !*wideProofs {
		t.Skip("needs -wide (and -timeout 0)")
	}
	for _, c := range []struct {
		name      string
		wide, low uint8
		prove     func(*testing.T)
	}{
		{"products", 4, 2, wideProducts},
		{"pairs", 6, 3, widePairs},
		{"sync", 6, 3, wideSync},
		{"tnums", 8, 4, func(t *testing.T) { t.Log(proveTnums(t)) }},
		{"bits", 8, 4, func(t *testing.T) {
			bits := products(tnums[big](), full[big](), full[small]())
			soundPairs(t, bits, bits)
		}},
		{"constants", 8, 4, func(t *testing.T) {
			arcs := products(unknownBits(), arcs[big](), full[small]())
			constants := arcs[:0:0]
			for v := range ones[big]() + 1 {
				constants = append(constants, constant[big, small](v))
			}
			soundPairs(t, arcs, constants)
			soundPairs(t, constants, arcs)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			model(t, c.wide, c.low)
			c.prove(t)
		})
	}
}

func wideProducts(t *testing.T) {
	u := everything()
	for _, wide := range []bool{true, false} {
		var p precision
		p.pairs(t, "everything", u, u, wide)
		t.Log(p.String())
	}
}

func widePairs(t *testing.T) {
	u := united(fromTnums(), fromArcs())
	var p precision
	p.pairs(t, "bits and arcs", u, u, true)
	p.compare(t, "sixpairs.txt")
	for _, cmp := range allCmps {
		proveBranch(t, u, u, cmp, true, false)
	}
}

func wideSync(t *testing.T) {
	var p precision
	s, empty, unseen := proveSync(t, tnums[big](), arcs[big](), arcs[small]())
	p.add(s, "sync 6/3 empty %d unseen %d", empty, unseen)
	p.compare(t, "sixsync.txt")
}

// set256 is a set of numbers of eight bits.
type set256 [4]uint64

func (s *set256) add(v int) { s[v>>6] |= 1 << (v & 63) }

func (s *set256) unite(u *set256) {
	for i := range s {
		s[i] |= u[i]
	}
}

// within tells whether all of s is in u.
func (s *set256) within(u *set256) bool {
	return s[0]&^u[0]|s[1]&^u[1]|s[2]&^u[2]|s[3]&^u[3] == 0
}

func (s *set256) meet(u *set256) set256 {
	return set256{s[0] & u[0], s[1] & u[1], s[2] & u[2], s[3] & u[3]}
}

func (s *set256) without(u *set256) set256 {
	return set256{s[0] &^ u[0], s[1] &^ u[1], s[2] &^ u[2], s[3] &^ u[3]}
}

func (s *set256) each(f func(v int)) {
	for i, word := range s {
		for v := range members(word) {
			f(64*i + v)
		}
	}
}

// eight has the sets of views of eight bits whose lower half has four.
type eight struct {
	tnums, wide, low [256][256]set256
}

func newEight() *eight {
	e := new(eight)
	for v := range 256 {
		for _, t := range tnums[big]() {
			if t.contains(big(v)) {
				e.tnums[t.Value][t.Mask].add(v)
			}
		}
		for _, a := range arcs[big]() {
			if a.contains(big(v)) {
				e.wide[a.Base][a.Size].add(v)
			}
		}
		for _, a := range arcs[small]() {
			if a.contains(small(v & 15)) {
				e.low[a.Base][a.Size].add(v)
			}
		}
	}
	return e
}

func (e *eight) set(p prod) set256 {
	t, w, l := &e.tnums[p.Bits.Value][p.Bits.Mask], &e.wide[p.Wide.Base][p.Wide.Size], &e.low[p.Low.Base][p.Low.Size]
	return set256{t[0] & w[0] & l[0], t[1] & w[1] & l[1], t[2] & w[2] & l[2], t[3] & w[3] & l[3]}
}

func (e *eight) sets(ps []prod) []set256 {
	all := make([]set256, len(ps))
	for i, p := range ps {
		all[i] = e.set(p)
	}
	return all
}

// soundPairs tries all operations and conditions on all of xs with all of ys.
func soundPairs(t *testing.T, xs, ys []prod) {
	e := newEight()
	for _, wide := range []bool{true, false} {
		for _, op := range allOps {
			e.proveALU(t, xs, ys, op, wide)
		}
		for _, cmp := range allCmps {
			e.proveBranch(t, xs, ys, cmp, wide, true)
			e.proveBranch(t, xs, ys, cmp, wide, false)
		}
	}
}

func (e *eight) proveALU(t *testing.T, xs, ys []prod, op Op, wide bool) {
	var results [256][256]int
	for x := range 256 {
		for y := range 256 {
			results[x][y] = apply(op, wide, x, y)
		}
	}
	xsets, ysets := e.sets(xs), e.sets(ys)
	for j, y := range ys {
		var with [256]set256 // results of one number and any of y
		for x := range 256 {
			ysets[j].each(func(v int) { with[x].add(results[x][v]) })
		}
		var exact, done set256
		for i, x := range xs {
			if !done.within(&xsets[i]) {
				exact, done = set256{}, set256{}
			}
			more := xsets[i].without(&done)
			more.each(func(v int) { exact.unite(&with[v]) })
			done = xsets[i]
			r := ALU(op, wide, x, y)
			if has := e.set(r); !exact.within(&has) {
				t.Fatalf("%v wide=%v: %v, %v: %v has not all of %b", op, wide, x, y, r, exact)
			}
		}
	}
}

func (e *eight) proveBranch(t *testing.T, xs, ys []prod, cmp Cmp, wide, taken bool) {
	able := func(x, y int) bool { return compare(cmp, wide, x, y) == taken }
	xsets, ysets := e.sets(xs), e.sets(ys)
	forY := partners256(ysets, able)
	forX := partners256(xsets, func(y, x int) bool { return able(x, y) })
	for i, x := range xs {
		for j, y := range ys {
			x1, y1 := xsets[i].meet(&forY[j]), ysets[j].meet(&forX[i])
			x2, y2, ok := Branch(cmp, wide, taken, x, y)
			if !ok && x1 != (set256{}) {
				t.Fatalf("%v wide=%v taken=%v: %v, %v can be", cmp, wide, taken, x, y)
			}
			if x3, y3 := e.set(x2), e.set(y2); ok && (!x1.within(&x3) || !y1.within(&y3)) {
				t.Fatalf("%v wide=%v taken=%v: %v, %v: %v or %v has not all", cmp, wide, taken, x, y, x2, y2)
			}
		}
	}
}

// partners256 is partners for eight bits.
func partners256(sets []set256, able func(v, of int) bool) []set256 {
	var of [256]set256
	for i := range 256 {
		for v := range 256 {
			if able(v, i) {
				of[i].add(v)
			}
		}
	}
	all := make([]set256, len(sets))
	for i := range sets {
		sets[i].each(func(v int) { all[i].unite(&of[v]) })
	}
	return all
}
