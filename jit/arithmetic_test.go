package jit

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
)

// binaryOperations are the operations with two operands, in both widths.
func binaryOperations() (list []ebpf.Instruction) {
	for _, class := range []ebpf.Opcode{ebpf.ClassALU, ebpf.ClassALU64} {
		for _, op := range []ebpf.Opcode{ebpf.Add, ebpf.Sub, ebpf.Mul, ebpf.Div, ebpf.Or, ebpf.And, ebpf.Lsh, ebpf.Rsh, ebpf.Mod, ebpf.Xor, ebpf.Mov, ebpf.Arsh} {
			list = append(list, ebpf.Instruction{Op: class | op})
		}
		for _, op := range []ebpf.Opcode{ebpf.Div, ebpf.Mod} {
			list = append(list, ebpf.Instruction{Op: class | op, Off: 1})
		}
	}
	return list
}

// withRegisters is an instruction with a source register.
func withRegisters(ins ebpf.Instruction, dst, src ebpf.Register) ebpf.Instruction {
	ins.Op |= ebpf.SourceX
	ins.Dst, ins.Src = dst, src
	return ins
}

func withImmediate(ins ebpf.Instruction, dst ebpf.Register, imm int32) ebpf.Instruction {
	ins.Dst, ins.Imm = dst, imm
	return ins
}

// eachPair calls visit for all pairs of registers.
func eachPair(visit func(dst, src ebpf.Register)) {
	for dst := ebpf.R0; dst <= ebpf.R9; dst++ {
		for src := ebpf.R0; src <= ebpf.R9; src++ {
			visit(dst, src)
		}
	}
}

// somePairs are pairs of registers that differ in what the processor's registers
// behind them are good for: R0 and R3 are those of division, R4 that of shifts.
var somePairs = [][2]ebpf.Register{
	{ebpf.R0, ebpf.R0}, {ebpf.R0, ebpf.R3}, {ebpf.R3, ebpf.R0}, {ebpf.R4, ebpf.R6}, {ebpf.R6, ebpf.R4}, {ebpf.R3, ebpf.R3},
	{ebpf.R4, ebpf.R4}, {ebpf.R8, ebpf.R7}, {ebpf.R9, ebpf.R5},
}

// immediates are those at the limits of encodings.
var immediates = []int32{0, 1, -1, 2, 3, 5, 7, 31, 32, 63, 64, 127, 128, -127, -128, -129, 255, 256, 0x7fff, 0x8000, -0x8000, 0xffff, 0x10000,
	math.MaxInt32, math.MaxInt32 - 1, math.MinInt32, math.MinInt32 + 1}

// fitImmediate changes an immediate to one that the verifier lets pass.
func fitImmediate(ins ebpf.Instruction, imm int32) int32 {
	switch ins.Op.Operation() {
	case ebpf.Div, ebpf.Mod:
		if imm == 0 {
			return 9
		}
	case ebpf.Lsh, ebpf.Rsh, ebpf.Arsh:
		if ins.Op.Class() == ebpf.ClassALU {
			return imm & 31
		}
		return imm & 63
	}
	return imm
}

func load64(dst ebpf.Register, n uint64) []ebpf.Instruction {
	wide := ebpf.LoadImm(dst, n)
	return wide[:]
}

func TestArithmeticOfRegisters(t *testing.T) {
	var cells []cell
	for _, ins := range binaryOperations() {
		eachPair(func(dst, src ebpf.Register) { cells = append(cells, cell{withRegisters(ins, dst, src)}) })
	}
	checkCells(t, cells)
}

func TestArithmeticWithImmediates(t *testing.T) {
	var cells []cell
	for _, ins := range binaryOperations() {
		for i, imm := range immediates {
			cells = append(cells, cell{withImmediate(ins, ebpf.Register(i%10), fitImmediate(ins, imm))})
		}
		for dst := ebpf.R0; dst <= ebpf.R9; dst++ {
			cells = append(cells, cell{withImmediate(ins, dst, fitImmediate(ins, immediates[3+dst]))})
		}
	}
	checkCells(t, cells)
}

