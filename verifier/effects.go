package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// An effect is what an instruction does to registers and to the stack of its
// function, as far as it can be said without following paths. What a function
// of the program reads when it is called is not in it.
type effect struct {
	reads, writes uint16 // bit r: register r; a call writes what it leaves unusable
	uses, sets    halves // parts of the stack that it may read, that it overwrites on every path

	addr    content // what the address of a load or store holds
	matters bool    // the verdict depends on the values: a comparison of pointers, a call for which the key matters
}

// halves is a set of halves of stack slots: bit i of upper stands for the four
// bytes at R10-8i-4, bit i of lower for those at R10-8i-8. Slots are the unit
// of the states, but keys of four bytes are common.
type halves struct{ upper, lower uint64 }

var allHalves = halves{^uint64(0), ^uint64(0)}

func (h halves) or(o halves) halves  { return halves{h.upper | o.upper, h.lower | o.lower} }
func (h halves) not(o halves) halves { return halves{h.upper &^ o.upper, h.lower &^ o.lower} }
func (h halves) and(o halves) halves { return halves{h.upper & o.upper, h.lower & o.lower} }
func (h halves) empty() bool         { return h.upper|h.lower == 0 }

// slots returns the slots of which a half is in the set.
func (h halves) slots() uint64 { return h.upper | h.lower }

// touched returns the halves of which bytes are in [from, to), counted from
// R10, covered those that are in it whole. What is outside of the stack is
// left out.
func touched(from, to int) halves {
	from, to = max(from, -frameSize), min(to, 0)
	return halvesFrom(-to/4, (-from+3)/4-1)
}

func covered(from, to int) halves {
	from, to = max(from, -frameSize), min(to, 0)
	return halvesFrom((-to+3)/4, -from/4-1)
}

// halvesFrom returns the halves numbered first to last, counted downwards from
// R10.
func halvesFrom(first, last int) halves {
	return halves{
		upper: bitsFrom((first+1)/2, last>>1),
		lower: bitsFrom(first/2, (last-1)>>1),
	}
}

func bitsFrom(first, last int) uint64 {
	if first > last {
		return 0
	}
	return ^uint64(0) >> (63 - last + first) << first
}

// reached returns the halves that an access of size bytes at c+off touches,
// and those that it covers for certain. A size below 0 is not known.
func (c content) reached(off, size int) (touches, covers halves) {
	switch {
	case c.kind == holdsFrame:
		return allHalves, halves{}
	case !c.isAt():
		return halves{}, halves{}
	}
	at := int(c.n) + off
	if size < 0 {
		return touched(at, 0), halves{}
	}
	touches, covers = touched(at, at+size), covered(at, at+size)
	if c.kind == holdsMaybeAt {
		covers = halves{}
	}
	return touches, covers
}

// effectAt notes the effect of an instruction on what the tracer knows at it.
func (t *tracer) effectAt(slot int32, e *effect) {
	ins := t.p.Insns[slot]
	r := &t.regs
	*e = effect{}
	e.reads, e.writes = t.p.registers(ins)
	switch ins.Op.Class() {
	case ebpf.ClassLDX:
		e.addr = r[ins.Src]
		e.uses, _ = e.addr.reached(int(ins.Off), ins.Op.Bytes())
	case ebpf.ClassST, ebpf.ClassSTX:
		t.storeEffect(e, ins)
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		switch {
		case isCall(ins):
			t.callEffect(e, slot)
		case isBranch(ins):
			e.matters = !r[ins.Dst].isNumber() || !t.operand(ins).isNumber()
		}
	}
}

func (t *tracer) storeEffect(e *effect, ins ebpf.Instruction) {
	e.addr = t.regs[ins.Dst]
	atomic := ins.Op.Class() == ebpf.ClassSTX && ins.Op.Mode() == ebpf.ModeATOMIC
	if atomic && ins.Imm == ebpf.LoadAcquire {
		e.addr = t.regs[ins.Src]
	}
	touches, covers := e.addr.reached(int(ins.Off), ins.Op.Bytes())
	if atomic && ins.Imm != ebpf.StoreRelease {
		e.uses = touches
	} else {
		e.sets = covers
	}
}

func (t *tracer) callEffect(e *effect, slot int32) {
	ins := t.p.Insns[slot]
	if _, absent := t.p.Absent[int(slot)]; absent {
		e.reads = 0 // no path goes on here
		return
	}
	var frames uint16
	for r := ebpf.R1; r <= ebpf.R5; r++ {
		if t.regs[r].isFrame() {
			frames |= bit(r)
		}
	}
	switch h := t.p.helperOf(ins); {
	case isLocalCall(ins):
		t.siteAt(slot).frames = frames
	case h == nil && frames != 0:
		e.uses = allHalves
	case h != nil:
		for i := range h.Args {
			t.argumentEffect(e, h, i)
		}
	}
}

// argumentEffect adds the stack memory that a helper function reaches by its
// i-th argument.
func (t *tracer) argumentEffect(e *effect, h *abi.Helper, i int) {
	arg := t.regs[argRegister(i)]
	spec := t.mapIn(t.regs[ebpf.R1])
	size, reads := -1, true
	switch h.Args[i] {
	case abi.ArgReadMem, abi.ArgReadMemOrNull:
		size = t.size(i + 1)
	case abi.ArgWriteMem, abi.ArgWriteMemOrNull:
		size, reads = t.size(i+1), false
	case abi.ArgMapKey:
		if spec != nil {
			size = int(spec.KeySize)
		}
		e.matters = h.ID == abi.MapLookupElem && (spec == nil || spec.Kind == abi.ArrayMap || spec.Kind == abi.PerCPUArray)
	case abi.ArgMapValue, abi.ArgMapValueOut:
		if spec != nil {
			size = int(spec.ValueSize)
		}
		reads = h.Args[i] == abi.ArgMapValue
	case abi.ArgWriteLong:
		size, reads = 8, false
	case abi.ArgReadWriteWord:
		size = 4
	case abi.ArgPointerOrNull:
		if arg.isFrame() {
			e.uses = allHalves // a callback gets it
		}
		return
	default:
		return
	}
	touches, covers := arg.reached(0, size)
	if reads {
		e.uses = e.uses.or(touches)
	} else {
		e.sets = e.sets.or(covers)
	}
}

// size is the constant in the register of an argument, or -1.
func (t *tracer) size(arg int) int {
	if c := t.regs[argRegister(arg)]; c.kind == holdsConstant && c.n >= 0 {
		return int(c.n)
	}
	return -1
}

// mapIn returns the map that a register holds, or nil.
func (t *tracer) mapIn(c content) *abi.MapSpec {
	switch c.kind {
	case holdsMap:
		return &t.p.Maps[c.n]
	case holdsInnerMap:
		return t.p.Maps[c.n].Inner
	}
	return nil
}
