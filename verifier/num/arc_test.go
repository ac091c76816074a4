package num

import (
	"math/bits"
	"testing"
)

// TestArcs tries all pairs of arcs of six bits. Adding, subtracting, meeting
// and joining them is not only sound but as precise as arcs can be.
func TestArcs(t *testing.T) {
	model(t, 6, 3)
	proveArcs(t)
}

func proveArcs(t *testing.T) {
	n := int(ones[big]()) + 1
	all := arcs[big]()
	for _, a := range all {
		as := wideSets[a.Base][a.Size]
		proveArc(t, a, as)
		for _, b := range all {
			bs := wideSets[b.Base][b.Size]
			if a.within(b) != (as&^bs == 0) {
				t.Fatalf("%v within %v: %v", a, b, a.within(b))
			}
			m, ok := a.meet(b)
			if ok != (as&bs != 0) || ok && (as&bs&^sets(m) != 0 || int(m.Size) != bestMeet(as, bs, n)) {
				t.Fatalf("meet of %v, %v: %v, %v", a, b, m, ok)
			}
			if j := a.join(b); (as|bs)&^sets(j) != 0 || bits.OnesCount64(sets(j)) != 1+bestArc(as|bs, width[big]()) {
				t.Fatalf("join of %v, %v: %v", a, b, j)
			}
			sums := turned(spread(as, int(b.Size), n), int(b.Base), n)
			differences := turned(spread(as, int(b.Size), n), n-int(b.end()), n)
			if sets(a.add(b)) != sums || sets(a.sub(b)) != differences {
				t.Fatalf("%v, %v: sum %v, difference %v", a, b, a.add(b), a.sub(b))
			}
		}
	}
}

func sets(a Arc[big]) uint64 { return wideSets[a.Base][a.Size] }

// bestMeet: of two pieces the operand with fewer numbers, else the one piece.
func bestMeet(a, b uint64, n int) int {
	both := a & b
	if starts := bits.OnesCount64(both &^ turned(both, 1, n)); starts > 1 {
		return min(bits.OnesCount64(a), bits.OnesCount64(b)) - 1
	}
	return bits.OnesCount64(both) - 1
}

// spread has the numbers of a set of n, and those up to k above them. Adding
// what is there already, turned, nearly doubles the reach each time.
func spread(set uint64, k, n int) uint64 {
	for reach := 1; k > 0; {
		step := min(reach, k)
		set |= turned(set, step, n)
		reach += step
		k -= step
	}
	return set
}

// proveArc tries what is done to one arc.
func proveArc(t *testing.T, a Arc[big], set uint64) {
	m := ones[big]()
	if p := a.outside(); !a.isFull() && sets(p) != ^set&(1<<m<<1-1) {
		t.Fatalf("outside of %v: %v", a, p)
	}
	if b := a.bits(); b != bestTnum(set) && !a.wraps() {
		t.Fatalf("bits of %v: %v", a, b)
	}
	image := func(f func(v big) big) (s uint64) {
		for v := range members(set) {
			s |= 1 << (f(big(v)) & m)
		}
		return s
	}
	if sets(a.not()) != image(func(v big) big { return ^v }) || sets(a.neg()) != image(func(v big) big { return -v }) {
		t.Fatalf("%v: not %v, neg %v", a, a.not(), a.neg())
	}
	for c := range m + 1 {
		for _, k := range []struct {
			name string
			got  Arc[big]
			want uint64
		}{
			{"mask", a.mask(c), image(func(v big) big { return v & c })},
			{"flip", a.flip(c), image(func(v big) big { return v ^ c })},
			{"times", a.times(c), image(func(v big) big { return v * c })},
			{"lsh", a.lsh(uint(c & 7)), image(func(v big) big { return v << (c & 7) })},
		} {
			if k.name == "mask" && !oneRow(c) {
				continue
			}
			if k.want&^sets(k.got) != 0 {
				t.Fatalf("%s of %v, %d: %v has not all of %b", k.name, a, c, k.got, k.want)
			}
		}
	}
	for _, u := range tnums[big]() {
		both := set & tnumSets[u.Value][u.Mask]
		r, ok := a.trim(u)
		if ok != (both != 0) || ok && (both&^sets(r) != 0 || !u.contains(r.Base) || !u.contains(r.end())) {
			t.Fatalf("trim of %v by %v: %v, %v", a, u, r, ok)
		}
	}
}
