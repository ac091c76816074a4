package filter

import (
	"slices"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// Instruction selection. Values are pure, so one that is in no register is
// computed again where it is needed: an absolute load is as cheap as reading
// scratch memory. What is worth keeping in scratch memory, assignScratch knows.

// A coded is an instruction with its provenance.
type coded struct {
	bpf.RawInstruction
	from  origin.Set
	keeps *life // of a store: the life that it serves, unless it is needed in any case
}

// A selector writes the code of one block after the other.
type selector struct {
	slots  *scratchPlan
	accept uint32
	exits  []state // by block ID

	b     *ir.Block // the block at hand
	pos   int       // its place in the order
	st    state
	temps uint16 // slots that hold an operand until its operation is done
	code  []coded
	err   error // the first error
}

// selectAll returns the code of each block. That of an If ends with the
// conditional jump, that of a Jump has no instruction for the jump itself.
func selectAll(f *ir.Func, order []*ir.Block, slots *scratchPlan, accept uint32) ([][]coded, error) {
	s := &selector{slots: slots, accept: accept, exits: make([]state, f.NumBlocks())}
	starts := make([]int, 0, len(order)+1)
	for i, b := range order {
		starts = append(starts, len(s.code))
		s.block(b, i)
		if s.err != nil {
			return nil, s.err
		}
	}
	starts = append(starts, len(s.code))
	blocks := make([][]coded, len(order))
	for i := range blocks {
		blocks[i] = slices.DeleteFunc(s.code[starts[i]:starts[i+1]:starts[i+1]], func(c coded) bool {
			return c.keeps != nil && !c.keeps.used
		})
	}
	return blocks, nil
}

func (s *selector) block(b *ir.Block, pos int) {
	s.b, s.pos = b, pos
	switch b.Kind {
	case ir.Accept:
		s.add(opRet, s.accept, nil)
		return
	case ir.Reject:
		s.add(opRet, 0, nil)
		return
	}
	s.st = entryState(b, s.exits)
	for _, p := range b.Phis {
		if slot, ok := s.slots.home(p, pos); ok {
			s.st.put(slot, p)
		}
	}
	for _, v := range b.Evals {
		s.faults(v)
	}
	if b.Kind == ir.If {
		s.branch(b)
	} else {
		s.copies(ir.Edge{From: b})
	}
	s.exits[b.ID] = s.st
}

func (s *selector) add(op uint16, k uint32, from origin.Set) {
	s.code = append(s.code, coded{RawInstruction: bpf.RawInstruction{Op: op, K: k}, from: from})
}

// branch writes the comparison and the conditional jump, whose targets the
// placer fills in.
func (s *selector) branch(b *ir.Block) {
	c := b.Cond
	if c.X.Op == ir.Const && c.Y.Op != ir.Const && (c.Op == ir.Eq || c.Op == ir.Set) {
		c.X, c.Y = c.Y, c.X
	}
	op := opJmp | condBits[c.Op]
	if c.Y.Op == ir.Const {
		s.inA(c.X)
		s.add(op, c.Y.Const, b.Origin)
		return
	}
	s.operands(c.X, c.Y, c.Op == ir.Eq || c.Op == ir.Set)
	s.add(op|cbpf.SrcX, 0, b.Origin)
}

// copies stores the arguments that the phis of e's target have for e. The
// slots of phis that are live here are not those of the target's phis, so the
// order does not matter.
func (s *selector) copies(e ir.Edge) {
	for i, arg := range e.PhiArgs() {
		p := e.To().Phis[i]
		slot, ok := s.slots.home(p, s.pos)
		if !ok { // nobody uses it
			s.faults(arg)
			continue
		}
		s.inA(arg)
		s.add(opSt, uint32(slot), p.Origin)
		s.st.put(slot, arg)
	}
}

// faults evaluates as much of v as can fault.
func (s *selector) faults(v *ir.Value) {
	switch {
	case !v.CanFault() || s.st.has(v):
	case v.Faults():
		s.inA(v)
	default:
		for _, arg := range v.Args {
			s.faults(arg)
		}
	}
}

// inA brings v into A. If it leaves X alone is for touchesX to say.
func (s *selector) inA(v *ir.Value) {
	slot, stored := s.st.slot(v)
	switch {
	case s.st.a == v:
		return
	case s.st.x == v:
		s.add(opTxa, 0, v.Origin)
	case stored:
		s.slots.use(v)
		s.add(opLdMem, uint32(slot), v.Origin)
	default:
		s.compute(v)
		s.st.a = v
		s.keep(v)
		return
	}
	s.st.a = v
}

// keep stores v, which is in A, if the plan wants it in scratch memory.
func (s *selector) keep(v *ir.Value) {
	slot, ok := s.slots.home(v, s.pos)
	if ok && s.slots.isDef(v, s.b) && s.temps>>slot&1 == 0 {
		s.add(opSt, uint32(slot), v.Origin)
		s.code[len(s.code)-1].keeps = s.slots.lives[v]
		s.st.put(slot, v)
	}
}

// inX brings v into X, by way of A if there is no shorter one.
func (s *selector) inX(v *ir.Value) {
	if s.st.x == v {
		return
	}
	if !s.directX(v) {
		s.inA(v)
		s.add(opTax, 0, v.Origin)
	}
	s.st.x = v
}

// directX brings v into X without touching A, if one instruction can do that.
func (s *selector) directX(v *ir.Value) bool {
	op, k, ok := s.loadX(v)
	if ok {
		if op == opLdxMem {
			s.slots.use(v)
		}
		s.add(op, k, v.Origin)
	}
	return ok
}

// loadX returns the one instruction that loads v into X, if there is one.
func (s *selector) loadX(v *ir.Value) (op uint16, k uint32, ok bool) {
	if slot, stored := s.st.slot(v); stored {
		return opLdxMem, uint32(slot), true
	}
	if s.st.a == v {
		return opTax, 0, true
	}
	switch v.Op {
	case ir.Const:
		return opLdxImm, v.Const, true
	case ir.Len:
		return opLdxLen, 0, true
	}
	at, ok := headerLength(v)
	return opLdxMsh, at, ok
}

// headerLength recognises 4*([k]&0xf), for which classic BPF has an
// instruction, because the IPv4 header says its length so.
func headerLength(v *ir.Value) (k uint32, ok bool) {
	if v.Op != ir.Shl || v.Args[1].Op != ir.Const || v.Args[1].Const != 2 {
		return 0, false
	}
	and := v.Args[0]
	if and.Op != ir.And || and.Args[1].Op != ir.Const || and.Args[1].Const != 0xf {
		return 0, false
	}
	load := and.Args[0]
	return load.Const, load.Op == ir.Load && load.Size == 1 && len(load.Args) == 0
}

// compute computes v, which is nowhere, into A.
func (s *selector) compute(v *ir.Value) {
	switch v.Op {
	case ir.Const:
		s.add(opLdImm, v.Const, v.Origin)
	case ir.Load:
		s.load(v)
	case ir.Len:
		s.add(opLdLen, 0, v.Origin)
	case ir.Meta:
		m := metaLoads[v.Const]
		s.add(opLdAbs|m.size, m.offset, v.Origin)
	case ir.Neg:
		s.inA(v.Args[0])
		s.add(opNeg, 0, v.Origin)
	case ir.Phi:
		if s.err == nil {
			panic("filter: a phi is used where its scratch slot does not hold it")
		}
	default:
		s.binary(v)
	}
}

func (s *selector) load(v *ir.Value) {
	if len(v.Args) == 0 {
		s.add(opLdAbs|sizeBits[v.Size], v.Const, v.Origin)
		return
	}
	s.inX(v.Args[0])
	s.add(opLdInd|sizeBits[v.Size], v.Const, v.Origin)
}

func (s *selector) binary(v *ir.Value) {
	if _, ok := headerLength(v); ok {
		s.inX(v)
		s.add(opTxa, 0, v.Origin)
		return
	}
	x, y := v.Args[0], v.Args[1]
	op := opAlu | aluBits[v.Op]
	if y.Op != ir.Const {
		s.operands(x, y, aluCommutes(v.Op))
		s.add(op|cbpf.SrcX, 0, v.Origin)
		return
	}
	switch k := y.Const; {
	case (v.Op == ir.Div || v.Op == ir.Mod) && k == 0:
		s.fail(blame(v, "division by zero"))
	case (v.Op == ir.Shl || v.Op == ir.Shr) && k >= 32:
		s.fail(blame(v, "shift by %d, more than 31", k))
	}
	s.inA(x)
	s.add(op, y.Const, v.Origin)
}

func aluCommutes(op ir.Op) bool {
	return op == ir.Add || op == ir.Mul || op == ir.And || op == ir.Or || op == ir.Xor
}

func (s *selector) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}
