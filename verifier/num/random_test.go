package num

import (
	"math/bits"
	"math/rand/v2"
	"testing"
)

// At full width a sample of operands is tried against numbers computed apart.

var edges = []uint64{
	0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 65535, 65536,
	1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<33 - 1,
	1<<63 - 1, 1 << 63, 1<<63 + 1, 0xffffffff80000000, 0xffffffff7fffffff, 0xffffffff00000000,
}

func randomNumber(r *rand.Rand) uint64 {
	v := edges[r.IntN(len(edges))]
	switch r.IntN(4) {
	case 0:
		v = -v
	case 1:
		v += uint64(r.IntN(41)) - 20
	case 2:
		v = r.Uint64() >> r.IntN(64)
	}
	return v
}

// randomScalar is a scalar and a number in it. It is made by facts that are
// true of the number.
func randomScalar(r *rand.Rand) (Scalar, uint64) {
	v := randomNumber(r)
	s := Unknown()
	for range r.IntN(4) {
		t := Unknown()
		switch r.IntN(4) {
		case 0:
			m := randomNumber(r)
			t.Bits = Tnum[uint64]{v &^ m, m}
		case 1:
			below, above := randomNumber(r), randomNumber(r)
			t.Wide = between(v-below, v+above)
			if above > ^uint64(0)-below {
				t.Wide = fullArc[uint64]()
			}
		case 2:
			below, above := uint32(randomNumber(r)), uint32(randomNumber(r))
			if above <= ^uint32(0)-below {
				t.Low = between(uint32(v)-below, uint32(v)+above)
			}
		case 3:
			return Const(v), v
		}
		if !t.sync() {
			panic("no number")
		}
		var ok bool
		if s, ok = Meet(s, t); !ok {
			panic("no number in common")
		}
	}
	return s, v
}

func result(op Op, x, y uint64, wide bool) uint64 {
	if !wide {
		x32, y32 := uint32(x), uint32(y)
		switch op {
		case Div:
			if y32 == 0 {
				return 0
			}
			return uint64(x32 / y32)
		case Mod:
			if y32 == 0 {
				return uint64(x32)
			}
			return uint64(x32 % y32)
		case SDiv:
			if y32 == 0 {
				return 0
			}
			return uint64(uint32(int32(x32) / int32(y32)))
		case SMod:
			if y32 == 0 {
				return uint64(x32)
			}
			return uint64(uint32(int32(x32) % int32(y32)))
		case Lsh:
			return uint64(x32 << (y32 & 31))
		case Rsh:
			return uint64(x32 >> (y32 & 31))
		case Arsh:
			return uint64(uint32(int32(x32) >> (y32 & 31)))
		}
		return uint64(uint32(result(op, x, y, true)))
	}
	switch op {
	case Add:
		return x + y
	case Sub:
		return x - y
	case Mul:
		return x * y
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
		return uint64(int64(x) / int64(y))
	case SMod:
		if y == 0 {
			return x
		}
		return uint64(int64(x) % int64(y))
	case And:
		return x & y
	case Or:
		return x | y
	case Xor:
		return x ^ y
	case Lsh:
		return x << (y & 63)
	case Rsh:
		return x >> (y & 63)
	}
	return uint64(int64(x) >> (y & 63))
}

func TestRandomALU(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		x, vx := randomScalar(r)
		y, vy := randomScalar(r)
		for _, op := range allOps {
			for _, wide := range []bool{true, false} {
				z, v := ALU(op, wide, x, y), result(op, vx, vy, wide)
				if !z.Contains(v) {
					t.Fatalf("%v wide=%v: %v (%#x), %v (%#x): %v has not %#x", op, wide, x, vx, y, vy, z, v)
				}
			}
		}
	}
}

func TestRandomUnary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200_000 {
		x, v := randomScalar(r)
		for _, c := range []struct {
			name string
			got  Scalar
			want uint64
		}{
			{"neg", Neg(true, x), -v},
			{"neg32", Neg(false, x), uint64(-uint32(v))},
			{"s8", SignExtend(x, 8, true), uint64(int8(v))},
			{"s16", SignExtend(x, 16, true), uint64(int16(v))},
			{"s32", SignExtend(x, 32, true), uint64(int32(v))},
			{"s8 w", SignExtend(x, 8, false), uint64(uint32(int8(v)))},
			{"s16 w", SignExtend(x, 16, false), uint64(uint32(int16(v)))},
			{"u8", ZeroExtend(x, 8), uint64(uint8(v))},
			{"u16", ZeroExtend(x, 16), uint64(uint16(v))},
			{"u32", ZeroExtend(x, 32), uint64(uint32(v))},
			{"1 byte", Truncated(x, 1), uint64(uint8(v))},
			{"8 bytes", Truncated(x, 8), v},
			{"swap16", ByteSwap(x, 16), uint64(bits.ReverseBytes16(uint16(v)))},
			{"swap32", ByteSwap(x, 32), uint64(bits.ReverseBytes32(uint32(v)))},
			{"swap64", ByteSwap(x, 64), bits.ReverseBytes64(v)},
		} {
			if !c.got.Contains(c.want) {
				t.Fatalf("%s of %v: %v has not %#x, of %#x", c.name, x, c.got, c.want, v)
			}
		}
		if x.UMin() > v || x.UMax() < v || x.SMin() > int64(v) || x.SMax() < int64(v) ||
			x.UMin32() > uint32(v) || x.UMax32() < uint32(v) || x.SMin32() > int32(v) || x.SMax32() < int32(v) {
			t.Fatalf("%v: bounds exclude %#x", x, v)
		}
	}
}

func satisfied(cmp Cmp, x, y uint64, wide bool) bool {
	if !wide { // extended with the sign, lower halves compare as they do alone, in either order
		x, y = uint64(int32(x)), uint64(int32(y))
	}
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
	case Sgt:
		return int64(x) > int64(y)
	case Sge:
		return int64(x) >= int64(y)
	case Slt:
		return int64(x) < int64(y)
	case Sle:
		return int64(x) <= int64(y)
	}
	return x&y != 0
}

func TestRandomPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	stops := NewThresholds(14, 54, 1500)
	for range 100_000 {
		x, vx := randomScalar(r)
		y, vy := randomScalar(r)
		for _, cmp := range allCmps {
			for _, wide := range []bool{true, false} {
				taken := satisfied(cmp, vx, vy, wide)
				x2, y2, ok := Branch(cmp, wide, taken, x, y)
				if !ok || !x2.Contains(vx) || !y2.Contains(vy) {
					t.Fatalf("%v wide=%v %v: %v (%#x), %v (%#x): %v, %v, %v", cmp, wide, taken, x, vx, y, vy, x2, y2, ok)
				}
			}
		}
		for _, z := range []Scalar{Join(x, y), Widen(x, y, stops)} {
			if !z.Contains(vx) || !z.Contains(vy) || !x.Leq(z) || !y.Leq(z) {
				t.Fatalf("%v or %v: %v", x, y, z)
			}
		}
		if z := x; !z.sync() || z != x {
			t.Fatalf("%v: not canonical, then %v", x, z)
		}
	}
}
