package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A relevance says, by slot, which of the live values matter for the verdict:
// numbers that are not in it can be forgotten, and the paths that differ only
// in them become one. Pointers are never forgotten; for them the sets speak of
// their offsets.
//
// What matters is where an access goes and how long it is, what a helper
// function looks at, a returned value that is checked, the operands of those
// conditional jumps whose direction matters, and everything that such values
// are computed from. What is stored in maps and packets does not, because what
// comes back from there can be anything.
//
// It grows: the directions of more jumps can be made to matter.
type relevance struct {
	*analysis
	regs  []uint16
	slots []uint64

	branches []bool     // by slot: the jump's direction matters, or the key of the lookup
	queue    *queue     // of blocks
	at       []liveness // what matters at the starts of blocks
	returns  []bool     // by function: so does what it returns
	outer    []bool     // by function: so does what it, or what it calls, reads of its callers' stacks
}

// relevant finds out which values matter if the directions of those
// conditional jumps do by which loops end. Comparisons of pointers, which are
// about NULL and the bounds of the packet, matter always.
func (a *analysis) relevant(p *Program) *relevance {
	n := len(p.Insns)
	s := &relevance{
		analysis: a,
		regs:     make([]uint16, n),
		slots:    make([]uint64, n),
		branches: a.loopBranches(),
		queue:    a.newQueue(false),
		at:       make([]liveness, len(a.blocks)),
		returns:  make([]bool, len(a.funcs)),
		outer:    make([]bool, len(a.funcs)),
	}
	for i, f := range a.funcs {
		s.returns[i] = f.callback // bpf_loop and its kin want 0 or 1
	}
	s.returns[0] = s.returns[0] || p.Type == abi.CGroupSKB
	for _, b := range a.order {
		s.queue.add(b)
	}
	s.propagate()
	return s
}

// learn makes the direction of a conditional jump matter, or the key of a
// lookup in an array, which cannot fail with a constant that is in range. It
// reports whether it did not yet.
func (s *relevance) learn(slot int32) bool {
	if s.branches[slot] {
		return false
	}
	s.branches[slot] = true
	s.queue.add(s.block[slot])
	s.propagate()
	return true
}

// propagate goes against the flow of control, as findLiveness does.
func (s *relevance) propagate() {
	for b := s.queue.take(); b != noBlock; b = s.queue.take() {
		m := s.beforeBlock(b)
		s.addBefore(s.queue, b, s.at[b], m)
		s.at[b] = m
	}
}

// beforeBlock goes through a block backwards, and returns what matters at its
// start.
func (s *relevance) beforeBlock(i int32) liveness {
	b := &s.blocks[i]
	m := liveness{regs: alwaysLive}
	for _, next := range b.succ {
		if next != noBlock {
			m.regs |= s.at[next].regs
			m.stack = m.stack.or(s.at[next].stack)
		}
	}
	for slot := b.end - 1; slot >= b.start; slot-- {
		s.before(slot, &m)
		s.regs[slot] = m.regs
		s.slots[slot] = m.stack.slots()
	}
	return m
}

// before turns what matters after an instruction into what matters before it.
func (s *relevance) before(slot int32, m *liveness) {
	ins := s.p.Insns[slot]
	e := &s.effects[slot]
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		if m.regs&e.writes != 0 {
			m.regs = m.regs&^e.writes | e.reads
		}
	case ebpf.ClassLD:
		m.regs &^= e.writes
		if isLegacyLoad(ins) {
			m.regs |= bit(ebpf.R6) // the offset is checked when the program runs
		}
	case ebpf.ClassLDX:
		if m.load(ins, e) && (e.addr.kind == holdsOuter || e.addr.kind == holdsFrame) {
			s.outerMatters(s.fn[slot])
		}
	case ebpf.ClassST:
		m.stack = m.stack.not(e.sets)
		m.regs |= bit(ins.Dst)
	case ebpf.ClassSTX:
		m.store(ins, e)
	default:
		s.beforeJump(slot, m)
	}
}

// load is for loads into a register.
func (m *liveness) load(ins ebpf.Instruction, e *effect) (wanted bool) {
	wanted = m.regs&e.writes != 0
	m.regs = m.regs&^e.writes | e.reads
	if wanted {
		m.stack = m.stack.or(e.uses)
	}
	return wanted
}

