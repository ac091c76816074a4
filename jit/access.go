package jit

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/verifier"
)

// address returns the memory that a load or store is about. In lean code the
// bytes of a packet lie anywhere: registers hold the addresses that they would
// have in the arena, and the difference is in the operand.
func (c *compiler) address(slot int, base ebpf.Register, off int16) amd64.Mem {
	from, less := amd64.Reg(baseReg), uint32(0)
	if c.lean && c.p.proof.Regions(slot) == verifier.Packet {
		from, less = packetReg, c.at.Packet
	}
	if addr, ok := fixedAddress(c.k.reg[base], off); ok {
		return amd64.At(from, int32(uint32(addr)-less))
	}
	return amd64.AtIndex(from, hostOf[base], int32(off)-int32(less))
}

func bytesOf(ins ebpf.Instruction) amd64.Width { return amd64.Width(ins.Op.Bytes()) }

// load makes the code of a load.
func (c *compiler) load(slot int) {
	ins := c.p.insns[slot]
	dst := hostOf[ins.Dst]
	base := c.k.reg[ins.Src]
	if c.lean && base.isConst() {
		switch base.n + uint64(ins.Off) - uint64(c.at.Context) {
		case c.field.data, c.field.meta:
			c.set(ins.Dst, uint64(c.at.Packet))
			return
		case c.field.dataEnd:
			c.lengthTo(dst)
			c.asm.ALUImm(amd64.Add, amd64.W32, dst, int32(c.at.Packet))
			return
		case c.field.length:
			c.wireLengthTo(dst)
			return
		}
	}
	m := c.address(slot, ins.Src, ins.Off)
	if ins.Op.Mode() == ebpf.ModeMEMSX {
		c.asm.LoadSX(bytesOf(ins), amd64.W64, dst, m)
		return
	}
	c.asm.Load(bytesOf(ins), dst, m)
}

// lengthTo loads the packet's length.
func (c *compiler) lengthTo(dst amd64.Reg) {
	if c.length.inRegister() {
		c.asm.MovRR(amd64.W32, dst, c.length.reg)
	} else {
		c.asm.Load(amd64.W32, dst, c.length.mem)
	}
}

// compareLength compares the packet's length with a constant.
func (c *compiler) compareLength(n uint32) {
	if c.length.inRegister() {
		c.asm.ALUImm(amd64.Cmp, amd64.W32, c.length.reg, int32(n))
	} else {
		c.asm.ALUMemImm(amd64.Cmp, amd64.W32, c.length.mem, int32(n))
	}
}

// markDirty notes that the packet changes, in front of a store that may be to it.
// A context that is bytes no program may change, and metadata are no part of the
// packet that a run leaves.
func (c *compiler) markDirty(slot int) {
	if c.p.proof.Regions(slot)&verifier.Packet != 0 {
		c.asm.StoreImm(amd64.W8, inArena(c.at.Dirty), 1)
	}
}

func (c *compiler) storeImmediate(slot int) {
	ins := c.p.insns[slot]
	c.markDirty(slot)
	c.asm.StoreImm(bytesOf(ins), c.address(slot, ins.Dst, ins.Off), immediateOf(ins.Imm, bytesOf(ins)))
}

// immediateOf is the immediate of a store, of which as many bytes count as are
// written.
func immediateOf(imm int32, w amd64.Width) int32 {
	switch w {
	case amd64.W8:
		return int32(int8(imm))
	case amd64.W16:
		return int32(int16(imm))
	}
	return imm
}

// store makes the code of a store of a register, and of atomic operations.
func (c *compiler) store(slot int) {
	ins := c.p.insns[slot]
	if ins.Op.Mode() == ebpf.ModeATOMIC {
		c.atomic(slot)
		return
	}
	c.markDirty(slot)
	m, w := c.address(slot, ins.Dst, ins.Off), bytesOf(ins)
	if v := c.k.reg[ins.Src]; storeIsImmediate(v) {
		c.asm.StoreImm(w, m, immediateOf(int32(v.n), w))
		return
	}
	c.asm.Store(w, m, hostOf[ins.Src])
}
