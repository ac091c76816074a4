package jit

import (
	"math/bits"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
)

// Dividing by zero gives 0, the remainder by zero is the dividend, and the most
// negative number divided by -1 is itself with remainder 0 (RFC 9669 §4.1). The
// processor traps in both cases, so they are sorted out before.

// divide makes the code of div and mod.
func (c *compiler) divide(ins ebpf.Instruction, x, y value) {
	signed := ins.Off == 1
	w := widthOf(ins)
	if w == amd64.W32 {
		y = narrowed(y, true)
	} else if !signed && x.isWord() && y.isWord() {
		w = amd64.W32 // several times as fast, and the same
	}
	if y.isConst() && !signed && c.does(reciprocals) {
		c.divideByConstant(ins, w, y.n)
		return
	}
	dst := hostOf[ins.Dst]
	if operandIsImmediate(ins, y) {
		c.asm.MovRI(scratch, y.n)
	} else {
		c.asm.MovRR(w, scratch, hostOf[ins.Src])
	}
	special, done := c.asm.NewLabel(), c.asm.NewLabel()
	if signed {
		// Divisors 0 and -1: those below 2 when 1 is added, unsigned.
		c.asm.ALUImm(amd64.Add, w, scratch, 1)
		c.asm.ALUImm(amd64.Cmp, w, scratch, 1)
		c.asm.Jcc(amd64.CondBE, special)
		c.asm.ALUImm(amd64.Sub, w, scratch, 1)
	} else {
		c.asm.TestRR(w, scratch, scratch)
		c.asm.Jcc(amd64.CondE, special)
	}
	c.quotient(ins, w, signed)
	c.asm.Bind(done)
	c.rarely(func() {
		c.asm.Bind(special)
		c.divideSpecially(ins, w, signed, dst)
		c.asm.Jmp(done)
	})
}

// quotient divides dst by the scratch register.
func (c *compiler) quotient(ins ebpf.Instruction, w amd64.Width, signed bool) {
	dst := hostOf[ins.Dst]
	c.saving(dst, amd64.RAX, amd64.RDX, func() {
		c.asm.MovRR(w, amd64.RAX, dst)
		if signed {
			c.asm.Cdq(w)
			c.asm.Idiv(w, scratch)
		} else {
			c.asm.Zero(amd64.RDX)
			c.asm.Div(w, scratch)
		}
		c.result(ins, w, dst)
	})
}

// result moves what div or mul has left in rdx:rax to its place.
func (c *compiler) result(ins ebpf.Instruction, w amd64.Width, dst amd64.Reg) {
	from := amd64.RAX
	if ins.Op.Operation() == ebpf.Mod {
		from = amd64.RDX
	}
	if from != dst {
		c.asm.MovRR(w, dst, from)
	}
}

// saving keeps two registers over some code, but for dst.
func (c *compiler) saving(dst, a, b amd64.Reg, code func()) {
	place := func(i int) amd64.Mem { return c.exchange(unsafe.Offsetof(vm.Exchange{}.Saved) + 8*uintptr(i)) }
	for i, r := range [2]amd64.Reg{a, b} {
		if r != dst {
			c.asm.Store(amd64.W64, place(i), r)
		}
	}
	code()
	for i, r := range [2]amd64.Reg{a, b} {
		if r != dst {
			c.asm.Load(amd64.W64, r, place(i))
		}
	}
}

// divideSpecially divides by what the processor cannot. In a signed division the
// scratch register is the divisor plus 1.
func (c *compiler) divideSpecially(ins ebpf.Instruction, w amd64.Width, signed bool, dst amd64.Reg) {
	isMod := ins.Op.Operation() == ebpf.Mod
	if signed {
		zero := c.asm.NewLabel()
		end := c.asm.NewLabel()
		c.asm.TestRR(w, scratch, scratch)
		c.asm.Jcc(amd64.CondNE, zero)
		if isMod {
			c.asm.Zero(dst)
		} else {
			c.asm.Neg(w, dst)
		}
		c.asm.Jmp(end)
		c.asm.Bind(zero)
		c.divideByZero(isMod, w, dst)
		c.asm.Bind(end)
		return
	}
	c.divideByZero(isMod, w, dst)
}

func (c *compiler) divideByZero(isMod bool, w amd64.Width, dst amd64.Reg) {
	switch {
	case !isMod:
		c.asm.Zero(dst)
	case w == amd64.W32:
		c.asm.MovRR(w, dst, dst)
	}
}

