package jit

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

const (
	frameData    = int32(unsafe.Offsetof(engine.Frame{}.Data))
	frameLen     = frameData + int32(unsafe.Sizeof(uintptr(0)))
	frameWireLen = int32(unsafe.Offsetof(engine.Frame{}.WireLen))
	frameSize    = int32(unsafe.Sizeof(engine.Frame{}))
	verdictSize  = 4
)

// batchArgs is what lean code is given.
type batchArgs struct {
	frames   unsafe.Pointer // the first one
	verdicts unsafe.Pointer
	last     uintptr // behind the last frame: no pointer, as it may be that of other memory
}

// batchPlaces are the numbers that lean code keeps of its own, in the order of
// their use; the first three are those of batchArgs.
func (c *compiler) batchPlaces() [4]*place {
	return [4]*place{&c.frames, &c.verdicts, &c.last, &c.length}
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

// valueOf returns a register with what is in a place.
func (c *compiler) valueOf(p place) amd64.Reg {
	if p.inRegister() {
		return p.reg
	}
	c.asm.Load(amd64.W64, scratch, p.mem)
	return scratch
}

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

// storeBatch and loadBatch keep lean code's own numbers while Go does a call.
func (c *compiler) storeBatch() {
	c.leaves, c.perCPU = true, true // what Go does may depend on the processor
	for _, p := range c.batchPlaces() {
		if p.inRegister() {
			c.asm.Store(amd64.W64, p.mem, p.reg)
		}
	}
}

func (c *compiler) loadBatch() {
	for _, p := range c.batchPlaces() {
		if p.inRegister() {
			c.asm.Load(amd64.W64, p.reg, p.mem)
		}
	}
	c.asm.Load(amd64.W64, packetReg, amd64.At(c.valueOf(c.frames), frameData))
}

// emitBail ends a batch in front of a packet that lean code cannot judge.
func (c *compiler) emitBail() {
	c.markPart("leave a packet to the general code")
	c.asm.Bind(c.bail)
	if c.frames.inRegister() {
		c.asm.Store(amd64.W64, c.frames.mem, c.frames.reg)
	}
	c.asm.StoreImm(amd64.W64, c.exchange(unsafe.Offsetof(vm.Exchange{}.Why)), whyBail)
	c.asm.Ret()
}
