package num

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is proved by trying all operands:
//
//   - tnums alone at 6 bits, arcs alone at 5: tnum_test.go, arc_test.go
//   - sync on all combinations of views, at 4/2, 4/3 and 5/2 bits
//   - each operation and condition on all that can be known of a register
//     without its lower half, at 4/2 bits; the same of a lower half of 3 bits;
//     on all that can be known of both, at 3/1 and 3/2 bits
//   - Leq, Join, Meet and Widen on all that can be known, at 4/2 bits
//
// How precise the results are is in testdata: a change shows there.

var update = flag.Bool("update", false, "write the golden files")

// A score counts results: how many were as sharp as their bits, their arc or
// the three views together can be for what is really possible.
type score struct{ All, Bits, Wide, Exact int }

func (s *score) count(r prod, exact uint64) {
	s.All++
	if r.Bits == bestTnum(exact) {
		s.Bits++
	}
	if int(r.Wide.Size) <= bestArc(exact, width[big]()) {
		s.Wide++
	}
	if set(r) == exact {
		s.Exact++
	}
}

func (s score) String() string {
	of := func(n int) string { return fmt.Sprintf("%8d %5.1f%%", n, 100*float64(n)/float64(s.All)) }
	return fmt.Sprintf("%8d  bits %s  arc %s  exact %s", s.All, of(s.Bits), of(s.Wide), of(s.Exact))
}

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
			if exact&^set(r) != 0 {
				t.Fatalf("%v wide=%v: %v, %v: %v has not all of %b", op, wide, x, y, r, exact)
			}
			if exact != 0 {
				s.count(r, exact)
			}
		}
	}
	return s
}

func proveUnary(t *testing.T, u universe, name string, f func(prod) prod, number func(int) int) (s score) {
	for i, x := range u.of {
		var exact uint64
		for v := range members(u.sets[i]) {
			exact |= 1 << number(v)
		}
		r := f(x)
		if exact&^set(r) != 0 {
			t.Fatalf("%s of %v: %v has not all of %b", name, x, r, exact)
		}
		if exact != 0 {
			s.count(r, exact)
		}
	}
	return s
}

// branchScore counts pairs: for how many a condition cannot be, for how many of
// these that was not seen, and for how many both operands became exact.
type branchScore struct{ All, Never, Unseen, Exact int }

func (s branchScore) String() string {
	return fmt.Sprintf("%8d  never %8d  unseen %6d  exact %8d %5.1f%%", s.All, s.Never, s.Unseen, s.Exact,
		100*float64(s.Exact)/float64(s.All-s.Never))
}

// proveBranch tries a condition on all pairs.
func proveBranch(t *testing.T, u universe, cmp Cmp, wide, taken bool) (s branchScore) {
	n := int(ones[big]()) + 1
	partners := make([]uint64, n) // of x: the y that satisfy it
	for x := range n {
		partners[x] = setOf(func(y big) bool { return compare(cmp, wide, x, int(y)) == taken })
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
			switch {
			case !ok && xs != 0:
				t.Fatalf("%v wide=%v taken=%v: %v, %v can be", cmp, wide, taken, x, y)
			case ok && (xs&^set(x2) != 0 || ys&^set(y2) != 0):
				t.Fatalf("%v wide=%v taken=%v: %v, %v: %v has not all of %b or %v of %b", cmp, wide, taken, x, y, x2, xs, y2, ys)
			case xs == 0:
				s.Never++
				if ok {
					s.Unseen++
				}
			case set(x2) == xs && set(y2) == ys:
				s.Exact++
			}
		}
	}
	return s
}

// proveSync tries all combinations of views.
func proveSync(t *testing.T) (s score, empty, unseen int) {
	for _, b := range tnums[big]() {
		for _, w := range arcs[big]() {
			for _, l := range arcs[small]() {
				p := prod{b, w, l}
				exact := set(p)
				ok := p.sync()
				if exact == 0 {
					if empty++; ok {
						unseen++
					}
					continue
				}
				if !ok || exact&^set(p) != 0 {
					t.Fatalf("%v, %v, %v: %v has not all of %b", b, w, l, p, exact)
				}
				if q := p; !q.sync() || p != q {
					t.Fatalf("%v, %v, %v: sync gives %v, and again %v", b, w, l, p, q)
				}
				s.count(p, exact)
			}
		}
	}
	return s, empty, unseen
}

