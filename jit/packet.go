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
