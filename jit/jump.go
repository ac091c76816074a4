package jit

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
)

var condOf = map[ebpf.Opcode]amd64.Cond{
	ebpf.Jeq: amd64.CondE, ebpf.Jne: amd64.CondNE, ebpf.Jset: amd64.CondNE,
	ebpf.Jgt: amd64.CondA, ebpf.Jge: amd64.CondAE, ebpf.Jlt: amd64.CondB, ebpf.Jle: amd64.CondBE,
	ebpf.Jsgt: amd64.CondG, ebpf.Jsge: amd64.CondGE, ebpf.Jslt: amd64.CondL, ebpf.Jsle: amd64.CondLE,
}

// jump makes the code of an instruction of class JMP or JMP32.
func (c *compiler) jump(slot int) {
	ins := c.p.insns[slot]
	switch op := ins.Op.Operation(); {
	case isExit(ins):
		c.exit(slot)
	case op == ebpf.Call:
		c.call(slot)
	case op == ebpf.Ja:
		c.branch(slot, 0)
	case op == ebpf.Jcond:
		c.mayGoto(slot)
	default:
		c.conditional(slot)
	}
}

// conditional compares and jumps.
func (c *compiler) conditional(slot int) {
	ins := c.p.insns[slot]
	if jumps, falls := c.p.ways(slot); !jumps || !falls {
		c.branch(slot, 0)
		return
	}
	if end, ok := c.jumpByEnd(ins, &c.k); ok {
		c.jumpByLength(slot, end)
		return
	}
	w, dst, y := widthOf(ins), hostOf[ins.Dst], operandOf(ins, &c.k.reg)
	if w == amd64.W64 && c.k.reg[ins.Dst].isWord() && (y.isWord() && y.n < 1<<31 || y.kind == bounded) && !isSigned(ins) {
		w = amd64.W32 // shorter, and the same
	}
	isTest := ins.Op.Operation() == ebpf.Jset
	switch immediate := operandIsImmediate(ins, y); {
	case immediate && isTest:
		c.asm.TestRI(w, dst, int32(y.n))
	case immediate && y.n == 0:
		c.asm.TestRR(w, dst, dst)
	case immediate:
		c.asm.ALUImm(amd64.Cmp, w, dst, int32(y.n))
	case isTest:
		c.asm.TestRR(w, dst, hostOf[ins.Src])
	default:
		c.asm.ALU(amd64.Cmp, w, dst, hostOf[ins.Src])
	}
	c.branch(slot, condOf[ins.Op.Operation()])
}

func isSigned(ins ebpf.Instruction) bool {
	switch ins.Op.Operation() {
	case ebpf.Jsgt, ebpf.Jsge, ebpf.Jslt, ebpf.Jsle:
		return true
	}
	return false
}

// branch jumps where the jump in a slot does: if the condition holds to its
// target, else to what follows. Where runs go one way only, the condition does
// not matter.
func (c *compiler) branch(slot int, cond amd64.Cond) {
	b := &c.p.blocks[c.current]
	falls, jumps := b.succ[0], b.succ[1]
	following := c.current + 1
	switch {
	case jumps == none:
		c.goTo(falls, following)
	case falls == none:
		c.goTo(jumps, following)
	case int(jumps) == following:
		c.asm.Jcc(cond.Not(), c.labels[falls])
	default:
		c.asm.Jcc(cond, c.labels[jumps])
		c.goTo(falls, following)
	}
}

// mayGoto jumps when the frame has used up its rounds.
func (c *compiler) mayGoto(slot int) {
	loops := inArena(c.at.Loops)
	b := &c.p.blocks[c.current]
	c.asm.ALUMemImm(amd64.Cmp, amd64.W32, loops, 0)
	c.asm.Jcc(amd64.CondE, c.labels[b.succ[1]])
	c.asm.ALUMemImm(amd64.Sub, amd64.W32, loops, 1)
	c.goTo(b.succ[0], c.current+1)
}

// An endCheck is a comparison of a constant address with the end of the packet,
// seen as a question about its length: whether it is below least. The jump is
// taken if it is, or if it is not.
type endCheck struct {
	least uint32
	below bool
}

// jumpByEnd returns the endCheck that a jump is.
func (c *compiler) jumpByEnd(ins ebpf.Instruction, k *known) (endCheck, bool) {
	if ins.Op.Class() != ebpf.ClassJMP || ins.Op.Source() != ebpf.SourceX {
		return endCheck{}, false
	}
	return c.endCheck(k.reg[ins.Dst], k.reg[ins.Src], ins.Op.Operation())
}

func (c *compiler) endCheck(x, y value, op ebpf.Opcode) (endCheck, bool) {
	if x.kind == packetEnd && y.isConst() {
		x, y = y, x
		op = mirrored(op)
	}
	n := x.n - uint64(c.at.Packet)
	if !x.isConst() || y.kind != packetEnd || n >= 1<<30 {
		return endCheck{}, false
	}
	// The constant is the packet's start plus n.
	switch least := uint32(n); op {
	case ebpf.Jgt:
		return endCheck{least, true}, true
	case ebpf.Jge:
		return endCheck{least + 1, true}, true
	case ebpf.Jlt:
		return endCheck{least + 1, false}, true
	case ebpf.Jle:
		return endCheck{least, false}, true
	}
	return endCheck{}, false
}

// mirrored is the comparison with the operands swapped.
func mirrored(op ebpf.Opcode) ebpf.Opcode {
	switch op {
	case ebpf.Jgt:
		return ebpf.Jlt
	case ebpf.Jge:
		return ebpf.Jle
	case ebpf.Jlt:
		return ebpf.Jgt
	case ebpf.Jle:
		return ebpf.Jge
	}
	return op
}

func (c *compiler) jumpByLength(slot int, end endCheck) {
	c.compareLength(end.least)
	cond := amd64.CondB
	if !end.below {
		cond = amd64.CondAE
	}
	c.branch(slot, cond)
}
