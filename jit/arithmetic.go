package jit

import (
	"math/bits"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
)

// set loads a constant into a register.
func (c *compiler) set(r ebpf.Register, n uint64) {
	if n == 0 {
		c.asm.Zero(hostOf[r])
		return
	}
	c.asm.MovRI(hostOf[r], n)
}

func widthOf(ins ebpf.Instruction) amd64.Width {
	if cl := ins.Op.Class(); cl == ebpf.ClassALU || cl == ebpf.ClassJMP32 {
		return amd64.W32
	}
	return amd64.W64
}

var aluOf = map[ebpf.Opcode]amd64.ALUOp{
	ebpf.Add: amd64.Add, ebpf.Sub: amd64.Sub, ebpf.Or: amd64.Or, ebpf.And: amd64.And, ebpf.Xor: amd64.Xor,
}

// arithmetic makes the code of an instruction of class ALU or ALU64.
func (c *compiler) arithmetic(ins ebpf.Instruction) {
	x, y := c.k.reg[ins.Dst], operandOf(ins, &c.k.reg)
	if v := evaluate(ins, x, y); v.isConst() {
		c.set(ins.Dst, v.n)
		return
	}
	w, dst := widthOf(ins), hostOf[ins.Dst]
	switch op := ins.Op.Operation(); op {
	case ebpf.Mov:
		c.move(ins, y)
	case ebpf.Neg:
		c.asm.Neg(w, dst)
	case ebpf.Endian:
		c.endian(ins)
	case ebpf.Mul:
		c.multiply(ins, y)
	case ebpf.Div, ebpf.Mod:
		c.divide(ins, x, y)
	case ebpf.Lsh, ebpf.Rsh, ebpf.Arsh:
		c.shift(ins, y)
	default:
		if operandIsImmediate(ins, y) {
			c.immediate(ins, x, y)
			return
		}
		c.asm.ALU(aluOf[op], w, dst, hostOf[ins.Src])
	}
}

// immediate makes dst = dst op n, and nothing where that changes nothing.
func (c *compiler) immediate(ins ebpf.Instruction, x, y value) {
	w, dst, n := widthOf(ins), hostOf[ins.Dst], y.n
	op := ins.Op.Operation()
	extends := w == amd64.W32 && !x.isWord() // the instruction also clears the upper half
	switch {
	case n == 0 && op != ebpf.And && !extends:
	case n == 0 && op != ebpf.And:
		c.asm.MovRR(amd64.W32, dst, dst)
	case op == ebpf.And && !extends && x.bound() <= n && bits.OnesCount64(n+1) <= 1:
	case op == ebpf.And && n == 0xff:
		c.asm.MovZX(amd64.W8, dst, dst)
	case op == ebpf.And && n == 0xffff:
		c.asm.MovZX(amd64.W16, dst, dst)
	case op == ebpf.And && n>>31 == 0:
		c.asm.ALUImm(amd64.And, amd64.W32, dst, int32(n)) // shorter, and the same
	default:
		c.asm.ALUImm(aluOf[op], w, dst, int32(n))
	}
}

// move makes the code of mov and of the sign-extending movs.
func (c *compiler) move(ins ebpf.Instruction, y value) {
	w, dst := widthOf(ins), hostOf[ins.Dst]
	src := hostOf[ins.Src]
	switch {
	case ins.Off != 0:
		if w == amd64.W32 && ins.Off == 32 {
			c.asm.MovRR(w, dst, src)
			return
		}
		c.asm.MovSX(amd64.Width(ins.Off/8), w, dst, src)
	case dst == src && (w == amd64.W64 || y.isWord()):
	case y.isWord():
		c.asm.MovRR(amd64.W32, dst, src) // shorter
	default:
		c.asm.MovRR(w, dst, src)
	}
}

// endian makes the code of byte swaps. To little endian only cuts.
func (c *compiler) endian(ins ebpf.Instruction) {
	dst, x := hostOf[ins.Dst], c.k.reg[ins.Dst]
	swap := ins.Op.Class() == ebpf.ClassALU64 || ins.Op.Source() == ebpf.SourceX
	switch {
	case !swap && ins.Imm == 16:
		if x.bound() > 0xffff {
			c.asm.MovZX(amd64.W16, dst, dst)
		}
	case !swap && ins.Imm == 32:
		if !x.isWord() {
			c.asm.MovRR(amd64.W32, dst, dst)
		}
	case !swap:
	case ins.Imm == 16:
		c.asm.ShiftImm(amd64.Rol, amd64.W16, dst, 8)
		c.asm.MovZX(amd64.W16, dst, dst)
	case ins.Imm == 32:
		c.asm.Bswap(amd64.W32, dst)
	default:
		c.asm.Bswap(amd64.W64, dst)
	}
}

func (c *compiler) multiply(ins ebpf.Instruction, y value) {
	w, dst := widthOf(ins), hostOf[ins.Dst]
	y = narrowed(y, w == amd64.W32)
	switch {
	case !operandIsImmediate(ins, y):
		c.asm.Imul(w, dst, hostOf[ins.Src])
	case bits.OnesCount64(y.n) == 1 && y.n > 1:
		c.asm.ShiftImm(amd64.Shl, w, dst, uint8(bits.TrailingZeros64(y.n)))
	default:
		c.asm.ImulImm(w, dst, dst, int32(y.n))
	}
}

var shiftOf = map[ebpf.Opcode]amd64.ShiftOp{ebpf.Lsh: amd64.Shl, ebpf.Rsh: amd64.Shr, ebpf.Arsh: amd64.Sar}

// shift makes the code of shifts. The processor masks the counts as eBPF does.
func (c *compiler) shift(ins ebpf.Instruction, y value) {
	w, dst, op := widthOf(ins), hostOf[ins.Dst], ins.Op.Operation()
	if y.isConst() {
		n := uint8(y.n & shiftMask(w == amd64.W32))
		switch {
		case n != 0:
			c.asm.ShiftImm(shiftOf[op], w, dst, n)
		case w == amd64.W32 && !c.k.reg[ins.Dst].isWord():
			c.asm.MovRR(w, dst, dst)
		}
		return
	}
	count := hostOf[ins.Src]
	if !c.host.BMI2 {
		c.shiftByCL(shiftOf[op], w, dst, count)
		return
	}
	switch op {
	case ebpf.Lsh:
		c.asm.Shlx(w, dst, dst, count)
	case ebpf.Rsh:
		c.asm.Shrx(w, dst, dst, count)
	default:
		c.asm.Sarx(w, dst, dst, count)
	}
}

// shiftByCL shifts with the only register that processors without BMI2 take the
// count from.
func (c *compiler) shiftByCL(op amd64.ShiftOp, w amd64.Width, dst, count amd64.Reg) {
	switch {
	case dst == amd64.RCX:
		c.asm.MovRR(amd64.W64, scratch, amd64.RCX)
		if count != amd64.RCX {
			c.asm.MovRR(amd64.W32, amd64.RCX, count)
		}
		c.asm.Shift(op, w, scratch)
		c.asm.MovRR(amd64.W64, amd64.RCX, scratch)
	case count == amd64.RCX:
		c.asm.Shift(op, w, dst)
	default:
		c.asm.MovRR(amd64.W64, scratch, amd64.RCX)
		c.asm.MovRR(amd64.W32, amd64.RCX, count)
		c.asm.Shift(op, w, dst)
		c.asm.MovRR(amd64.W64, amd64.RCX, scratch)
	}
}
