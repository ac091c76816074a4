package verifier

import (
	"slices"
	"sync"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A tracer follows the contents of registers and stack slots through a
// program, in the direction of control and into the functions called, and
// notes the effects of the instructions on its way. Two rules of the search
// are relied on, which are the kernel's: a function returns no pointer into a
// stack, and stores none in a frame that is not its own.
type tracer struct {
	*analysis
	queue   *queue
	inRegs  []regContents  // by block, at its start
	inSlots []slotContents // likewise; empty for a program that does not use its stack
	regs    regContents    // at the instruction being looked at
	slots   slotContents
}

func (a *analysis) findEffects() {
	a.effects = make([]effect, len(a.p.Insns))
	t := tracers.Get().(*tracer)
	defer tracers.Put(t)
	t.analysis, t.queue = a, a.newQueue(true)
	t.inRegs = slices.Grow(t.inRegs[:0], len(a.blocks))[:len(a.blocks)]
	clear(t.inRegs)
	t.inSlots = t.inSlots[:0]
	if a.usesStack() {
		t.inSlots = slices.Grow(t.inSlots, len(a.blocks))[:len(a.blocks)]
	}
	t.regs = startContents()
	t.regs[ebpf.R1] = content{kind: holdsContext}
	t.reach(0, &t.regs, &emptyStack)
	for b := t.queue.take(); b != noBlock; b = t.queue.take() {
		t.trace(b)
	}
	t.analysis, t.queue = nil, nil
}

// tracers are kept because they are the largest part of what the analysis of a
// small program needs.
var tracers = sync.Pool{New: func() any { return new(tracer) }}

// usesStack reports whether an instruction names R10.
func (a *analysis) usesStack() bool {
	for i := range a.p.Insns {
		if ins := &a.p.Insns[i]; ins.Src == ebpf.R10 || ins.Dst == ebpf.R10 {
			return true
		}
	}
	return false
}

// reach notes with what contents the start of a block is reached.
func (t *tracer) reach(b int32, regs *regContents, slots *slotContents) {
	in := &t.inRegs[b]
	if !in.reached() {
		*in = *regs
		if len(t.inSlots) > 0 {
			t.inSlots[b] = *slots
		}
		t.queue.add(b)
		return
	}
	grown := *in != *regs && joinAll(in[:], regs[:])
	if len(t.inSlots) > 0 && t.inSlots[b] != *slots && joinAll(t.inSlots[b][:], slots[:]) {
		grown = true
	}
	if grown {
		t.queue.add(b)
	}
}

// trace follows a block, the last time with all that ever reaches it.
func (t *tracer) trace(i int32) {
	b := &t.blocks[i]
	t.regs = t.inRegs[i]
	if len(t.inSlots) > 0 {
		t.slots = t.inSlots[i]
	}
	for slot := b.start; slot < b.end; slot += int32(t.p.Insns[slot].Width()) {
		t.effectAt(slot, &t.effects[slot])
		t.pass(slot)
	}
	for _, s := range b.succ {
		if s != noBlock {
			t.reach(s, &t.regs, &t.slots)
		}
	}
}

// pass changes the contents as an instruction does.
func (t *tracer) pass(slot int32) {
	ins := t.p.Insns[slot]
	r := &t.regs
	switch ins.Op.Class() {
	case ebpf.ClassALU64:
		r[ins.Dst] = t.wide(ins)
	case ebpf.ClassALU:
		r[ins.Dst] = t.narrow(ins)
	case ebpf.ClassLD:
		t.passLD(slot)
	case ebpf.ClassLDX:
		r[ins.Dst] = t.loaded(ins)
	case ebpf.ClassST:
		t.slots.store(r[ins.Dst], int(ins.Off), ins.Op.Bytes(), constantContent(int64(ins.Imm)))
	case ebpf.ClassSTX:
		t.passSTX(ins)
	default:
		if isCall(ins) {
			t.passCall(slot)
		}
	}
}

// operand is the second operand of arithmetic.
func (t *tracer) operand(ins ebpf.Instruction) content {
	if ins.Op.Source() == ebpf.SourceX {
		return t.regs[ins.Src]
	}
	return constantContent(int64(ins.Imm))
}

func (t *tracer) wide(ins ebpf.Instruction) content {
	switch ins.Op.Operation() {
	case ebpf.Mov:
		if ins.Off == 0 {
			return t.operand(ins)
		}
	case ebpf.Add:
		return t.regs[ins.Dst].add(t.operand(ins), false)
	case ebpf.Sub:
		return t.regs[ins.Dst].add(t.operand(ins), true)
	}
	return content{kind: holdsNumber}
}

// narrow is 32-bit arithmetic: of a pointer nothing usable is left. Lengths of
// packets are an exception, which compilers compute in 32 bits.
func (t *tracer) narrow(ins ebpf.Instruction) content {
	v := t.operand(ins)
	switch ins.Op.Operation() {
	case ebpf.Mov:
		if ins.Off == 0 && (v.kind == holdsAnything || v.kind == holdsConstant && v.n >= 0) {
			return v
		}
	case ebpf.Sub:
		if dst := t.regs[ins.Dst]; !dst.isNumber() && !v.isNumber() {
			return content{}
		}
	}
	return content{kind: holdsNumber}
}

// loaded is what a load from memory gives. The context has pointers, of 4
// bytes too; what is loaded from any other place outside of stacks is a
// number.
func (t *tracer) loaded(ins ebpf.Instruction) content {
	base := t.regs[ins.Src]
	if ins.Op.Mode() == ebpf.ModeMEMSX {
		return content{kind: holdsNumber}
	}
	size := ins.Op.Bytes()
	if base.kind == holdsContext && size >= 4 {
		if c := abi.ContextOf(t.p.Type); c != nil {
			if f, _ := c.Access(t.p.Type, int(ins.Off), size, false); f != nil && f.Kind != abi.Scalar {
				return content{kind: holdsPointer}
			}
		}
	}
	return t.slots.load(base, int(ins.Off), size)
}

func (t *tracer) passLD(slot int32) {
	ins := t.p.Insns[slot]
	if isLegacyLoad(ins) {
		t.clobber(content{kind: holdsNumber})
		return
	}
	c := content{kind: holdsPointer}
	switch ins.Src {
	case ebpf.WideValue:
		c = constantContent(int64(t.p.Insns[slot+1].Imm)<<32 | int64(uint32(ins.Imm)))
	case ebpf.WideMapFD, ebpf.WideMapIndex:
		if ins.Imm >= 0 && int(ins.Imm) < min(len(t.p.Maps), 1<<15) {
			c = content{holdsMap, int16(ins.Imm)}
		}
	case ebpf.WideFunc:
		// The helper function that calls it passes on a pointer, in a
		// register that depends on the helper.
		t.enter(slot, func(ebpf.Register) content { return content{kind: holdsOuter} })
	}
	t.regs[ins.Dst] = c
}

func (t *tracer) passSTX(ins ebpf.Instruction) {
	r := &t.regs
	dst, src := r[ins.Dst], r[ins.Src]
	size := ins.Op.Bytes()
	if ins.Op.Mode() != ebpf.ModeATOMIC || ins.Imm == ebpf.StoreRelease {
		t.slots.store(dst, int(ins.Off), size, src)
		return
	}
	if ins.Imm == ebpf.LoadAcquire {
		r[ins.Dst] = t.slots.load(src, int(ins.Off), size)
		return
	}
	t.slots.store(dst, int(ins.Off), size, content{kind: holdsNumber})
	_, writes := atomicRegisters(ins)
	for i := range r[:10] {
		if writes>>i&1 != 0 {
			r[i] = content{kind: holdsNumber}
		}
	}
}

func (t *tracer) passCall(slot int32) {
	ins := t.p.Insns[slot]
	result := content{kind: holdsNumber}
	if isLocalCall(ins) {
		t.enter(slot, func(r ebpf.Register) content { return t.regs[r].argument() })
	} else if h := t.p.helperOf(ins); h != nil {
		switch h.Returns {
		case abi.ReturnsValue:
			result = content{kind: holdsPointer}
			if m := t.regs[ebpf.R1]; m.kind == holdsMap && t.p.Maps[m.n].Inner != nil {
				result = content{holdsInnerMap, m.n}
			}
		case abi.ReturnsRecord, abi.ReturnsSocket:
			result = content{kind: holdsPointer}
		}
	}
	t.clobber(result)
}

// clobber leaves R0 to R5 as a call does.
func (t *tracer) clobber(result content) {
	t.regs[ebpf.R0] = result
	for r := ebpf.R1; r <= ebpf.R5; r++ {
		t.regs[r] = content{kind: holdsNumber}
	}
}

// enter notes that the function named at slot gets these arguments.
func (t *tracer) enter(slot int32, argument func(ebpf.Register) content) {
	start := startContents()
	for r := ebpf.R1; r <= ebpf.R5; r++ {
		start[r] = argument(r)
	}
	f := &t.funcs[t.siteAt(slot).fn]
	t.reach(t.block[f.start], &start, &emptyStack)
}
