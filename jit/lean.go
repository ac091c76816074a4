package jit

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

// Lean code is for programs that only look: they neither change the packet nor
// its context, read of the context nothing but where the packet starts and ends,
// call nothing that has to do with a packet, and have no loops. Such a program
// needs no machine around each packet. Lean code runs it over many packets in one
// go, and reads their bytes where they lie.

// leanType tells where the fields that lean code knows lie in the context. It
// says no for types whose packets start behind the link header.
func (c *compiler) leanType(t abi.ProgType) bool {
	context := abi.ContextOf(t)
	if context == nil || t.FromNetwork() || t == abi.FlowDissector {
		return false
	}
	offset := func(name string) uint64 { return uint64(context.Field(name).Offset) }
	c.field.data, c.field.dataEnd, c.field.meta = offset("data"), offset("data_end"), offset("data_meta")
	c.field.length = ^uint64(0)
	if context == &abi.SKBuff {
		c.field.length = offset("len")
	}
	return true
}

// isLean reports whether a program, analysed for lean code, only looks.
func (c *compiler) isLean(p *program) bool {
	if p.hasLoops() || p.hasFunctions() {
		return false
	}
	leavesTraces, mayBail := false, false
	for i := range p.blocks {
		k := p.blocks[i].in
		for slot := p.blocks[i].start; slot < p.blocks[i].end; slot += p.insns[slot].Width() {
			if p.isNeeded(slot) && !c.looks(p, slot, &k) {
				return false
			}
			leavesTraces = leavesTraces || p.leavesTrace(slot)
			mayBail = mayBail || isLegacy(p.insns[slot]) && !legacyInline(p.insns[slot], &k.reg)
			c.pass(p, slot, &k)
		}
	}
	return !leavesTraces || !mayBail
}

// leavesTrace reports whether an instruction changes what other runs can see. A
// program that does so must not be given up halfway.
func (p *program) leavesTrace(slot int) bool {
	ins := p.insns[slot]
	switch ins.Op.Class() {
	case ebpf.ClassST, ebpf.ClassSTX:
		return p.proof.Regions(slot)&^verifier.Stack != 0
	}
	return isHelperCall(ins)
}

// looks reports whether lean code can do an instruction.
func (c *compiler) looks(p *program, slot int, k *known) bool {
	ins, regions := p.insns[slot], p.proof.Regions(slot)
	changes := regions & (verifier.Context | verifier.Packet | verifier.Metadata)
	switch ins.Op.Class() {
	case ebpf.ClassLDX:
		if regions == verifier.Packet || changes == 0 {
			return true
		}
		return regions == verifier.Context && ins.Op == ebpf.ClassLDX|ebpf.ModeMEM|ebpf.SizeW && c.leanField(k.reg[ins.Src], ins.Off)
	case ebpf.ClassST:
		return changes == 0
	case ebpf.ClassSTX:
		return changes == 0
	case ebpf.ClassJMP:
		if ins.Op.Operation() == ebpf.Call {
			return c.canInline(p, slot, k) || c.isDetached(p, slot)
		}
		return ins.Op.Operation() != ebpf.Jcond && (!isExit(ins) || k.reg[0].isWord())
	}
	return true
}

func (c *compiler) leanField(base value, off int16) bool {
	if !base.isConst() {
		return false
	}
	switch base.n + uint64(off) - uint64(c.at.Context) {
	case c.field.data, c.field.dataEnd, c.field.meta, c.field.length:
		return true
	}
	return false
}

// emitLean makes lean code of the program that runs start with, or returns nil if
// it does more than look.
func emitLean(n *vm.Native, t tuning, proofs []*verifier.Proof) *compiler {
	if !t.does(leanCode) || !t.does(constants) { // which the context is, to begin with
		return nil
	}
	c := newCompiler(n, t)
	if !inReach(c.at) {
		return nil
	}
	entry := n.Entry()
	p := c.addProgram(proofs[entry], n.Programs()[entry][0])
	c.findTraits()
	if c.lean = c.leanType(p.typ); !c.lean {
		return nil
	}
	c.analyse(p)
	if !c.isLean(p) {
		return nil
	}
	c.choosePlaces()
	batch := unsafe.Offsetof(vm.Exchange{}.Batch)
	for i, p := range c.batchPlaces() {
		*p = c.take(c.exchange(batch + 8*uintptr(i)))
	}
	c.batch, c.next, c.bail = c.asm.NewLabel(), c.asm.NewLabel(), c.asm.NewLabel()
	c.p = p
	c.emitBatch()
	c.emitProgram(p)
	c.emitLater()
	c.emitBail()
	return c
}

// isDetached reports whether a call is one that has to do with maps alone, not
// with a packet: lean code may leave for Go to do it.
func (c *compiler) isDetached(p *program, slot int) bool {
	ins := p.insns[slot]
	if !isHelperCall(ins) || p.proof.Regions(slot)&^(verifier.Stack|verifier.MapValue) != 0 {
		return false
	}
	if _, own := c.n.Helper(p.start + slot); !own {
		return false
	}
	switch ins.Imm {
	case abi.MapLookupElem, abi.MapUpdateElem, abi.MapDeleteElem, abi.MapLookupPercpuElem,
		abi.MapPushElem, abi.MapPopElem, abi.MapPeekElem, abi.GetPrandomU32:
		return true
	}
	return isClock(ins.Imm)
}
