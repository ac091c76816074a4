package jit

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
)

// atomic makes the code of an atomic operation. The processor has addition and
// exchange that give the old value back; for the others it is a loop around
// compare-and-exchange. Loads acquire and stores release on this processor
// without more. None is about a packet.
func (c *compiler) atomic(slot int) {
	ins := c.p.insns[slot]
	w, src := bytesOf(ins), hostOf[ins.Src]
	if ins.Imm == ebpf.LoadAcquire {
		c.asm.Load(w, hostOf[ins.Dst], c.address(slot, ins.Src, ins.Off))
		return
	}
	m := c.address(slot, ins.Dst, ins.Off)
	switch ins.Imm {
	case ebpf.StoreRelease:
		c.asm.Store(w, m, src)
	case ebpf.AtomicAdd | ebpf.AtomicFetch:
		c.asm.Xadd(w, m, src)
	case ebpf.AtomicXchg:
		c.asm.Xchg(w, m, src)
	case ebpf.AtomicCmpXchg:
		c.asm.Cmpxchg(w, m, src)
		if w == amd64.W32 {
			c.asm.MovRR(w, amd64.RAX, amd64.RAX) // untouched where it was equal
		}
	default:
		op := aluOf[ebpf.Opcode(ins.Imm&^ebpf.AtomicFetch)]
		if ins.Imm&ebpf.AtomicFetch == 0 {
			c.asm.LockALU(op, w, m, src)
			return
		}
		c.fetch(op, w, m, src)
	}
}

// fetch does m = m op src, and sets src to what was there. rax is R0, which may
// be src, and may be what the address is made of.
func (c *compiler) fetch(op amd64.ALUOp, w amd64.Width, m amd64.Mem, src amd64.Reg) {
	saved := unsafe.Offsetof(vm.Exchange{}.Saved)
	saveRAX, saveOther := c.exchange(saved), c.exchange(saved+8)
	other := amd64.Reg(amd64.RDX)
	if src == other {
		other = amd64.RCX
	}
	again := c.asm.NewLabel()
	c.asm.Lea(amd64.W64, scratch, m)
	c.asm.Store(amd64.W64, saveRAX, amd64.RAX)
	c.asm.Store(amd64.W64, saveOther, other)
	m = amd64.At(scratch, 0)
	c.asm.Load(w, amd64.RAX, m)
	c.asm.Bind(again)
	c.asm.MovRR(w, other, amd64.RAX)
	if src == amd64.RAX {
		c.asm.ALULoad(op, w, other, saveRAX)
	} else {
		c.asm.ALU(op, w, other, src)
	}
	c.asm.Cmpxchg(w, m, other)
	c.asm.Jcc(amd64.CondNE, again)
	if src != amd64.RAX {
		c.asm.MovRR(w, src, amd64.RAX)
		c.asm.Load(amd64.W64, amd64.RAX, saveRAX)
	}
	c.asm.Load(amd64.W64, other, saveOther)
}
