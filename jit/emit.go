package jit

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm"
)

// emitGeneral makes the code of all programs, for one packet at a time.
func (c *compiler) emitGeneral() {
	c.entries, c.starts = map[int]amd64.Label{}, map[int]amd64.Label{}
	for _, p := range c.programs {
		c.analyse(p)
	}
	c.choosePlaces()
	if c.has.legacy {
		c.length = c.take(c.exchange(unsafe.Offsetof(vm.Exchange{}.Length)))
	}
	if c.has.loops {
		c.slice = c.take(c.exchange(unsafe.Offsetof(vm.Exchange{}.Slice)))
	}
	for _, p := range c.programs {
		for i := range p.blocks {
			if b := &p.blocks[i]; b.function {
				c.starts[p.start+b.start] = c.asm.NewLabel()
			}
		}
	}
	for _, p := range c.programs {
		c.emitProgram(p)
	}
	if c.has.functions {
		c.emitReturn()
	}
	c.emitLater()
}

// emitProgram makes the code of a program: its blocks in order, then the ways
// in.
func (c *compiler) emitProgram(p *program) {
	c.p = p
	c.fails = [2]amd64.Label{noLabel, noLabel}
	c.labels = make([]amd64.Label, len(p.blocks))
	for i := range c.labels {
		c.labels[i] = c.asm.NewLabel()
	}
	for i := range p.blocks {
		c.emitBlock(i)
	}
	for i := range p.blocks {
		if b := &p.blocks[i]; !c.lean && (b.function || b.enter) {
			c.emitEntry(b, c.labels[i])
		}
	}
}

func (c *compiler) emitBlock(i int) {
	p := c.p
	b := &p.blocks[i]
	c.current = i
	if b.function && !c.lean {
		c.emitStart(b)
	}
	c.asm.Bind(c.labels[i])
	if b.weight > 0 {
		c.mark(b.start)
		c.emitSlice(b)
	}
	c.k = b.in
	for slot := b.start; slot < b.end; {
		n := 1
		if p.isNeeded(slot) {
			at := len(c.marks)
			c.mark(slot)
			n = c.emit(slot, b.end)
			c.marks[at].fused = n - 1
		}
		for ; n > 0; n-- {
			c.pass(p, slot, &c.k)
			slot += p.insns[slot].Width()
		}
	}
	last := p.lastOf(b)
	if ins := p.insns[last]; !isExit(ins) && !isJump(ins) {
		c.mark(last)
		c.goTo(b.succ[0], i+1)
	}
}

// lastOf returns the last instruction of a block.
func (p *program) lastOf(b *block) int {
	last := b.start
	for slot := b.start; slot < b.end; slot += p.insns[slot].Width() {
		last = slot
	}
	return last
}

// goTo continues at a block; following is the one whose code comes next.
func (c *compiler) goTo(to int32, following int) {
	switch {
	case to == none:
		c.leaveFor(whyNowhere)
	case int(to) != following:
		c.asm.Jmp(c.labels[to])
	}
}

// emit makes the code of an instruction, and of those behind it that are done
// along with it. It returns how many that are.
func (c *compiler) emit(slot, end int) (n int) {
	if n := c.emitFused(slot, end); n > 0 {
		return n
	}
	ins := c.p.insns[slot]
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		c.arithmetic(ins)
	case ebpf.ClassLD:
		if ins.Op == ebpf.LoadImm64 {
			c.set(ins.Dst, c.n.Immediate(c.p.start+slot))
		} else {
			c.legacy(slot)
		}
	case ebpf.ClassLDX:
		c.load(slot)
	case ebpf.ClassST:
		c.storeImmediate(slot)
	case ebpf.ClassSTX:
		c.store(slot)
	default:
		c.jump(slot)
	}
	return 1
}

// A mark says what the code from a place on belongs to. It is for people to read.
type mark struct {
	program *program
	slot    int    // of an instruction of the program,
	fused   int    // and of how many behind it that were done along with it
	part    string // or what else it is, "" for an instruction
	pos     amd64.Pos
}

// mark notes that what follows belongs to an instruction.
func (c *compiler) mark(slot int) {
	c.marks = append(c.marks, mark{program: c.p, slot: slot, pos: c.asm.Pos()})
}

// markPart notes that what follows belongs to no instruction.
func (c *compiler) markPart(what string) {
	c.marks = append(c.marks, mark{part: what, pos: c.asm.Pos()})
}

// rarely makes code behind all else, which belongs to what is being compiled.
func (c *compiler) rarely(emit func()) {
	p, k, current, m := c.p, c.k, c.current, c.marks[len(c.marks)-1]
	c.later = append(c.later, func() {
		c.p, c.k, c.current = p, k, current
		m.pos, m.fused = c.asm.Pos(), 0
		c.marks = append(c.marks, m)
		emit()
	})
}

func (c *compiler) emitLater() {
	for i := 0; i < len(c.later); i++ {
		c.later[i]()
	}
}
