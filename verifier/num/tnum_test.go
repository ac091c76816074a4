package num

import "testing"

// TestTnums tries all pairs at six bits: every result has all numbers, and how
// many results are the best is counted.
func TestTnums(t *testing.T) {
	model(t, 6, 3)
	p := proveTnums(t)
	p.compare(t, "tnums.txt")
}

func proveTnums(t *testing.T) *precision {
	all := tnums[big]()
	lists := make([][]big, len(all))
	for i, x := range all {
		for v := range int(ones[big]()) + 1 {
			if x.contains(big(v)) {
				lists[i] = append(lists[i], big(v))
			}
		}
	}
	var p precision
	for _, c := range []struct {
		op Op
		f  func(x, y Tnum[big]) Tnum[big]
	}{
		{Add, Tnum[big].add}, {Sub, Tnum[big].sub}, {Mul, Tnum[big].mul},
		{And, Tnum[big].and}, {Or, Tnum[big].or}, {Xor, Tnum[big].xor},
	} {
		var s score
		for i, x := range all {
			for j, y := range all {
				one, any := ones[big](), big(0)
				for _, v := range lists[i] {
					for _, w := range lists[j] {
						z := compute(c.op, v, w)
						one &= z
						any |= z
					}
				}
				r := c.f(x, y)
				if one&r.Value != r.Value || any&^(r.Value|r.Mask) != 0 || r.Value&r.Mask != 0 {
					t.Fatalf("%v of %v, %v: %v", c.op, x, y, r)
				}
				if s.All++; r == (Tnum[big]{one, any &^ one}) {
					s.Bits++
				}
			}
		}
		p.add(s, "%v", c.op)
	}
	return &p
}

// The code under TestTnums takes what numbers give from compute; here it is
// compared with what was written apart.
func TestCompute(t *testing.T) {
	for _, w := range []uint8{3, 4, 6, 8} {
		model(t, w, 2)
		for _, op := range allOps {
			for x := range 1 << w {
				for y := range 1 << w {
					if got, want := compute(op, big(x), big(y)), concrete(op, uint(w), x, y); int(got) != want {
						t.Fatalf("%d bits: %d %v %d = %d, want %d", w, x, op, y, got, want)
					}
				}
			}
		}
	}
}

func TestTnumOrder(t *testing.T) {
	model(t, 6, 3)
	all := tnums[big]()
	for _, x := range all {
		s := setOf(x.contains)
		for v := range most {
			up, down := v, v
			for s>>up&1 == 0 {
				up = (up + 1) % most
			}
			for s>>down&1 == 0 {
				down = (down + most - 1) % most
			}
			if a, b := x.atLeast(big(v)), x.atMost(big(v)); int(a) != up || int(b) != down {
				t.Fatalf("%v from %d: up to %d, want %d; down to %d, want %d", x, v, a, up, b, down)
			}
		}
		for _, y := range all {
			u := setOf(y.contains)
			if m, ok := x.meet(y); ok != (s&u != 0) || ok && setOf(m.contains) != s&u {
				t.Fatalf("meet of %v, %v: %v, %v", x, y, m, ok)
			}
			if j := x.join(y); j != bestTnum(s|u) {
				t.Fatalf("join of %v, %v: %v", x, y, j)
			}
		}
	}
}
