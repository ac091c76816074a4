package num

import "testing"

// Errors that verifiers have had in their numbers. Each case has operands for
// which the erroneous rule leaves out a number that a machine gets: the number
// has to be there. Names are those under which the errors are known.
func TestHistory(t *testing.T) {
	low := func(lo, hi uint32) Scalar { // a lower half below an unknown upper one
		x := Unknown()
		x.Low = between(lo, hi)
		x.reduce()
		return x
	}
	far := Unknown()
	far.Bits = Tnum[uint64]{32, 1<<63 | 1}
	far.reduce()
	for _, c := range []struct {
		name string
		got  Scalar
		has  []uint64
	}{
		// 32-bit bounds of OR were taken from those of 64 bits, cut off.
		{"CVE-2020-27194: or", ALU(Or, true, Range(1<<32, 2<<32), Const(1)), []uint64{1<<32 | 1, 1<<32 | 0x7fffffff | 1, 2<<32 | 1}},
		{"CVE-2020-27194: or of 32 bits", ALU(Or, false, low(0, 1), Range(0, 0x600000001)), []uint64{0, 1, 0xffffffff}},
		// The bounds of a 32-bit AND were left as they were, if both operands
		// were known in their lower halves alone.
		{"CVE-2021-3490: and", ALU(And, true, ALU(Or, true, ALU(Lsh, true, Unknown(), Const(32)), Const(1)), ALU(Sub, true, Const(0x100000002), Const(0))), []uint64{0, 1 << 32}},
		{"CVE-2021-3490: xor", ALU(Xor, false, low(1, 1), low(0, 3)), []uint64{0, 1, 2, 3}},
		// An equality of 32 bits set the upper half to 0.
		{"jmp32 refines 64 bits", first(Branch(Eq, false, true, Unknown(), Const(5))), []uint64{5, 1<<32 | 5, 0xffffffff00000005}},
		{"jmp32 refines 64 bits: below", first(Branch(Lt, false, true, Unknown(), Const(5))), []uint64{4, 1<<63 | 4}},
		{"jmp32 refines 64 bits: signed", first(Branch(Slt, false, true, Unknown(), Const(0))), []uint64{0x80000000, 0x7fffffffffffffff}},
		// A signed 32-bit comparison taken for one of 64 bits.
		{"jmp32 of zero-extended negatives", first(Branch(Slt, false, true, Range(0, 0xffffffff), Const(0))), []uint64{0xfffffff0}},
		// CVE-2020-8835: 32-bit comparisons and bounds above 2^32.
		{"CVE-2020-8835: jmp32 above 2^32", first(Branch(Le, false, true, Range(1, 1<<32+1), Const(1))), []uint64{1, 1 << 32, 1<<32 + 1}},
		// MOVSX from w to w extended the sign over the upper half.
		{"sign extension w to w", SignExtend(Range(0, 0xff), 8, false), []uint64{0xffffff80, 0x7f}},
		{"sign extension to 64 bits", SignExtend(Range(0, 0xff), 8, true), []uint64{0xffffffffffffff80, 0x7f}},
		{"sign extension of an unbounded half", SignExtend(low(0x7fffffff, 0x80000000), 32, true), []uint64{0x7fffffff, 0xffffffff80000000}},
		// The quotients of an interval that passes 0.
		{"signed division: divisor passes 0", ALU(SDiv, true, Const(100), SignedRange(-2, 2)), []uint64{100, neg(100), 0, 50, neg(50)}},
		{"signed division: dividend passes 0", ALU(SDiv, true, SignedRange(-7, 7), Const(neg(2))), []uint64{3, neg(3)}},
		{"signed division: smallest by -1", ALU(SDiv, true, SignedRange(-1<<63, -1<<63+1), SignedRange(-1, 1)), []uint64{1 << 63, 1<<63 - 1, 0}},
		{"signed division: smallest by -1, 32 bits", ALU(SDiv, false, Range(1<<31, 1<<31+1), Const(neg(1))), []uint64{1 << 31, 1<<31 - 1}},
		{"signed remainder: sign of the dividend", ALU(SMod, true, SignedRange(-10, 10), SignedRange(-3, -3)), []uint64{neg(2), 2}},
		// The divisor is 0 in its lower half, not at 64 bits.
		{"32-bit divisor checked at 64 bits", ALU(Div, false, Const(9), Range(1<<32, 1<<32+1)), []uint64{0, 9}},
		{"32-bit modulus checked at 64 bits", ALU(Mod, false, Const(1<<32|9), Range(1<<32, 1<<32+1)), []uint64{9, 0}},
		{"division by 0", ALU(Div, true, Range(5, 9), Range(0, 1)), []uint64{0, 5, 9}},
		{"modulus of 0", ALU(Mod, true, Range(5, 9), Range(0, 2)), []uint64{5, 9, 0, 1}},
		// BPF_ST stores its immediate extended with the sign.
		{"immediate of a store", Truncated(Const(neg(1)), 4), []uint64{0xffffffff}},
		{"immediate of a store, 8 bytes", Truncated(Const(neg(1)), 8), []uint64{neg(1)}},
		// The partial products of an unknown and a known operand.
		{"tnum mul", ALU(Mul, true, ALU(And, true, Unknown(), Const(5)), ALU(Or, true, ALU(And, true, Unknown(), Const(2)), Const(1))), []uint64{0, 1, 3, 4, 5, 12, 15}},
		{"mul beyond 64 bits", ALU(Mul, true, Range(0, 1<<33), Range(0, 1<<33)), []uint64{0, 1 << 63, 1<<33 - 1}},
		// Shifts of the lower half take bits from there only.
		{"arsh32 of a positive register", ALU(Arsh, false, Range(0x80000000, 0x80000001), Const(1)), []uint64{0xc0000000}},
		{"arsh32 by an unknown distance", ALU(Arsh, false, Const(0xffffffff80000000), Unknown()), []uint64{0x80000000, 0xffffffff}},
		{"rsh32 of a negative register", ALU(Rsh, false, SignedRange(-2, -1), Const(4)), []uint64{0x0fffffff}},
		{"rsh of a range around 0", ALU(Rsh, true, SignedRange(-1, 1), Const(60)), []uint64{0, 15}},
		{"lsh drops the sign", ALU(Lsh, true, Range(0, 1<<62), Const(2)), []uint64{0, 4}},
		{"lsh by a distance above 63", ALU(Lsh, true, Range(1, 2), Const(64)), []uint64{1, 2}},
		{"lsh32 by a distance above 31", ALU(Lsh, false, Range(1, 2), Const(33)), []uint64{2, 4}},
		// Sums that pass the borders of one order or the other.
		{"add passes 2^63", ALU(Add, true, Range(1<<63-2, 1<<63-1), Range(1, 2)), []uint64{1<<63 - 1, 1<<63 + 1}},
		{"add32 passes 2^32", ALU(Add, false, Range(0xfffffffe, 0xffffffff), Range(1, 2)), []uint64{0xffffffff, 0, 1}},
		{"neg of the smallest", Neg(true, Range(1<<63, 1<<63+1)), []uint64{1 << 63, 1<<63 - 1}},
		// After "w1 = r1" a bound of w1 is none of r1.
		{"bound of a copied half", first(Branch(Le, false, true, Range(0, 1<<40), Const(9))), []uint64{9, 1<<32 + 9, 1 << 40}},
		// The bounds of a masked distance were 2^63 apart, and each was tried.
		{"shift by a far distance", ALU(Lsh, true, Const(1), far), []uint64{1 << 32, 1 << 33}},
	} {
		for _, v := range c.has {
			if !c.got.Contains(v) {
				t.Errorf("%s: %v has not %#x", c.name, c.got, v)
			}
		}
	}
}

func first(x, _ Scalar, _ bool) Scalar { return x }
