package num

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is proved by trying all operands, widths given as those of the register
// and of its lower half:
//
//   - at 6 bits: what tnums and arcs do alone, all pairs (tnum_test.go,
//     arc_test.go)
//   - at 6/3: each operation, condition and extension on what is known by one
//     view (six_test.go); of the pairs that have an arc, all with constants,
//     bits with arcs of some sizes, arcs of some sizes with each other
//   - at 5/2: the same on all pairs
//   - at 4/2: on pairs known by bits and an arc together; at 4/3, of lower halves;
//     at 3/1 and 3/2, of all three views
//   - sync on all pairs of views at 6/3, on all three at 4/2, 4/3 and 5/2
//   - Leq, Join, Meet and Widen on all that can be known, at 4/2
//
// With -wide: all pairs at 6/3, all of sync there, and 8 bits (wide_test.go).
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

// proveALU tries op on all of xs with all of ys. Arcs come in the order of
// their sizes, each with the results of the one before and a few more.
func proveALU(t *testing.T, xs, ys universe, op Op, wide bool) (s score) {
	var results [most][most]uint64 // of two numbers, as a set
	var with [most]uint64          // of one number and any of y
	n := int(ones[big]()) + 1
	for x := range n {
		for y := range n {
			results[x][y] = 1 << apply(op, wide, x, y)
		}
	}
	for j, y := range ys.of {
		for x := range n {
			with[x] = 0
			for v := range members(ys.sets[j]) {
				with[x] |= results[x][v]
			}
		}
		var exact, done uint64
		for i, x := range xs.of {
			if done&^xs.sets[i] != 0 {
				exact, done = 0, 0
			}
			for v := range members(xs.sets[i] &^ done) {
				exact |= with[v]
			}
			done = xs.sets[i]
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

// unary is what has one operand: as the package does it, and on a number.
type unary struct {
	name   string
	f      func(prod) prod
	number func(int) int
}

// extensions are those that give a number of the width.
func extensions(wide bool) (fs []unary) {
	for n := 1; n <= int(width[small]()); n++ {
		fs = append(fs, unary{
			fmt.Sprintf("sign extend %d wide=%v", n, wide),
			func(x prod) prod { return SignExtend(x, n, wide) },
			func(v int) int { return signExtended(v, n, wide) },
		})
	}
	return append(fs, unary{
		fmt.Sprintf("neg wide=%v", wide),
		func(x prod) prod { return Neg(wide, x) },
		func(v int) int { return apply(Sub, wide, 0, v) },
	})
}

// truncations are also what becomes of numbers that are stored.
func truncations() (fs []unary) {
	for n := 1; n <= int(width[big]()); n++ {
		fs = append(fs, unary{
			fmt.Sprintf("zero extend %d", n),
			func(x prod) prod { return ZeroExtend(x, n) },
			func(v int) int { return v & (1<<n - 1) },
		})
	}
	return fs
}

func proveUnary(t *testing.T, u universe, f unary) (s score) {
	for i, x := range u.of {
		var exact uint64
		for v := range members(u.sets[i]) {
			exact |= 1 << f.number(v)
		}
		r := f.f(x)
		if exact&^set(r) != 0 {
			t.Fatalf("%s of %v: %v has not all of %b", f.name, x, r, exact)
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

// proveBranch tries a condition on all of us with all of ws.
func proveBranch(t *testing.T, us, ws universe, cmp Cmp, wide, taken bool) (s branchScore) {
	able := func(x, y int) bool { return compare(cmp, wide, x, y) == taken }
	forW := partners(ws, able)
	forU := partners(us, func(y, x int) bool { return able(x, y) })
	for i, x := range us.of {
		for j, y := range ws.of {
			xs, ys := us.sets[i]&forW[j], ws.sets[j]&forU[i]
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

// partners has for each of u the numbers that are able to be compared with one
// of its numbers as said.
func partners(u universe, able func(v, of int) bool) []uint64 {
	n := int(ones[big]()) + 1
	of := make([]uint64, n)
	for i := range n {
		of[i] = setOf(func(v big) bool { return able(int(v), i) })
	}
	all := make([]uint64, len(u.of))
	for i, set := range u.sets {
		for v := range members(set) {
			all[i] |= of[v]
		}
	}
	return all
}

// proveSync tries all combinations of views.
func proveSync(t *testing.T, ts []Tnum[big], ws []Arc[big], ls []Arc[small]) (s score, empty, unseen int) {
	for _, b := range ts {
		for _, w := range ws {
			for _, l := range ls {
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

// operations tries them all, at one width, on all of xs with all of ys.
func (p *precision) operations(t *testing.T, xs, ys universe, wide bool) {
	for _, op := range allOps {
		p.add(proveALU(t, xs, ys, op, wide), "%v wide=%v", op, wide)
	}
}

// conditions tries them all. Not taken, all but "x & y" are another one that
// is: TestNotTaken has those.
func (p *precision) conditions(t *testing.T, xs, ys universe, wide bool) {
	for _, cmp := range allCmps {
		p.add(proveBranch(t, xs, ys, cmp, wide, true), "x %v y wide=%v", cmp, wide)
	}
	p.add(proveBranch(t, xs, ys, Set, wide, false), "not x & y wide=%v", wide)
}

// pairs tries all that has two operands, under a title.
func (p *precision) pairs(t *testing.T, title string, xs, ys universe, wide bool) {
	fmt.Fprintf(p, "\n%s\n", title)
	p.operations(t, xs, ys, wide)
	p.conditions(t, xs, ys, wide)
}

// unaries tries what has one operand.
func (p *precision) unaries(t *testing.T, u universe, fs []unary) {
	for _, f := range fs {
		p.add(proveUnary(t, u, f), "%s", f.name)
	}
}

// proveAll is for one universe: all operations and conditions.
func proveAll(t *testing.T, name string, u universe, widths ...bool) {
	var p precision
	for _, wide := range widths {
		p.operations(t, u, u, wide)
		p.conditions(t, u, u, wide)
		p.unaries(t, u, extensions(wide))
	}
	p.unaries(t, u, truncations())
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

// TestNotTaken has the other direction of all conditions. Where one is not
// taken its opposite is, and that the other tests count.
func TestNotTaken(t *testing.T) {
	prove := func(us, ws universe) {
		for _, cmp := range allCmps {
			proveBranch(t, us, ws, cmp, true, false)
			proveBranch(t, us, ws, cmp, false, false)
		}
	}
	model(t, 3, 2)
	prove(everything(), everything())
	model(t, 6, 3)
	prove(fromTnums(), fromTnums())
	prove(fromArcs(), constants())
	prove(constants(), fromArcs())
}

func TestSync(t *testing.T) {
	var p precision
	prove := func(views string, ts []Tnum[big], ws []Arc[big], ls []Arc[small]) {
		s, empty, unseen := proveSync(t, ts, ws, ls)
		p.add(s, "sync %d/%d%s empty %d unseen %d", width[big](), width[small](), views, empty, unseen)
	}
	for _, w := range [][2]uint8{{4, 2}, {4, 3}, {5, 2}} {
		model(t, w[0], w[1])
		prove("", tnums[big](), arcs[big](), arcs[small]())
	}
	model(t, 6, 3)
	prove(" bits, wide", tnums[big](), arcs[big](), full[small]())
	prove(" bits, low", tnums[big](), full[big](), arcs[small]())
	prove(" wide, low", unknownBits(), arcs[big](), arcs[small]())
	p.compare(t, "sync.txt")
}
