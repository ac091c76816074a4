package jit

import (
	"math/bits"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/maps"
)

// Lookups in arrays and hash maps that are known when compiling are code of
// their own in place of the call, as are the shortest of the other helper
// functions. Package maps documents the layout.

// inlineMap returns the map of a lookup that machine code can do itself, nil for
// other calls.
func (c *compiler) inlineMap(p *program, slot int, k *known) *maps.Map {
	ins := p.insns[slot]
	if !c.does(inlineCalls) || !isHelperCall(ins) || ins.Imm != abi.MapLookupElem || !k.reg[1].isConst() {
		return nil
	}
	if _, own := c.n.Helper(p.start + slot); !own {
		return nil
	}
	m := c.n.MapAt(k.reg[1].n)
	if m == nil {
		return nil
	}
	switch spec := m.Spec(); spec.Kind {
	case abi.ArrayMap, abi.PerCPUArray:
		return m
	case abi.HashMap, abi.PerCPUHash, abi.LRUHash, abi.LRUPerCPUHash:
		if spec.KeySize%4 == 0 && spec.KeySize <= 64 {
			return m
		}
	}
	return nil
}

// canInline reports whether lean code can do a call: a lookup whose key is on the
// stack, not in the packet, or the time.
func (c *compiler) canInline(p *program, slot int, k *known) bool {
	if c.inlineSystem(p, slot) {
		return isClock(p.insns[slot].Imm)
	}
	key := k.reg[2]
	return c.inlineMap(p, slot, k) != nil && key.isConst() && uint64(c.at.StackTop)-key.n <= vm.StackSize
}

// inlineSystem reports whether a call is one of the short helper functions that
// ask about the system, and the answer is in memory.
func (c *compiler) inlineSystem(p *program, slot int) bool {
	ins := p.insns[slot]
	if !c.does(inlineCalls) || !isHelperCall(ins) {
		return false
	}
	if _, own := c.n.Helper(p.start + slot); !own {
		return false
	}
	switch id := ins.Imm; {
	case isClock(id):
		return c.at.Clock != 0
	case id == abi.GetPrandomU32:
		return c.at.Random != 0
	default:
		return id == abi.GetSMPProcessorID
	}
}

// isClock reports whether a helper function tells the time. All clocks are the
// same one.
func isClock(id int32) bool {
	return id == abi.KtimeGetNS || id == abi.KtimeGetBootNS || id == abi.KtimeGetTAINS || id == abi.KtimeGetCoarseNS
}

// askSystem makes the code of such a call.
func (c *compiler) askSystem(slot int) {
	switch id := c.p.insns[slot].Imm; {
	case isClock(id):
		c.asm.ALUMemImm(amd64.Add, amd64.W64, inArena(c.at.Clock), vm.ClockTick)
		c.asm.Load(amd64.W64, amd64.RAX, inArena(c.at.Clock))
	case id == abi.GetSMPProcessorID:
		c.asm.Load(amd64.W32, amd64.RAX, c.exchange(unsafe.Offsetof(vm.Exchange{}.CPU)))
	default:
		c.randomNumber(slot)
	}
}

// randomNumber takes one of the numbers that Go has made in advance, and leaves
// for more when they are used up.
func (c *compiler) randomNumber(slot int) {
	used, next := inArena(c.at.Random), amd64.Mem{Base: baseReg, Index: scratch, Scale: 4, Disp: int32(c.at.Random) + 8}
	more, done := c.asm.NewLabel(), c.asm.NewLabel()
	c.asm.Load(amd64.W32, scratch, used)
	c.asm.ALUImm(amd64.Cmp, amd64.W32, scratch, int32(vm.RandomNumbers))
	c.asm.Jcc(amd64.CondAE, more)
	c.asm.Load(amd64.W32, amd64.RAX, next)
	c.asm.ALUMemImm(amd64.Add, amd64.W64, used, 1)
	c.asm.Bind(done)
	c.rarely(func() {
		c.asm.Bind(more)
		c.leaveAt(slot, whyCall)
		c.asm.Jmp(done)
	})
}

