package jit

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
)

// legacy makes the code of a legacy packet load (LD_ABS, LD_IND): a comparison
// with the packet's length, if no earlier load has made sure of it, and a load in
// network byte order. Outside of the packet the program, or the function, returns
// 0.
func (c *compiler) legacy(slot int) {
	ins := c.p.insns[slot]
	switch {
	case legacyInline(ins, &c.k.reg):
	case !c.lean:
		c.leaveAt(slot, whyLoad)
		c.asm.ALUMemImm(amd64.Cmp, amd64.W64, c.exchange(unsafe.Offsetof(vm.Exchange{}.Outside)), 0)
		c.asm.Jcc(amd64.CondNE, c.failed(slot))
		return
	case ins.Op.Mode() == ebpf.ModeABS:
		c.asm.Jmp(c.bail)
		return
	}
	m := c.legacyAddress(slot)
	if c.p.live[slot]&bit(ebpf.R0) == 0 {
		return
	}
	w, dst := bytesOf(ins), amd64.Reg(amd64.RAX)
	switch {
	case w == amd64.W8:
		c.asm.Load(w, dst, m)
	case w == amd64.W16:
		c.asm.Load(w, dst, m)
		c.asm.ShiftImm(amd64.Rol, amd64.W16, dst, 8)
	case c.host.MOVBE:
		c.asm.LoadBE(w, dst, m)
	default:
		c.asm.Load(w, dst, m)
		c.asm.Bswap(w, dst)
	}
}

// legacyAddress makes sure that what a legacy load is about lies in the packet,
// and returns where.
func (c *compiler) legacyAddress(slot int) amd64.Mem {
	ins := c.p.insns[slot]
	n := int32(ins.Op.Bytes())
	fail := c.failed(slot)
	length := c.k.length
	if !c.does(lengthFacts) {
		length = 0
	}
	if ins.Op.Mode() == ebpf.ModeABS {
		if least := uint32(ins.Imm) + uint32(n); least > length {
			c.compareLength(least)
			c.asm.Jcc(amd64.CondB, fail)
		}
		return amd64.At(packetReg, ins.Imm)
	}
	index := hostOf[ins.Src]
	if !legacyInline(ins, &c.k.reg) {
		return c.distantAddress(index, ins.Imm, n, fail)
	}
	if c.k.reg[ins.Src].bound()+uint64(ins.Imm)+uint64(n) > uint64(length) {
		c.asm.Lea(amd64.W32, scratch, amd64.At(index, ins.Imm+n))
		c.checkEnd(fail)
	}
	return amd64.AtIndex(packetReg, index, ins.Imm)
}

// distantAddress is legacyAddress for an offset that may be any number: negative
// ones count from a header, of which lean code knows nothing.
func (c *compiler) distantAddress(index amd64.Reg, off, n int32, fail amd64.Label) amd64.Mem {
	c.asm.Lea(amd64.W32, scratch, amd64.At(index, off))
	c.asm.TestRR(amd64.W32, scratch, scratch)
	c.asm.Jcc(amd64.CondS, c.bail)
	c.asm.ALUImm(amd64.Add, amd64.W32, scratch, n)
	c.checkEnd(fail)
	return amd64.AtIndex(packetReg, scratch, -n)
}

// checkEnd fails if a load that ends at the offset in the scratch register
// leaves the packet.
func (c *compiler) checkEnd(fail amd64.Label) {
	if c.length.inRegister() {
		c.asm.ALU(amd64.Cmp, amd64.W32, scratch, c.length.reg)
	} else {
		c.asm.ALULoad(amd64.Cmp, amd64.W32, scratch, c.length.mem)
	}
	c.asm.Jcc(amd64.CondA, fail)
}

// failed returns the code that returns 0 from where an instruction is.
func (c *compiler) failed(slot int) amd64.Label {
	i := 0
	if !c.p.inMain(slot) {
		i = 1
	}
	if c.fails[i] != noLabel {
		return c.fails[i]
	}
	l := c.asm.NewLabel()
	c.fails[i] = l
	c.rarely(func() {
		c.asm.Bind(l)
		c.k.reg[0] = constantOf(0)
		if i == 1 {
			c.set(0, 0)
		}
		c.exit(slot)
	})
	return l
}