// outerMatters notes that a function reads something that matters from the
// stack of a caller, of whichever: from then on all that a call lets it reach
// does.
func (s *relevance) outerMatters(fn int32) {
	if s.outer[fn] {
		return
	}
	s.outer[fn] = true
	for _, c := range s.calls {
		if c.fn == fn {
			s.queue.add(s.block[c.slot])
			s.outerMatters(s.fn[c.slot])
		}
	}
}

// store is for stores of a register: its value matters if what is stored in
// that part of the stack does. The result of an atomic operation is not known
// anyway.
func (m *liveness) store(ins ebpf.Instruction, e *effect) {
	if ins.Op.Mode() == ebpf.ModeATOMIC && ins.Imm != ebpf.StoreRelease {
		if ins.Imm == ebpf.LoadAcquire {
			m.load(ins, e)
			return
		}
		m.regs = m.regs&^e.writes | bit(ins.Dst)
		return
	}
	touches, _ := e.addr.reached(int(ins.Off), ins.Op.Bytes())
	if e.addr.kind == holdsOuter || !touches.and(m.stack).empty() {
		m.regs |= bit(ins.Src)
	}
	m.stack = m.stack.not(e.sets)
	m.regs |= bit(ins.Dst)
}

func (s *relevance) beforeJump(slot int32, m *liveness) {
	ins := s.p.Insns[slot]
	e := &s.effects[slot]
	switch {
	case isExit(ins):
		if s.returns[s.fn[slot]] {
			m.regs |= bit(ebpf.R0)
		}
	case isLocalCall(ins):
		s.beforeCall(slot, m)
	case isCall(ins):
		m.regs &^= e.writes
		m.stack = m.stack.not(e.sets)
		s.beforeHelper(slot, m)
	case isBranch(ins):
		// Each operand can tell something about the other.
		if e.matters || s.branches[slot] || m.regs&e.reads != 0 {
			m.regs |= e.reads
		}
	}
}

// beforeCall is for calls of the program's functions: those arguments matter
// that do at the start of the function, and its result may.
func (s *relevance) beforeCall(slot int32, m *liveness) {
	callee := s.siteAt(slot).fn
	if m.regs&bit(ebpf.R0) != 0 && !s.returns[callee] {
		s.returns[callee] = true
		f := &s.funcs[callee]
		for b := s.graph.block[f.start]; b <= s.graph.block[f.end-1]; b++ {
			if isExit(s.p.Insns[s.blocks[b].end-1]) {
				s.queue.add(b)
			}
		}
	}
	reads, stack := s.calleeReads(slot)
	start := s.graph.block[s.funcs[callee].start]
	m.regs = m.regs&^callerRegs | s.at[start].regs&reads
	if s.outer[callee] {
		m.stack = m.stack.or(stack)
	}
}

// reachedByCall returns the slots of a frame that matter because what is
// called from it reads them.
func (s *relevance) reachedByCall(slot int) uint64 {
	if isLocalCall(s.p.Insns[slot]) && !s.outer[s.siteAt(int32(slot)).fn] {
		return 0
	}
	return s.analysis.reachedByCall(slot)
}

func (s *relevance) beforeHelper(slot int32, m *liveness) {
	e := &s.effects[slot]
	h := s.p.helperOf(s.p.Insns[slot])
	if h == nil {
		m.regs |= e.reads
		m.stack = m.stack.or(e.uses)
		return
	}
	for i, kind := range h.Args {
		// The size of a record is what is known of its memory.
		if kind != abi.ArgScalar || h.ID == abi.RingbufReserve && i == 1 {
			m.regs |= bit(argRegister(i)) & e.reads // nothing if the function is absent
		}
	}
	if s.branches[slot] || takesCallback(h) {
		m.stack = m.stack.or(e.uses)
		s.outerMatters(s.fn[slot])
	}
}

// loopBranches returns, by slot, the conditional jumps by which cycles end.
func (a *analysis) loopBranches() []bool {
	branches := make([]bool, len(a.p.Insns))
	for i := range a.blocks {
		b := &a.blocks[i]
		if b.loop == 0 || !isBranch(a.p.Insns[b.end-1]) {
			continue
		}
		for _, s := range b.succ {
			if a.blocks[s].loop != b.loop {
				branches[b.end-1] = true
			}
		}
	}
	return branches
}