// useInline is what the code in place of a call reads.
func (c *compiler) useInline(p *program, slot int, k *known) (reads uint16, ok bool) {
	if c.inlineSystem(p, slot) {
		return 0, true
	}
	if c.inlineMap(p, slot, k) == nil {
		return 0, false
	}
	if _, fixed := fixedAddress(k.reg[2], 0); fixed {
		return 0, true
	}
	return bit(ebpf.R2), true
}

// inlineCall makes the code of calls that need none, and says no for all others.
func (c *compiler) inlineCall(slot int) bool {
	if c.inlineSystem(c.p, slot) {
		c.askSystem(slot)
		return true
	}
	m := c.inlineMap(c.p, slot, &c.k)
	if m == nil {
		return false
	}
	if k := m.Spec().Kind; k == abi.ArrayMap || k == abi.PerCPUArray {
		c.lookupArray(m, slot)
	} else {
		c.lookupHash(m, slot)
	}
	return true
}

// key returns the memory of the key from an offset on.
func (c *compiler) key(off int32) amd64.Mem {
	if addr, fixed := fixedAddress(c.k.reg[2], 0); fixed {
		return inArena(uint32(addr + off))
	}
	return amd64.AtIndex(baseReg, hostOf[2], off)
}

// addConstant adds a number below 1<<32 to rax.
func (c *compiler) addConstant(n uint32) {
	switch {
	case n == 0:
	case n < 1<<31:
		c.asm.ALUImm(amd64.Add, amd64.W64, amd64.RAX, int32(n))
	default:
		c.asm.MovRI(scratch, uint64(n))
		c.asm.ALU(amd64.Add, amd64.W64, amd64.RAX, scratch)
	}
}

// addProcessor adds to rax where the value of the processor lies behind the first.
func (c *compiler) addProcessor(step uint32) {
	if step == 0 {
		return
	}
	c.perCPU = true
	c.asm.Load(amd64.W64, scratch, inArena(c.at.Processor))
	c.asm.ImulImm(amd64.W64, scratch, scratch, int32(step))
	c.asm.ALU(amd64.Add, amd64.W64, amd64.RAX, scratch)
}

func (c *compiler) lookupArray(m *maps.Map, slot int) {
	start, stride, step := m.Elements()
	none, done := c.asm.NewLabel(), c.asm.NewLabel()
	c.asm.Load(amd64.W32, amd64.RAX, c.key(0))
	c.asm.ALUImm(amd64.Cmp, amd64.W32, amd64.RAX, int32(m.Spec().MaxEntries))
	c.asm.Jcc(amd64.CondAE, none)
	if bits.OnesCount32(stride) == 1 {
		c.asm.ShiftImm(amd64.Shl, amd64.W64, amd64.RAX, uint8(bits.TrailingZeros32(stride)))
	} else {
		c.asm.ImulImm(amd64.W64, amd64.RAX, amd64.RAX, int32(stride))
	}
	c.addConstant(start)
	c.addProcessor(step)
	c.asm.Bind(done)
	c.rarely(func() {
		c.asm.Bind(none)
		c.asm.Zero(amd64.RAX)
		c.asm.Jmp(done)
	})
}

