package num

import (
	"fmt"
	"testing"
)

func TestLattice(t *testing.T) {
	model(t, 4, 2)
	u := everything()
	var leq, within, disjoint, seen int
	var join, meet score
	for i, x := range u.of {
		for j, y := range u.of {
			xs, ys := u.sets[i], u.sets[j]
			if xs == 0 || ys == 0 {
				continue
			}
			if xs&^ys == 0 {
				within++
			}
			if x.Leq(y) {
				if leq++; xs&^ys != 0 {
					t.Fatalf("%v is not within %v", x, y)
				}
			}
			z := Join(x, y)
			if (xs|ys)&^set(z) != 0 || z != Join(y, x) || !x.Leq(z) || !y.Leq(z) {
				t.Fatalf("join of %v and %v is %v", x, y, z)
			}
			join.count(z, xs|ys)
			z, ok := Meet(x, y)
			if xs&ys == 0 {
				if disjoint++; !ok {
					seen++
				}
				continue
			}
			if z2, ok2 := Meet(y, x); !ok || !ok2 || xs&ys&^set(z) != 0 || z != z2 {
				t.Fatalf("meet of %v and %v is %v, %v", x, y, z, z2)
			}
			meet.count(z, xs&ys)
		}
	}
	var p precision
	p.add(join, "join")
	p.add(meet, "meet, %d/%d empty", seen, disjoint)
	fmt.Fprintf(&p, "leq %d of %d\n", leq, within)
	p.compare(t, "lattice.txt")
}

// TestWiden proves that widening has all numbers, and that it comes to an end
// whatever a loop does: no chain of different results is longer than what is
// said here.
func TestWiden(t *testing.T) {
	for _, c := range []struct {
		wide, low uint8
		stops     []big
		longest   int
	}{{3, 1, nil, 7}, {3, 2, []big{2}, 10}, {4, 2, []big{5, 11}, 17}} {
		model(t, c.wide, c.low)
		w := widening{universe: everything(), stops: newThresholds[big, small](c.stops), index: map[prod]int{}}
		for i, p := range w.of {
			w.index[p] = i
		}
		w.length = make([]int, len(w.of))
		longest := 0
		for i := range w.of {
			longest = max(longest, w.chain(t, i))
		}
		if longest != c.longest {
			t.Errorf("%d/%d bits: the longest chain has %d steps, not %d", c.wide, c.low, longest, c.longest)
		}
	}
}

type widening struct {
	universe
	stops  *thresholds[big, small]
	index  map[prod]int
	length []int // of the longest chain from here; -1 while it is looked for
}

func (w *widening) chain(t *testing.T, i int) int {
	if w.length[i] != 0 {
		if w.length[i] < 0 {
			t.Fatalf("widening goes around at %v", w.of[i])
		}
		return w.length[i] - 1
	}
	w.length[i] = -1
	longest := 0
	for j, new := range w.of {
		p := Widen(w.of[i], new, w.stops)
		if (w.sets[i]|w.sets[j])&^set(p) != 0 {
			t.Fatalf("widening %v by %v: %v", w.of[i], new, p)
		}
		if p != w.of[i] {
			longest = max(longest, 1+w.chain(t, w.index[p]))
		}
	}
	w.length[i] = longest + 1
	return longest
}