// TestUnaryArithmetic has all that has one operand: negation, byte swaps, moves
// that extend.
func TestUnaryArithmetic(t *testing.T) {
	var cells []cell
	for dst := ebpf.R0; dst <= ebpf.R9; dst++ {
		for i, prefix := range prefixes(dst) {
			if i > 0 && (i+int(dst))%3 > 0 {
				continue
			}
			add := func(op ebpf.Opcode, imm int32) {
				cells = append(cells, append(prefix[:len(prefix):len(prefix)], ebpf.Instruction{Op: op, Dst: dst, Imm: imm}))
			}
			for _, bits := range []int32{16, 32, 64} {
				add(ebpf.ClassALU|ebpf.Endian|ebpf.SourceK, bits)
				add(ebpf.ClassALU|ebpf.Endian|ebpf.SourceX, bits)
				add(ebpf.ClassALU64|ebpf.Endian, bits)
			}
			add(ebpf.ClassALU|ebpf.Neg, 0)
			add(ebpf.ClassALU64|ebpf.Neg, 0)
		}
	}
	eachPair(func(dst, src ebpf.Register) {
		for _, bits := range []int16{8, 16, 32} {
			cells = append(cells, cell{{Op: ebpf.ClassALU64 | ebpf.Mov | ebpf.SourceX, Dst: dst, Src: src, Off: bits}})
			if bits < 32 {
				cells = append(cells, cell{{Op: ebpf.ClassALU | ebpf.Mov | ebpf.SourceX, Dst: dst, Src: src, Off: bits}})
			}
		}
	})
	checkCells(t, cells)
}

// prefixes are instructions by which the compiler knows more of a register, or
// less, than nothing.
func prefixes(r ebpf.Register) []cell {
	list := []cell{
		nil, {ebpf.Mov32(r, r)}, {ebpf.ALU64Imm(ebpf.And, r, 0xff)}, {ebpf.ALU64Imm(ebpf.And, r, 0xffff)},
		{ebpf.ALU64Imm(ebpf.And, r, math.MaxInt32)}, {ebpf.ALU64Imm(ebpf.Rsh, r, 31)}, {ebpf.ALU64Imm(ebpf.Or, r, -1)},
	}
	for _, n := range []uint64{0, 1, 6, 32, 40, 0x80, 0xffff, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 3, 1 << 40, 1 << 63, 1<<63 - 1, ^uint64(0), ^uint64(1<<31 - 1), ^uint64(1 << 31)} {
		list = append(list, load64(r, n))
	}
	return list
}

// TestArithmeticOfKnownNumbers has operands of which the compiler knows the
// value, or bounds.
func TestArithmeticOfKnownNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 2))
	var cells []cell
	for _, ins := range binaryOperations() {
		for _, x := range prefixes(0) {
			for _, y := range prefixes(0) {
				if rnd.IntN(4) > 0 {
					continue
				}
				pair := somePairs[rnd.IntN(len(somePairs))]
				dst, src := pair[0], pair[1]
				c := append(cell{}, retarget(x, dst)...)
				c = append(c, retarget(y, src)...)
				cells = append(cells, append(c, withRegisters(ins, dst, src)))
			}
			imm := fitImmediate(ins, immediates[rnd.IntN(len(immediates))])
			dst := ebpf.Register(rnd.IntN(10))
			cells = append(cells, append(append(cell{}, retarget(x, dst)...), withImmediate(ins, dst, imm)))
		}
	}
	checkCells(t, cells)
}

// retarget returns instructions on R0 for another register.
func retarget(c cell, r ebpf.Register) cell {
	out := make(cell, len(c))
	for i, ins := range c {
		if i == 0 || c[0].Op != ebpf.LoadImm64 {
			ins.Dst = r
			if ins.Op.Class() == ebpf.ClassALU && ins.Op.Source() == ebpf.SourceX {
				ins.Src = r
			}
		}
		out[i] = ins
	}
	return out
}

// TestDivisionByConstants divides by all small numbers, those near powers of
// two, and some others.
func TestDivisionByConstants(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 3))
	divisors := []uint64{}
	for d := range uint64(1024) {
		divisors = append(divisors, d+1)
	}
	for bit := 10; bit < 64; bit++ {
		divisors = append(divisors, 1<<bit-1, 1<<bit, 1<<bit+1, rnd.Uint64()>>(63-bit), rnd.Uint64()>>(63-bit)|1)
	}
	divisors = append(divisors, math.MaxUint64, math.MaxUint64-1)
	var cells []cell
	for _, d := range divisors {
		// Four divisions in a cell, of registers that are not the same for
		// long.
		first := ebpf.Register(rnd.IntN(10))
		at := func(i ebpf.Register) ebpf.Register { return (first + i) % 10 }
		c := cell{}
		for i, op := range []ebpf.Opcode{ebpf.ClassALU | ebpf.Div, ebpf.ClassALU | ebpf.Mod, ebpf.ClassALU64 | ebpf.Div, ebpf.ClassALU64 | ebpf.Mod} {
			dst, src := at(ebpf.Register(2*i)), at(ebpf.Register(2*i+1))
			if d <= math.MaxInt32 && rnd.IntN(2) == 0 {
				c = append(c, ebpf.Instruction{Op: op, Dst: dst, Imm: int32(d)})
				continue
			}
			c = append(c, load64(src, d)...)
			c = append(c, ebpf.Instruction{Op: op | ebpf.SourceX, Dst: dst, Src: src})
		}
		cells = append(cells, c)
	}
	checkCells(t, cells)
}
