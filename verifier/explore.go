package verifier

import (
	"slices"
	"sync"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A verifier is one search through the paths of a program, depth first.
type verifier struct {
	p    *Program
	o    Options
	a    *analysis
	maps []abi.MapSpec // p.Maps, and behind them the specs of the maps that maps hold
	ctx  *abi.Context  // nil if the context is bytes

	// relevant says which values matter; nil that all do. See checkpoint.go.
	relevant *relevance
	fine     bool // the offsets of packet pointers are not rounded either

	state *state // of the path being followed
	pc    int    // of the instruction being looked at
	next  int    // where the path goes on
	ended bool   // the path does not go on
	at    *checkpoint
	slots slotFacts
	depth []int32 // by function, how many bytes of stack it uses

	stats  Stats
	calls  int32   // of helpers that call back
	left   int     // steps
	kept   int     // bytes of checkpoints, about
	waits  int     // and of pending branches
	differ spot    // what covers found to differ
	watch  watcher // nil in a plain search
	*scratch
}

// A scratch is the memory of a search, which another one can use after it.
type scratch struct {
	trail   []int32 // where the path went on after each jump; see refine.go
	pending []branch
	points  [][]*checkpoint // by slot
	spare   []*state        // states that nobody uses any more
	ids     renumbering
	pairs   idPairs
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// spareStates is how many states are kept for the next search: what those of
// everyday programs need.
const spareStates = 128

// done gives the memory of the search back. What it has found out stays.
func (v *verifier) done() {
	s := v.scratch
	for i, points := range s.points {
		for _, c := range points {
			if c.state != nil && len(s.spare) < spareStates {
				v.release(c.state)
			}
		}
		clear(points)
		s.points[i] = points[:0]
	}
	clear(s.spare[min(len(s.spare), spareStates):])
	s.spare = s.spare[:min(len(s.spare), spareStates)]
	clear(s.pending[:cap(s.pending)])
	s.trail, s.pending = s.trail[:0], s.pending[:0]
	v.scratch = nil
	scratches.Put(s)
}

// A branch is a path that has yet to be followed.
type branch struct {
	state *state
	pc    int
	at    *checkpoint
	trail int // length of the trail up to here
	mark  int // of the watcher
}

// A watcher is told what a search does, step by step; for facts and for
// explanations.
type watcher interface {
	before(v *verifier)
	after(v *verifier)
	mark() int     // a place on the path
	rewind(to int) // the search goes on from that place
}

// newVerifier prepares a search.
func newVerifier(p *Program, a *analysis, o Options, relevant *relevance) *verifier {
	v := &verifier{p: p, o: o, a: a, relevant: relevant, ctx: abi.ContextOf(p.Type), left: o.Steps}
	v.scratch = scratches.Get().(*scratch)
	v.maps = p.Maps
	for i := range p.Maps {
		if p.Maps[i].Inner != nil {
			v.maps = append(v.maps[:len(v.maps):len(v.maps)], *p.Maps[i].Inner)
		}
	}
	v.slots = make(slotFacts, len(p.Insns))
	v.depth = make([]int32, len(a.funcs))
	return v
}

// inner returns the index in v.maps of the spec of the maps that map obj
// holds.
func (v *verifier) inner(obj int32) (int32, bool) {
	if int(obj) >= len(v.p.Maps) || v.p.Maps[obj].Inner == nil {
		return 0, false
	}
	at := int32(len(v.p.Maps))
	for i := range obj {
		if v.p.Maps[i].Inner != nil {
			at++
		}
	}
	return at, true
}

// search follows all paths. The failure is that of the first path that has
// one.
func (v *verifier) search() *failure {
	v.stats.Searches++
	v.state = v.start()
	v.pc, v.at = 0, nil
	if len(v.points) != len(v.p.Insns) {
		v.points = slices.Grow(v.points[:0], len(v.p.Insns))[:len(v.p.Insns)]
	}
	for {
		if f := v.path(); f != nil {
			return f
		}
		v.close(v.at)
		v.release(v.state)
		if len(v.pending) == 0 {
			return nil
		}
		b := v.pending[len(v.pending)-1]
		v.pending = v.pending[:len(v.pending)-1]
		v.waits -= b.state.bytes()
		v.state, v.pc, v.at = b.state, b.pc, b.at
		v.trail = append(v.trail[:b.trail], int32(b.pc))
		if v.watch != nil {
			v.watch.rewind(b.mark)
		}
	}
}

// start is the state in which a program begins.
func (v *verifier) start() *state {
	s := v.newState()
	f := v.newFrame(s, 0, -1)
	f.regs[ebpf.R1] = pointer(contextPtr)
	return s
}

// path follows one path until it ends, is covered by one already followed, or
// breaks a rule.
func (v *verifier) path() *failure {
	for {
		if v.a.checkpoint[v.pc] {
			covered, f := v.arrive()
			if covered || f != nil {
				return f
			}
		}
		if f := v.advance(); f != nil || v.ended {
			return f
		}
		if decides(v.p.Insns[v.pc]) {
			v.trail = append(v.trail, int32(v.next))
		}
		v.pc = v.next
	}
}

// advance looks at one instruction.
func (v *verifier) advance() *failure {
	if v.left == 0 {
		return v.fail(TooComplex, -1, "stopped after %d steps", v.o.Steps)
	}
	if v.waits > pendingMemory {
		return v.fail(TooComplex, -1, "stopped with %d ways still to be followed", len(v.pending))
	}
	v.left--
	v.stats.Steps++
	v.next, v.ended = v.pc+1, false
	v.slots[v.pc] |= reached
	if v.watch != nil {
		v.watch.before(v)
	}
	f := v.step()
	if f == nil && v.watch != nil {
		v.watch.after(v)
	}
	return f
}

// pendingMemory is how many bytes of pending branches there may be, about. The
// kernel stops at 8192 branches (BPF_COMPLEXITY_LIMIT_JMP_SEQ).
const pendingMemory = 64 << 20

// fork adds a path that goes on at pc in state s, which is the callee's from
// now on.
func (v *verifier) fork(s *state, pc int) {
	b := branch{state: s, pc: pc, at: v.at, trail: len(v.trail)}
	if v.watch != nil {
		b.mark = v.watch.mark()
	}
	if v.at != nil {
		v.at.open++
	}
	v.waits += s.bytes()
	v.pending = append(v.pending, b)
}

// step looks at the instruction at v.pc: it checks the rules, changes v.state
// to what holds behind it, and sets v.next.
func (v *verifier) step() *failure {
	ins := v.p.Insns[v.pc]
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		return v.arithmetic(ins)
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		return v.jump(ins)
	case ebpf.ClassLDX:
		return v.load(ins)
	case ebpf.ClassST, ebpf.ClassSTX:
		if ins.Op.Class() == ebpf.ClassSTX && ins.Op.Mode() == ebpf.ModeATOMIC {
			return v.atomic(ins)
		}
		return v.store(ins)
	}
	if ins.Op == ebpf.LoadImm64 {
		v.next = v.pc + 2
		if ins.Src == ebpf.WideValue {
			*v.reg(ins.Dst) = known(uint64(uint32(ins.Imm)) | uint64(v.p.Insns[v.pc+1].Imm)<<32)
			return nil
		}
		return v.mapLoad(ins)
	}
	return v.legacyLoad(ins)
}

// reg returns a register of the function being run.
func (v *verifier) reg(r ebpf.Register) *reg { return &v.state.top().regs[r] }

// readable checks that a register has been set.
func (v *verifier) readable(r ebpf.Register) *failure {
	x := v.reg(r)
	switch {
	case x.kind != unset:
		return nil
	case x.has(clobbered):
		return v.fail(Unset, int(r), "R%d is not set: a call does not keep R0 to R5", r)
	}
	return v.fail(Unset, int(r), "R%d is not set", r)
}
