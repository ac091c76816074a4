package num

import "testing"

// TestLoops follows loops as a verifier does, widening where they begin, until
// a round changes nothing, and then once without.
func TestLoops(t *testing.T) {
	for _, c := range []struct {
		name   string
		start  Scalar
		cmp    Cmp
		limit  uint64
		step   uint64
		want   string
		rounds int
	}{
		{"up", Const(0), Lt, 100, 1, "0..100", 2},
		{"up by 4", Const(0), Lt, 1500, 4, "0..1500 step 4", 2},
		{"up from 2 by 4", Const(2), Le, 1500, 4, "2..1502 step 4", 2},
		{"up, another value", Const(0), Ne, 64, 1, "0..64", 2},
		{"down", Const(50), Sgt, 0, neg(1), "0..50", 2},
		{"down below 0", Const(50), Sge, neg(8), neg(1), "-9..50", 5},
		{"from a range", Range(3, 9), Lt, 4096, 7, "3..4102", 2},
		{"without a limit", Const(0), Ge, 0, 1, "unknown", 11},
	} {
		// again is what x is where the loop begins, coming from its end.
		again := func(x Scalar) Scalar {
			if body, _, ok := Branch(c.cmp, true, true, x, Const(c.limit)); ok {
				x = Join(c.start, ALU(Add, true, body, Const(c.step)))
			}
			return x
		}
		stops := NewThresholds(c.limit)
		x, rounds := c.start, 0
		for y := Widen(x, again(x), stops); y != x && rounds < 100; y = Widen(x, again(x), stops) {
			x = y
			rounds++
		}
		x = again(x)
		if x.String() != c.want || rounds != c.rounds {
			t.Errorf("%s: %v after %d rounds, want %s after %d", c.name, x, rounds, c.want, c.rounds)
		}
	}
}
