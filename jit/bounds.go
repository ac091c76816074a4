package jit

import (
	"math"
	"math/bits"

	"github.com/bpflab/bpflab/ebpf"
)

// What arithmetic makes of what is known of its operands.

// operandOf is the second operand of an arithmetic instruction or a jump.
func operandOf(ins ebpf.Instruction, r *[11]value) value {
	if ins.Op.Source() == ebpf.SourceX {
		return r[ins.Src]
	}
	if ins.Op.Class() == ebpf.ClassALU || ins.Op.Class() == ebpf.ClassJMP32 {
		return constantOf(uint64(uint32(ins.Imm)))
	}
	return constantOf(uint64(int64(ins.Imm)))
}

// evaluate is what is known of the result of an arithmetic instruction.
func evaluate(ins ebpf.Instruction, x, y value) value {
	op, narrow := ins.Op.Operation(), ins.Op.Class() == ebpf.ClassALU
	if op == ebpf.Endian {
		return below(^uint64(0) >> (64 - uint(ins.Imm)))
	}
	if op == ebpf.Neg || ins.Off != 0 {
		return narrowed(unknown, narrow)
	}
	if narrow {
		x, y = narrowed(x, true), narrowed(y, true)
	}
	if op == ebpf.Mov {
		return y
	}
	if x.isConst() && y.isConst() {
		if n, ok := fold(op, narrow, x.n, y.n); ok {
			return narrowed(constantOf(n), narrow)
		}
	}
	return narrowed(bounds(op, narrow, x, y), narrow)
}

// narrowed is what is known of the lower half of a value.
func narrowed(v value, narrow bool) value {
	switch {
	case !narrow:
		return v
	case v.kind == constant:
		return constantOf(uint64(uint32(v.n)))
	case v.isWord():
		return v
	}
	return word
}

// fold computes with constants.
func fold(op ebpf.Opcode, narrow bool, x, y uint64) (uint64, bool) {
	mask := uint64(63)
	if narrow {
		mask = 31
	}
	switch op {
	case ebpf.Add:
		return x + y, true
	case ebpf.Sub:
		return x - y, true
	case ebpf.Mul:
		return x * y, true
	case ebpf.Or:
		return x | y, true
	case ebpf.And:
		return x & y, true
	case ebpf.Xor:
		return x ^ y, true
	case ebpf.Lsh:
		return x << (y & mask), true
	case ebpf.Rsh:
		return x >> (y & mask), true
	}
	return 0, false
}

// bounds is how large the result of an operation can be.
func bounds(op ebpf.Opcode, narrow bool, x, y value) value {
	a, b := x.bound(), y.bound()
	switch op {
	case ebpf.Add:
		if a <= math.MaxUint32 && b <= math.MaxUint32 {
			return below(a + b)
		}
	case ebpf.Mul:
		if hi, lo := bits.Mul64(a, b); hi == 0 {
			return below(lo)
		}
	case ebpf.And:
		return below(min(a, b))
	case ebpf.Or, ebpf.Xor:
		if n := bits.Len64(a | b); n <= 32 {
			return below(1<<n - 1)
		}
	case ebpf.Lsh:
		if n := y.n & shiftMask(narrow); y.isConst() && bits.Len64(a)+int(n) <= 32 {
			return below(a << n)
		}
	case ebpf.Rsh:
		if y.isConst() {
			return below(a >> (y.n & shiftMask(narrow)))
		}
		return below(a)
	case ebpf.Div:
		if y.isConst() && y.n != 0 {
			return below(a / y.n)
		}
		return below(a)
	case ebpf.Mod:
		if y.isConst() && y.n != 0 {
			return below(min(a, y.n-1))
		}
		return below(a)
	}
	return unknown
}

func shiftMask(narrow bool) uint64 {
	if narrow {
		return 31
	}
	return 63
}
