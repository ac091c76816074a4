package capture

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestClock compares with exact arithmetic, for all resolutions.
func TestClock(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for b := range 256 {
		c, err := clockOfResolution(byte(b), 0)
		n := int64(b & 0x7f)
		base := int64(10)
		if b >= 0x80 {
			base = 2
		}
		perSecond := new(big.Int).Exp(big.NewInt(base), big.NewInt(n), nil)
		if fits := perSecond.IsUint64(); fits != (err == nil) {
			t.Errorf("resolution %#x: error %v, a second has %v units", b, err, perSecond)
		}
		if err != nil {
			continue
		}
		for range 100 {
			// A time between 1970 and 2262 that has 64 bits in these units.
			units := new(big.Int).SetUint64(rnd.Uint64())
			limit := new(big.Int).Mul(perSecond, big.NewInt(9_000_000_000))
			units.Mod(units, limit)
			want := new(big.Int).Mul(units, big.NewInt(second))
			want.Div(want, perSecond)
			ns := c.toNano(units.Uint64())
			if want.Int64() != ns {
				t.Fatalf("resolution %#x: %v units are %d ns, want %v", b, units, ns, want)
			}
			if coarse := perSecond.Cmp(big.NewInt(second)) <= 0; coarse && c.fromNano(ns) != units.Uint64() {
				t.Fatalf("resolution %#x: %v units become %d", b, units, c.fromNano(ns))
			}
			if c.toNano(c.fromNano(ns)) != ns && n < 30 {
				t.Fatalf("resolution %#x: %d ns become %d", b, ns, c.toNano(c.fromNano(ns)))
			}
		}
	}
}
