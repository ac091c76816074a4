package jit

import (
	"math/bits"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
)

// emitFused makes the code of several instructions at once where they say in
// several steps what the processor has one instruction for. It returns how many
// they were, 0 for none.
func (c *compiler) emitFused(slot, end int) int {
	if slot+1 >= end || !c.does(fusion) {
		return 0
	}
	ins, next := c.p.insns[slot], c.p.insns[slot+1]
	switch {
	case isJump(next) && (ins.Op.Class() == ebpf.ClassLDX || isLegacy(ins)):
		return c.compareMemory(slot, ins, next)
	case isJump(next) && ins.Op.Operation() == ebpf.And && widthOf(next) >= widthOf(ins):
		return c.testMask(slot, ins, next)
	case isZeroExtension(ins, next) && !c.k.reg[ins.Dst].isConst():
		c.asm.MovRR(amd64.W32, hostOf[ins.Dst], hostOf[ins.Dst])
		return 2
	case c.isSwappedLoad(slot, ins, next):
		c.asm.LoadBE(bytesOf(ins), hostOf[ins.Dst], c.address(slot, ins.Src, ins.Off))
		return 2
	}
	return 0
}

// isSwappedLoad reports whether a load and a byte swap are one load in network
// byte order.
func (c *compiler) isSwappedLoad(slot int, ins, next ebpf.Instruction) bool {
	n := ins.Op.Bytes()
	return c.host.MOVBE && ins.Op.Class() == ebpf.ClassLDX && ins.Op.Mode() == ebpf.ModeMEM && n >= 4 &&
		next.Op == ebpf.ClassALU|ebpf.Endian|ebpf.SourceX && next.Dst == ins.Dst && int(next.Imm) == 8*n &&
		!c.isContextField(slot)
}

// isContextField reports whether a load is of a field that lean code has
// elsewhere.
func (c *compiler) isContextField(slot int) bool {
	ins := c.p.insns[slot]
	return c.lean && c.leanField(c.k.reg[ins.Src], ins.Off)
}

// isZeroExtension recognises the two shifts by which compilers clear the upper
// half of a register.
func isZeroExtension(ins, next ebpf.Instruction) bool {
	const left, right = ebpf.ClassALU64 | ebpf.Lsh | ebpf.SourceK, ebpf.ClassALU64 | ebpf.Rsh | ebpf.SourceK
	return ins.Op == left && next.Op == right && ins.Dst == next.Dst && ins.Imm == 32 && next.Imm == 32
}

// onlyForJump reports whether the jump behind an instruction compares its result
// with a constant, and nothing else reads it. It returns the constant.
func (c *compiler) onlyForJump(slot int, result ebpf.Register, next ebpf.Instruction) (y value, ok bool) {
	if next.Op.Operation() == ebpf.Ja || next.Op.Operation() == ebpf.Jcond || next.Dst != result {
		return value{}, false
	}
	if jumps, falls := c.p.ways(slot + 1); !jumps || !falls {
		return value{}, false
	}
	y = operandOf(next, &c.k.reg)
	if next.Op.Source() == ebpf.SourceX && next.Src == result {
		return value{}, false
	}
	return y, y.isConst() && c.p.live[slot+1]&bit(result) == 0
}

// compareMemory compares what lies in memory with a constant, without a register
// between. A number in network byte order is compared with the constant swapped,
// where only equality or bits are asked for.
func (c *compiler) compareMemory(slot int, ins, next ebpf.Instruction) int {
	legacy := isLegacy(ins)
	result := ins.Dst
	if legacy {
		result = ebpf.R0
	}
	y, ok := c.onlyForJump(slot, result, next)
	w := bytesOf(ins)
	if !ok || isSigned(next) || ins.Op.Mode() == ebpf.ModeMEMSX || legacy && !legacyInline(ins, &c.k.reg) || !legacy && c.isContextField(slot) {
		return 0
	}
	n, op := y.n, next.Op.Operation()
	if w < amd64.W64 && n>>(8*w) != 0 || w == amd64.W64 && (!fits(n, ebpf.ClassJMP) || next.Op.Class() == ebpf.ClassJMP32) {
		return 0
	}
	if legacy && w > amd64.W8 {
		if op != ebpf.Jeq && op != ebpf.Jne && op != ebpf.Jset {
			return 0
		}
		n = bits.ReverseBytes64(n) >> (64 - 8*w)
	}
	m := amd64.Mem{}
	if legacy {
		m = c.legacyAddress(slot)
	} else {
		m = c.address(slot, ins.Src, ins.Off)
	}
	if op == ebpf.Jset {
		c.asm.TestMI(w, m, immediateOf(int32(n), w))
	} else {
		c.asm.ALUMemImm(amd64.Cmp, w, m, immediateOf(int32(n), w))
	}
	c.branch(slot+1, condOf[op])
	return 2
}

// testMask makes one test of a mask and a comparison of what is left with 0.
func (c *compiler) testMask(slot int, ins, next ebpf.Instruction) int {
	cl := ins.Op.Class()
	op := next.Op.Operation()
	y, ok := c.onlyForJump(slot, ins.Dst, next)
	if !ok || cl != ebpf.ClassALU && cl != ebpf.ClassALU64 || y.n != 0 || op != ebpf.Jeq && op != ebpf.Jne {
		return 0
	}
	mask := operandOf(ins, &c.k.reg)
	if c.k.reg[ins.Dst].isConst() {
		return 0
	}
	if !operandIsImmediate(ins, mask) {
		c.asm.TestRR(widthOf(ins), hostOf[ins.Dst], hostOf[ins.Src])
	} else {
		c.asm.TestRI(widthOf(ins), hostOf[ins.Dst], int32(mask.n))
	}
	c.branch(slot+1, condOf[op])
	return 2
}
