package jit

import (
	"math/bits"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
)

// The processor's stack is Go's and stays as it is. Calls are jumps, and what
// they need to know of the way back lies in the machine's frames.

// exit makes the code of exit.
func (c *compiler) exit(slot int) {
	switch {
	case c.lean:
		c.verdict()
	case !c.p.inMain(slot):
		c.returnToCaller()
	default:
		c.end()
	}
}

// end ends the run, with what is in R0.
func (c *compiler) end() {
	if c.nested() {
		top := c.asm.NewLabel()
		c.asm.ALUMemImm(amd64.Cmp, amd64.W32, inArena(c.at.Depth), 0)
		c.asm.Jcc(amd64.CondE, top)
		if v := c.k.reg[0]; v.isConst() {
			c.set(0, v.n)
		}
		c.returnToCaller()
		c.asm.Bind(top)
	}
	if v := c.k.reg[0]; storeIsImmediate(v) {
		c.asm.StoreImm(amd64.W64, c.register(0), int32(v.n))
	} else {
		c.asm.Store(amd64.W64, c.register(0), hostOf[0])
	}
	c.leaveFor(whyExit)
}

// frame returns the memory of a field of the frame on top, whose offset among
// the frames is in the scratch register.
func (c *compiler) frame(field uintptr) amd64.Mem {
	return amd64.AtIndex(baseReg, scratch, int32(c.at.Frames)+int32(field))
}

// topFrame sets the scratch register for frame.
func (c *compiler) topFrame() {
	c.asm.Load(amd64.W32, scratch, inArena(c.at.Depth))
	c.asm.ShiftImm(amd64.Shl, amd64.W32, scratch, uint8(bits.TrailingZeros(uint(vm.FrameSize))))
}

// callLocal makes the code of a call of a function of the program: what the
// machine's own calls do, but of R6 to R9 only those are kept that are read
// again.
func (c *compiler) callLocal(slot int) {
	p := c.p
	target, _ := p.insns[slot].Target(slot)
	kept := p.live[slot] & savedRegs
	back := c.asm.NewLabel()
	if c.nested() {
		c.checkDepth(slot)
	}
	c.topFrame()
	c.asm.LeaLabel(amd64.RAX, back)
	c.asm.Store(amd64.W64, c.frame(vm.FrameReturn), amd64.RAX)
	c.asm.StoreImm(amd64.W64, c.frame(vm.FrameSlot), int32(p.start+slot+1))
	c.eachSaved(kept, func(r amd64.Reg, field uintptr) { c.asm.Store(amd64.W64, c.frame(field), r) })
	c.asm.Load(amd64.W32, amd64.RAX, inArena(c.at.Loops))
	c.asm.Store(amd64.W32, c.frame(vm.FrameLoops), amd64.RAX)
	c.asm.StoreImm(amd64.W32, inArena(c.at.Loops), vm.MaxLoops)
	c.asm.ALUMemImm(amd64.Add, amd64.W32, inArena(c.at.Depth), 1)
	c.asm.ALUMemImm(amd64.Sub, amd64.W32, inArena(c.at.StackLow), vm.StackSize)
	c.framePointer(slot, amd64.Sub)
	c.asm.Jmp(c.starts[p.start+target])

	c.asm.Bind(back)
	c.topFrame()
	c.eachSaved(kept, func(r amd64.Reg, field uintptr) { c.asm.Load(amd64.W64, r, c.frame(field)) })
	c.asm.Load(amd64.W32, scratch, c.frame(vm.FrameLoops))
	c.asm.Store(amd64.W32, inArena(c.at.Loops), scratch)
	c.asm.ALUMemImm(amd64.Add, amd64.W32, inArena(c.at.StackLow), vm.StackSize)
	c.framePointer(slot, amd64.Add)
}

