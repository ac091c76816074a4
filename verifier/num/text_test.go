package num

import "testing"

// steps makes a scalar as a program would: each step changes the last one.
type step = func(Scalar) Scalar

func op(op Op, c uint64) step   { return func(x Scalar) Scalar { return ALU(op, true, x, Const(c)) } }
func op32(op Op, c uint64) step { return func(x Scalar) Scalar { return ALU(op, false, x, Const(c)) } }

func when(cmp Cmp, c uint64) step {
	return func(x Scalar) Scalar {
		x, _, ok := Branch(cmp, true, true, x, Const(c))
		if !ok {
			panic("cannot be")
		}
		return x
	}
}

func when32(cmp Cmp, c uint64) step {
	return func(x Scalar) Scalar {
		x, _, ok := Branch(cmp, false, true, x, Const(c))
		if !ok {
			panic("cannot be")
		}
		return x
	}
}

func unless(cmp Cmp, c uint64) step {
	return func(x Scalar) Scalar {
		x, _, ok := Branch(cmp, true, false, x, Const(c))
		if !ok {
			panic("cannot be")
		}
		return x
	}
}

func neg(n int64) uint64 { return uint64(-n) }

// TestPrecise: what programs do, and what is known then.
func TestPrecise(t *testing.T) {
	signExtend := func(n int, wide bool) step { return func(x Scalar) Scalar { return SignExtend(x, n, wide) } }
	zeroExtend := func(n int) step { return func(x Scalar) Scalar { return ZeroExtend(x, n) } }
	for _, c := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"mask", []step{op(And, 0xff)}, "0..255"},
		{"alignment", []step{op(And, neg(8))}, "0..0xfffffffffffffff8 step 8"},
		{"alignment of a signed range", []step{when(Sge, neg(8)), when(Sle, 8), op(And, neg(8))}, "-8..8 step 8"},
		{"header length", []step{op(And, 15), op(Lsh, 2)}, "0..60 step 4"},
		{"scaled index", []step{op(And, 15), op(Lsh, 4), op(Add, 3)}, "3..243 step 16"},
		{"scaled by a constant", []step{op(And, 15), op(Mul, 20)}, "0..300 step 4"},
		{"scaled and negative", []step{when(Sge, neg(3)), when(Sle, 5), op(Mul, neg(4))}, "-20..12 step 4"},
		{"or into a free bit", []step{op(And, 15), op(Lsh, 4), op(Or, 8)}, "8..248 step 16"},
		{"or", []step{when(Le, 100), op(Or, 7)}, "7..103 step 8"},
		{"xor of low bits", []step{when(Le, 100), op(Xor, 0x8000)}, "32768..32868"},
		{"all bits flipped", []step{when(Le, 100), op(Xor, neg(1))}, "-101..-1"},
		{"high byte", []step{op(Rsh, 56)}, "0..255"},
		{"sign", []step{op(Arsh, 63)}, "-1..0"},
		{"two shifts", []step{op(Lsh, 32), op(Rsh, 32)}, "0..0xffffffff"},
		{"two shifts, signed", []step{op(Lsh, 32), op(Arsh, 32)}, "-2147483648..2147483647"},
		{"subtraction below 0", []step{when(Le, 100), op(Sub, 14)}, "-14..86"},
		{"and back", []step{when(Le, 100), op(Sub, 14), op(Add, 14)}, "0..100"},
		{"division", []step{when(Le, 1500), when(Ge, 20), op(Div, 4)}, "5..375"},
		{"remainder", []step{op(Mod, 10)}, "0..9"},
		{"remainder by a power of two", []step{op(Mod, 16)}, "0..15"},
		{"small remainder", []step{when(Ge, 23), when(Le, 27), op(Mod, 10)}, "3..7"},
		{"signed division", []step{when(Sge, neg(100)), when(Sle, 50), op(SDiv, neg(10))}, "-5..10"},
		{"signed remainder", []step{op(SMod, 10)}, "-9..9"},
		{"32 bits", []step{op32(Add, 0)}, "0..0xffffffff"},
		{"32 bits bounded", []step{op32(Add, 0), when32(Lt, 64)}, "0..63"},
		{"lower half bounded", []step{when32(Lt, 64)}, "0..0xffffffff0000003f of 0xffffffff0000003f"},
		{"lower half bounded, upper half dropped after", []step{when32(Lt, 64), op32(Add, 0)}, "0..63"},
		{"upper half dropped, signed bound", []step{op32(Add, 0), when32(Sge, 0), when32(Sle, 63)}, "0..63"},
		{"register bounded, lower half used", []step{when(Le, 63), op32(Add, 1)}, "1..64"},
		{"32-bit subtraction below 0", []step{when(Le, 100), op32(Sub, 14)}, "0..0xffffffff low -14..86"},
		{"signed byte", []step{signExtend(8, true)}, "-128..127"},
		{"signed byte, 32 bits", []step{signExtend(8, false)}, "0..0xffffffff low -128..127"},
		{"signed half of a small number", []step{op(And, 0x7f), signExtend(16, true)}, "0..127"},
		{"signed word of a bounded half", []step{when32(Sge, neg(5)), when32(Sle, 5), signExtend(32, true)}, "-5..5"},
		{"byte", []step{when(Ge, 250), when(Le, 260), zeroExtend(8)}, "0..255"},
		{"not 0", []step{unless(Eq, 0)}, "1..0xffffffffffffffff"},
		{"not 0 at the end of a range", []step{when(Le, 63), when(Ne, 0)}, "1..63"},
		{"not the last of steps", []step{op(And, 0x3c), when(Ne, 0x3c)}, "0..56 step 4"},
		{"bit set", []step{when(Set, 0x10)}, "16..0xffffffffffffffff with 16"},
		{"bit not set", []step{unless(Set, 0x10)}, "0..0xffffffffffffffef of 0xffffffffffffffef"},
		{"one of bits set", []step{op(And, 0xff), when(Set, 0x30)}, "16..255"},
		{"none of the high bits", []step{unless(Set, neg(0x1000))}, "0..4095"},
		{"signed bounds around 0", []step{when(Sgt, neg(9)), when(Slt, 9)}, "-8..8"},
		{"signed bounds around 0, then unsigned", []step{when(Sgt, neg(9)), when(Slt, 9), when(Lt, 20)}, "0..8"},
		{"unsigned bound of a signed range", []step{when(Slt, 9), when(Gt, 9)}, "0x8000000000000000..-1"},
		{"between in one comparison", []step{op(Sub, 10), when(Le, 5), op(Add, 10)}, "10..15"},
	} {
		x := Unknown()
		for _, f := range c.steps {
			x = f(x)
		}
		if got := x.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		s    Scalar
		want string
	}{
		{Const(7), "7"},
		{Const(neg(7)), "-7"},
		{Const(1 << 40), "0x10000000000"},
		{Unknown(), "unknown"},
		{Range(0, 63), "0..63"},
		{Range(neg(8), 8), "-8..8"},
		{SignedRange(-20, -4), "-20..-4"},
		{Range(5, 3), "not 4"},
		{Range(9, 3), "not 4..8"},
		{ALU(And, true, Unknown(), Const(0x3c)), "0..60 step 4"},
		{ALU(Or, true, ALU(And, true, Unknown(), Const(0x50)), Const(2)), "2..82 step 16 of 0x52"},
		{ALU(Or, true, ALU(And, true, Unknown(), Const(0x107)), Const(8)), "8..271 with 8 of 0x10f"},
		{SignExtend(ALU(And, true, Unknown(), Const(0xff)), 8, false), "0..0xffffffff low -128..127"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("%#v: %s, want %s", c.s, got, c.want)
		}
	}
	if got := Sgt.String() + " " + Set.String() + " " + Arsh.String(); got != "s> & arsh" {
		t.Errorf("names: %s", got)
	}
}