// precision collects scores, to be compared with the golden file.
type precision struct{ strings.Builder }

func (p *precision) add(score fmt.Stringer, format string, args ...any) {
	fmt.Fprintf(p, "%-28s %v\n", fmt.Sprintf(format, args...), score)
}

func (p *precision) compare(t *testing.T, name string) {
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(p.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.String(); got != string(want) {
		t.Errorf("the precision has changed (-update if that is meant):\n%s", got)
	}
}

// proveAll is for one universe: all operations and conditions.
func proveAll(t *testing.T, name string, u universe, widths ...bool) {
	var p precision
	for _, wide := range widths {
		for _, op := range allOps {
			p.add(proveALU(t, u, op, wide), "%v wide=%v", op, wide)
		}
		for _, cmp := range allCmps {
			p.add(proveBranch(t, u, cmp, wide, true), "x %v y wide=%v", cmp, wide)
		}
		p.add(proveBranch(t, u, Set, wide, false), "not x & y wide=%v", wide)
		for n := 1; n <= int(width[small]()); n++ {
			p.add(proveUnary(t, u, "sign extension", func(x prod) prod { return SignExtend(x, n, wide) }, func(v int) int {
				return signExtended(v, n, wide)
			}), "sign extend %d wide=%v", n, wide)
		}
		p.add(proveUnary(t, u, "neg", func(x prod) prod { return Neg(wide, x) }, func(v int) int {
			return apply(Sub, wide, 0, v)
		}), "neg wide=%v", wide)
	}
	for n := 1; n <= int(width[big]()); n++ {
		p.add(proveUnary(t, u, "zero extension", func(x prod) prod { return ZeroExtend(x, n) }, func(v int) int {
			return v & (1<<n - 1)
		}), "zero extend %d", n)
	}
	p.compare(t, name)
}

func TestRegisters(t *testing.T) {
	model(t, 4, 2)
	proveAll(t, "registers.txt", fromWide(), true)
}

func TestLowerHalves(t *testing.T) {
	model(t, 4, 3)
	proveAll(t, "halves.txt", fromLow(), false)
}

func TestProducts(t *testing.T) {
	model(t, 3, 1)
	proveAll(t, "products31.txt", everything(), true, false)
	model(t, 3, 2)
	proveAll(t, "products32.txt", everything(), true, false)
}

// A condition that is not taken is its opposite that is.
func TestNotTaken(t *testing.T) {
	model(t, 3, 2)
	u := everything()
	for _, cmp := range allCmps {
		proveBranch(t, u, cmp, true, false)
		proveBranch(t, u, cmp, false, false)
	}
}

func TestSync(t *testing.T) {
	var p precision
	for _, w := range [][2]uint8{{4, 2}, {4, 3}, {5, 2}} {
		model(t, w[0], w[1])
		s, empty, unseen := proveSync(t)
		p.add(s, "sync %d/%d empty %d unseen %d", w[0], w[1], empty, unseen)
	}
	p.compare(t, "sync.txt")
}

// TestWide has the same proofs at larger widths, and all that can be known of
// both operands at 4/2 bits; they take minutes.
func TestWide(t *testing.T) {
	if !*wideProofs {
		t.Skip("needs -wide")
	}
	t.Run("products", func(t *testing.T) {
		model(t, 4, 2)
		u := everything()
		for _, wide := range []bool{true, false} {
			for _, op := range allOps {
				t.Log(op, wide, proveALU(t, u, op, wide))
			}
			for _, cmp := range allCmps {
				t.Log(cmp, wide, proveBranch(t, u, cmp, wide, true))
			}
			proveBranch(t, u, Set, wide, false)
		}
	})
	t.Run("arcs", func(t *testing.T) {
		model(t, 6, 3)
		proveArcs(t)
	})
	t.Run("sync", func(t *testing.T) {
		model(t, 6, 3)
		t.Log(proveSync(t))
	})
	t.Run("tnums", func(t *testing.T) {
		model(t, 8, 4)
		t.Log(proveTnums(t))
	})
}