// checkDepth makes sure of a frame for a function. The verifier has counted those
// of one program, but a program that runs in the frame of a function, by a tail
// call, starts with fewer. The interpreter refuses the call.
func (c *compiler) checkDepth(slot int) {
	deep := c.asm.NewLabel()
	c.asm.ALUMemImm(amd64.Cmp, amd64.W32, inArena(c.at.Depth), vm.MaxFrames-1)
	c.asm.Jcc(amd64.CondAE, deep)
	c.rarely(func() {
		c.asm.Bind(deep)
		c.leaveAt(slot, whyStep)
	})
}

// framePointer moves R10 to the frame of a function that is called, or back.
func (c *compiler) framePointer(slot int, op amd64.ALUOp) {
	fp := hostOf[ebpf.R10]
	top := c.p.inMain(slot) && !c.nested()
	switch {
	case top && op == amd64.Sub:
		c.asm.MovRI(fp, uint64(c.at.StackTop)-vm.StackSize)
	case top && c.p.live[slot]&frameReg == 0: // code of the program itself knows where its stack is
	case top:
		c.asm.MovRI(fp, uint64(c.at.StackTop))
	default:
		c.asm.ALUImm(op, amd64.W32, fp, vm.StackSize)
	}
}

// eachSaved calls do for each of the registers R6 to R9 that are in the set, with
// its place in a frame.
func (c *compiler) eachSaved(set uint16, do func(r amd64.Reg, field uintptr)) {
	for i := range uintptr(4) {
		if r := ebpf.R6 + ebpf.Register(i); set&bit(r) != 0 {
			do(hostOf[r], vm.FrameSaved+8*i)
		}
	}
}

// returnToCaller returns from a function.
func (c *compiler) returnToCaller() {
	c.asm.ALUMemImm(amd64.Sub, amd64.W32, inArena(c.at.Depth), 1)
	c.topFrame()
	c.asm.JmpMem(c.frame(vm.FrameReturn))
}

// emitReturn is where functions return to that Go has called. The frame is Go's
// to take away. Go counts R10 from the frame that returns, where memory may still
// have that of a function below, which has left since.
func (c *compiler) emitReturn() {
	c.markPart("return to Go from a function that it called")
	c.leave = c.asm.NewLabel()
	c.asm.Bind(c.leave)
	c.asm.ALUMemImm(amd64.Add, amd64.W32, inArena(c.at.Depth), 1)
	c.asm.Store(amd64.W64, c.register(0), hostOf[0])
	c.asm.Store(amd64.W64, c.register(ebpf.R10), hostOf[ebpf.R10])
	c.leaveFor(whyReturn)
}

// call makes the code of a call.
func (c *compiler) call(slot int) {
	ins := c.p.insns[slot]
	switch {
	case isLocalCall(ins):
		c.callLocal(slot)
	case isControl(ins):
		c.leaveAt(slot, whyStep)
	case c.inlineCall(slot):
	default:
		c.leaveAt(slot, whyCall)
	}
}

// emitStart is the start of a function, or of a program: the stack that it may
// read without having written it becomes zero.
func (c *compiler) emitStart(b *block) {
	c.mark(b.start)
	c.asm.Bind(c.starts[c.p.start+b.start])
	c.k = b.in
	c.clearStack(c.p.proof.LiveStack(b.start))
	if b.start > 0 && c.has.loops {
		c.spend(int32(c.functionLength(b)))
	}
}

// clearStack zeroes stack slots. The set is small as a rule, and empty for most
// programs.
func (c *compiler) clearStack(set uint64) {
	for ; set != 0; set &= set - 1 {
		off := -8 * int32(bits.TrailingZeros64(set)+1)
		m := amd64.AtIndex(baseReg, hostOf[ebpf.R10], off)
		if v := c.k.reg[ebpf.R10]; v.isConst() {
			m = inArena(uint32(int32(v.n) + off))
		}
		c.asm.StoreImm(amd64.W64, m, 0)
	}
}

// functionLength is how many instructions a function has, about.
func (c *compiler) functionLength(b *block) int {
	end := len(c.p.insns)
	for i := range c.p.blocks {
		if o := &c.p.blocks[i]; o.function && o.start > b.start {
			end = min(end, o.start)
		}
	}
	return end - b.start
}