// lookupHash uses the registers of the arguments, which a call loses: rdi is the
// element, rcx, rdx and r8 are free; rsi may be the key's address.
func (c *compiler) lookupHash(m *maps.Map, slot int) {
	h := m.Hash()
	again, next, none, done := c.asm.NewLabel(), c.asm.NewLabel(), c.asm.NewLabel(), c.asm.NewLabel()
	n := int32(m.Spec().KeySize)
	c.hash(n)
	c.asm.MovRR(amd64.W32, amd64.RCX, amd64.RAX)
	c.asm.ALUImm(amd64.And, amd64.W32, amd64.RCX, int32(h.Mask))
	bucket := amd64.Mem{Base: baseReg, Index: amd64.RCX, Scale: 4, Disp: int32(h.Buckets)}
	if h.Buckets >= 1<<31 {
		c.asm.MovRI(scratch, uint64(h.Buckets))
		c.asm.ALU(amd64.Add, amd64.W64, scratch, baseReg)
		bucket.Base, bucket.Disp = scratch, 0
	}
	c.asm.Load(amd64.W32, amd64.RDI, bucket)
	if n <= 8 {
		c.asm.Load(amd64.Width(n), amd64.RAX, c.key(0))
	}
	c.asm.TestRR(amd64.W32, amd64.RDI, amd64.RDI)
	c.asm.Jcc(amd64.CondE, none)
	c.asm.Bind(again)
	c.asm.TestRI(amd64.W32, amd64.RDI, 1)
	c.asm.Jcc(amd64.CondNE, none)
	c.compareKey(n, next)
	c.found(m, h)
	c.asm.Bind(done)
	c.rarely(func() {
		c.asm.Bind(next)
		c.asm.Load(amd64.W32, amd64.RDI, amd64.AtIndex(baseReg, amd64.RDI, maps.ElementNext))
		c.asm.Jmp(again)
		c.asm.Bind(none)
		c.notFound(slot)
		c.asm.Jmp(done)
	})
}

// hash computes the hash of a key of n bytes into eax.
func (c *compiler) hash(n int32) {
	c.asm.MovRI(amd64.R8, maps.HashMul)
	c.asm.MovRI(amd64.RDX, maps.HashStart^uint64(n))
	for at := int32(0); at < n; at += 8 {
		c.asm.Load(amd64.Width(min(8, n-at)), amd64.RAX, c.key(at))
		c.asm.ALU(amd64.Xor, amd64.W64, amd64.RAX, amd64.RDX)
		c.asm.Mul(amd64.W64, amd64.R8)
		c.asm.ALU(amd64.Xor, amd64.W64, amd64.RDX, amd64.RAX)
	}
	c.asm.MovRR(amd64.W64, amd64.RAX, amd64.RDX)
	c.asm.ShiftImm(amd64.Shr, amd64.W64, amd64.RAX, 32)
	c.asm.ALU(amd64.Xor, amd64.W32, amd64.RAX, amd64.RDX)
}

// compareKey goes on if the element has the key, which is in rax if it is short.
func (c *compiler) compareKey(n int32, unequal amd64.Label) {
	for at := int32(0); at < n; at += 8 {
		w := amd64.Width(min(8, n-at))
		if n > 8 {
			c.asm.Load(w, amd64.RAX, c.key(at))
		}
		c.asm.ALULoad(amd64.Cmp, w, amd64.RAX, amd64.AtIndex(baseReg, amd64.RDI, maps.ElementKey+at))
		c.asm.Jcc(amd64.CondNE, unequal)
	}
}

// found makes the address of the value, and notes that the element was used where
// the map wants to know.
func (c *compiler) found(m *maps.Map, h maps.HashLayout) {
	if h.LRU {
		used := amd64.AtIndex(baseReg, amd64.RDI, maps.ElementUsed)
		marked := c.asm.NewLabel()
		c.asm.ALUMemImm(amd64.Cmp, amd64.W32, used, 0)
		c.asm.Jcc(amd64.CondNE, marked)
		c.asm.StoreImm(amd64.W32, used, 1)
		c.asm.Bind(marked)
	}
	c.asm.Lea(amd64.W64, amd64.RAX, amd64.At(amd64.RDI, int32(h.Value)))
	_, _, step := m.Elements()
	c.addProcessor(step)
}

// notFound gives 0. Where other machines change the map at the same time, what
// was not found may have moved, and Go looks again.
func (c *compiler) notFound(slot int) {
	if c.n.Exchange().Shared {
		c.leaveAt(slot, whyCall)
		return
	}
	c.asm.Zero(amd64.RAX)
}