const noLabel amd64.Label = -1

// wireLengthTo loads the length that the packet has on the wire.
func (c *compiler) wireLengthTo(dst amd64.Reg) {
	cursor := c.frames
	if cursor.inRegister() {
		c.asm.Load(amd64.W32, dst, amd64.At(cursor.reg, frameWireLen))
		return
	}
	c.asm.Load(amd64.W64, dst, cursor.mem)
	c.asm.Load(amd64.W32, dst, amd64.At(dst, frameWireLen))
}

// emitBatch is the loop around lean code: it goes through an array of
// [engine.Frame] and writes what the program returns for each.
func (c *compiler) emitBatch() {
	batch := unsafe.Offsetof(vm.Exchange{}.Batch)
	c.markPart("start of a batch")
	c.asm.Bind(c.batch)
	args := amd64.Reg(packetReg) // free until there is a packet
	c.asm.MovRR(amd64.W64, args, argsReg)
	for i, p := range []place{c.frames, c.verdicts, c.last} {
		field := amd64.At(args, int32(8*i))
		if p.inRegister() {
			c.asm.Load(amd64.W64, p.reg, field)
		} else {
			c.asm.Load(amd64.W64, scratch, field)
			c.asm.Store(amd64.W64, c.exchange(batch+8*uintptr(i)), scratch)
		}
	}
	c.emitNext()
}

// emitNext starts a round: the packet's place and length, and the registers and
// the stack as the program finds them. Longer packets than the arena has room for
// have no addresses there that lean code knows.
func (c *compiler) emitNext() {
	c.markPart("next packet")
	c.asm.Bind(c.next)
	frame := c.valueOf(c.frames)
	c.asm.Load(amd64.W64, packetReg, amd64.At(frame, frameData))
	length := amd64.Reg(scratch)
	if c.length.inRegister() {
		length = c.length.reg
	}
	c.asm.Load(amd64.W64, length, amd64.At(frame, frameLen))
	c.asm.ALUImm(amd64.Cmp, amd64.W64, length, int32(c.at.Room))
	c.asm.Jcc(amd64.CondA, c.bail)
	if !c.length.inRegister() {
		c.asm.Store(amd64.W64, c.length.mem, scratch)
	}
	c.k = c.p.blocks[0].in
	c.clearStack(c.p.proof.LiveStack(0))
	for r, v := range c.k.reg {
		if v.isConst() && c.p.blocks[0].liveIn&bit(ebpf.Register(r)) != 0 {
			c.set(ebpf.Register(r), v.n)
		}
	}
}

// valueOf returns a register with what is in a place.
func (c *compiler) valueOf(p place) amd64.Reg {
	if p.inRegister() {
		return p.reg
	}
	c.asm.Load(amd64.W64, scratch, p.mem)
	return scratch
}

// verdict stores what lean code returns and goes on with the next packet.
func (c *compiler) verdict() {
	if v := c.k.reg[0]; v.isConst() && storeIsImmediate(v) {
		c.asm.StoreImm(amd64.W32, amd64.At(c.valueOf(c.verdicts), 0), int32(v.n))
	} else {
		c.asm.Store(amd64.W32, amd64.At(c.valueOf(c.verdicts), 0), amd64.RAX)
	}
	c.advance(c.verdicts, verdictSize)
	c.advance(c.frames, frameSize)
	switch last, frames := c.last, c.frames; {
	case frames.inRegister() && last.inRegister():
		c.asm.ALU(amd64.Cmp, amd64.W64, frames.reg, last.reg)
	case frames.inRegister():
		c.asm.ALULoad(amd64.Cmp, amd64.W64, frames.reg, last.mem)
	default:
		c.asm.Load(amd64.W64, scratch, frames.mem)
		c.asm.ALULoad(amd64.Cmp, amd64.W64, scratch, last.mem)
	}
	c.asm.Jcc(amd64.CondNE, c.next)
	c.asm.Ret()
}

func (c *compiler) advance(p place, n int32) {
	if p.inRegister() {
		c.asm.ALUImm(amd64.Add, amd64.W64, p.reg, n)
	} else {
		c.asm.ALUMemImm(amd64.Add, amd64.W64, p.mem, n)
	}
}
