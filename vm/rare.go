package vm

import "math/bits"

// rare executes what the loop's switch leaves out: division, negation, sign
// extension, byte swaps and atomics. It says no if the instruction must not
// run.
func (m *Machine) rare(o *op) bool {
	dst := &m.reg[o.dst&15]
	switch o.code {
	case opNeg:
		*dst = -*dst
	case opNeg32:
		*dst = uint64(-uint32(*dst))
	case opSignExtend:
		*dst = signExtend(m.reg[o.src&15], o.imm)
	case opSignExtend32:
		*dst = uint64(uint32(signExtend(m.reg[o.src&15], o.imm)))
	case opTruncate:
		*dst &= o.imm
	case opSwap:
		*dst = bits.ReverseBytes64(*dst) >> (-o.imm & 63)
	case opAtomic + 0, opAtomic + 1, opAtomic + 2, opAtomic + 3:
		return m.atomic(o)
	default:
		return m.divide(o)
	}
	return true
}

func signExtend(v, width uint64) uint64 {
	shift := 64 - width
	return uint64(int64(v<<shift) >> shift)
}

// divide executes the divisions. By RFC 9669 §4.1 dividing by zero gives 0, the
// remainder by zero is the dividend, and the most negative number divided by
// -1 is itself with remainder 0, as in Go.
func (m *Machine) divide(o *op) bool {
	form := o.code & (immediate | narrow)
	x, y := m.reg[o.dst&15], m.reg[o.src&15]
	if form&immediate != 0 {
		y = o.imm
	}
	signed := o.code-form == opSDiv || o.code-form == opSMod
	if form&narrow != 0 {
		x, y = extend32(x, signed), extend32(y, signed)
	}
	switch o.code - form {
	case opDiv:
		x = divideOr0(x, y)
	case opSDiv:
		x = uint64(divideOr0(int64(x), int64(y)))
	case opMod:
		x = remainderOrSame(x, y)
	case opSMod:
		x = uint64(remainderOrSame(int64(x), int64(y)))
	default:
		return false
	}
	if form&narrow != 0 {
		x = uint64(uint32(x))
	}
	m.reg[o.dst&15] = x
	return true
}

func extend32(v uint64, signed bool) uint64 {
	if signed {
		return uint64(int32(v))
	}
	return uint64(uint32(v))
}

func divideOr0[T int64 | uint64](x, y T) T {
	if y == 0 {
		return 0
	}
	return x / y
}

func remainderOrSame[T int64 | uint64](x, y T) T {
	if y == 0 {
		return x
	}
	return x % y
}
