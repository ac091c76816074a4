package jit

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
)

// What code cannot do it leaves for. All that is needed of the registers lies in
// the machine's state then, where Go finds it, and so does the way back.

// register is where Go has a register of the program.
func (c *compiler) register(r ebpf.Register) amd64.Mem {
	return inArena(c.at.Registers + 8*uint32(r))
}

// leaveFor returns to Go.
func (c *compiler) leaveFor(why int32) {
	c.asm.StoreImm(amd64.W64, c.exchange(unsafe.Offsetof(vm.Exchange{}.Why)), why)
	if c.slice.inRegister() {
		c.asm.Store(amd64.W64, c.slice.mem, c.slice.reg)
	}
	c.asm.Ret()
}

// leaveAt leaves for Go to do an instruction, and goes on behind it. All that Go
// or the code behind it may read goes to memory.
func (c *compiler) leaveAt(slot int, why int32) {
	p := c.p
	kept := p.live[slot] &^ p.writes[slot]
	c.storeRegisters(slot, p.reads[slot]|kept)
	c.asm.StoreImm(amd64.W64, c.exchange(unsafe.Offsetof(vm.Exchange{}.Slot)), int32(p.start+slot))
	back := c.asm.NewLabel()
	c.asm.LeaLabel(scratch, back)
	c.asm.Store(amd64.W64, c.exchange(unsafe.Offsetof(vm.Exchange{}.Resume)), scratch)
	if c.lean {
		c.storeBatch()
	}
	c.leaveFor(why)
	c.asm.Bind(back)
	c.loadRegisters(p.live[slot])
}

// storeRegisters stores registers for Go, and arguments of a call that are
// constants, wherever they are.
func (c *compiler) storeRegisters(slot int, set uint16) {
	ins := c.p.insns[slot]
	for r := ebpf.R0; r <= ebpf.R9; r++ {
		v := c.k.reg[r]
		switch {
		case set&bit(r) != 0:
			c.asm.Store(amd64.W64, c.register(r), hostOf[r])
		case isHelperCall(ins) && argRegs&bit(r) != 0 && storeIsImmediate(v):
			c.asm.StoreImm(amd64.W64, c.register(r), int32(v.n))
		}
	}
	if c.has.functions {
		c.storeFramePointer()
	}
}

// storeFramePointer stores R10, which Go and other functions may have left at
// another frame's.
func (c *compiler) storeFramePointer() {
	if v := c.k.reg[ebpf.R10]; storeIsImmediate(v) {
		c.asm.StoreImm(amd64.W64, c.register(ebpf.R10), int32(v.n))
	} else {
		c.asm.Store(amd64.W64, c.register(ebpf.R10), hostOf[ebpf.R10])
	}
}

// loadRegisters loads registers, and the code's own, when Go enters.
func (c *compiler) loadRegisters(set uint16) {
	for r := ebpf.R0; r <= ebpf.R9; r++ {
		if set&bit(r) != 0 {
			c.asm.Load(amd64.W64, hostOf[r], c.register(r))
		}
	}
	if c.has.functions || set&frameReg != 0 {
		c.asm.Load(amd64.W64, hostOf[ebpf.R10], c.register(ebpf.R10))
	}
	if c.lean {
		c.loadBatch()
		return
	}
	if c.has.legacy {
		c.asm.Load(amd64.W64, packetReg, c.exchange(unsafe.Offsetof(vm.Exchange{}.Packet)))
		if c.length.inRegister() {
			c.asm.Load(amd64.W32, c.length.reg, c.length.mem)
		}
	}
	if c.slice.inRegister() {
		c.asm.Load(amd64.W64, c.slice.reg, c.slice.mem)
	}
}

// emitEntry is where Go enters at a block.
func (c *compiler) emitEntry(b *block, at amd64.Label) {
	slot := c.p.start + b.start
	entry := c.asm.NewLabel()
	c.entries[slot] = entry
	c.mark(b.start)
	c.marks[len(c.marks)-1].part = "enter from Go"
	c.asm.Bind(entry)
	c.loadRegisters(b.liveIn)
	if b.function {
		at = c.starts[slot]
	}
	c.asm.Jmp(at)
}

// spend takes instructions from the slice.
func (c *compiler) spend(n int32) {
	if c.slice.inRegister() {
		c.asm.ALUImm(amd64.Sub, amd64.W64, c.slice.reg, n)
	} else {
		c.asm.ALUMemImm(amd64.Sub, amd64.W64, c.slice.mem, n)
	}
}

// emitSlice is at the start of a loop: it takes a round from the slice, and
// leaves when nothing is left, so that no program keeps the processor for itself.
func (c *compiler) emitSlice(b *block) {
	c.spend(int32(min(b.weight, 1<<30)))
	out, back := c.asm.NewLabel(), c.asm.NewLabel()
	c.asm.Jcc(amd64.CondS, out)
	c.asm.Bind(back)
	c.k = b.in
	live := b.liveIn
	c.rarely(func() {
		c.asm.Bind(out)
		for r := ebpf.R0; r <= ebpf.R9; r++ {
			if live&bit(r) != 0 {
				c.asm.Store(amd64.W64, c.register(r), hostOf[r])
			}
		}
		if c.has.functions || live&frameReg != 0 {
			c.storeFramePointer()
		}
		c.asm.StoreImm(amd64.W64, c.exchange(unsafe.Offsetof(vm.Exchange{}.Slot)), int32(c.p.start+b.start))
		resume := c.asm.NewLabel()
		c.asm.LeaLabel(scratch, resume)
		c.asm.Store(amd64.W64, c.exchange(unsafe.Offsetof(vm.Exchange{}.Resume)), scratch)
		c.leaveFor(whySlice)
		c.asm.Bind(resume)
		c.loadRegisters(live)
		c.asm.Jmp(back)
	})
}