// divideByConstant divides without dividing: by a power of two with a shift, by
// others with a multiplication (Granlund and Montgomery, Division by Invariant
// Integers using Multiplication, 1994).
func (c *compiler) divideByConstant(ins ebpf.Instruction, w amd64.Width, d uint64) {
	dst, isMod := hostOf[ins.Dst], ins.Op.Operation() == ebpf.Mod
	n := uint8(bits.Len64(d) - 1)
	switch {
	case d == 0 || d == 1 && !isMod:
		if d == 0 {
			c.divideByZero(isMod, w, dst)
		} else if w == amd64.W32 {
			c.asm.MovRR(w, dst, dst)
		}
	case d == 1:
		c.asm.Zero(dst)
	case bits.OnesCount64(d) == 1 && !isMod:
		c.asm.ShiftImm(amd64.Shr, w, dst, n)
	case bits.OnesCount64(d) == 1 && n <= 31:
		c.asm.ALUImm(amd64.And, amd64.W32, dst, int32(d-1))
	case bits.OnesCount64(d) == 1:
		c.asm.ShiftImm(amd64.Shl, w, dst, 64-n)
		c.asm.ShiftImm(amd64.Shr, w, dst, 64-n)
	case w == amd64.W32:
		c.reciprocal32(ins, uint32(d))
	default:
		c.reciprocal64(ins, d)
	}
}

// reciprocal32 multiplies by a reciprocal of 33 bits in 64-bit arithmetic. With
// l = ⌈log2 d⌉ and m = ⌊2^32 (2^l - d) / d⌋ + 1 the quotient is
// (t + (n-t)/2) >> (l-1), where t is the upper half of m*n.
func (c *compiler) reciprocal32(ins ebpf.Instruction, d uint32) {
	dst := hostOf[ins.Dst]
	l := bits.Len32(d - 1)
	m := (uint64(1)<<32*(uint64(1)<<l-uint64(d)))/uint64(d) + 1
	other := amd64.RAX
	if dst == other {
		other = amd64.RDX
	}
	c.saving(dst, other, dst, func() {
		c.asm.MovRR(amd64.W32, other, dst)
		c.asm.MovRI(scratch, m)
		c.asm.Imul(amd64.W64, scratch, other)
		c.asm.ShiftImm(amd64.Shr, amd64.W64, scratch, 32) // t
		c.asm.ALU(amd64.Sub, amd64.W32, other, scratch)
		c.asm.ShiftImm(amd64.Shr, amd64.W32, other, 1)
		c.asm.ALU(amd64.Add, amd64.W32, scratch, other)
		if l > 1 {
			c.asm.ShiftImm(amd64.Shr, amd64.W32, scratch, uint8(l-1))
		}
		c.quotientTo(ins, amd64.W32, dst, uint64(d))
	})
}

// quotientTo makes of the quotient in the scratch register the result.
func (c *compiler) quotientTo(ins ebpf.Instruction, w amd64.Width, dst amd64.Reg, d uint64) {
	if ins.Op.Operation() != ebpf.Mod {
		c.asm.MovRR(w, dst, scratch)
		return
	}
	c.asm.ImulImm(w, scratch, scratch, int32(d))
	c.asm.ALU(amd64.Sub, w, dst, scratch)
}

// reciprocal64 is the same with a reciprocal of 65 bits, and the processor's
// multiplication of 64 by 64 bits.
func (c *compiler) reciprocal64(ins ebpf.Instruction, d uint64) {
	if d >= 1<<31 {
		c.asm.MovRI(scratch, d)
		c.quotient(ins, amd64.W64, false)
		return
	}
	dst := hostOf[ins.Dst]
	l := bits.Len64(d - 1)
	m, _ := bits.Div64(1<<l-d, 0, d)
	m++
	c.saving(dst, amd64.RAX, amd64.RDX, func() {
		c.asm.MovRR(amd64.W64, scratch, dst) // n
		c.asm.MovRR(amd64.W64, amd64.RAX, dst)
		c.asm.MovRI(amd64.RDX, m)
		c.asm.Mul(amd64.W64, amd64.RDX) // rdx = t
		c.asm.MovRR(amd64.W64, amd64.RAX, scratch)
		c.asm.ALU(amd64.Sub, amd64.W64, amd64.RAX, amd64.RDX)
		c.asm.ShiftImm(amd64.Shr, amd64.W64, amd64.RAX, 1)
		c.asm.ALU(amd64.Add, amd64.W64, amd64.RAX, amd64.RDX)
		if l > 1 {
			c.asm.ShiftImm(amd64.Shr, amd64.W64, amd64.RAX, uint8(l-1))
		}
		if ins.Op.Operation() == ebpf.Mod {
			c.asm.ImulImm(amd64.W64, amd64.RAX, amd64.RAX, int32(d))
			c.asm.ALU(amd64.Sub, amd64.W64, scratch, amd64.RAX)
			c.asm.MovRR(amd64.W64, dst, scratch)
		} else if dst != amd64.RAX {
			c.asm.MovRR(amd64.W64, dst, amd64.RAX)
		}
	})
}
