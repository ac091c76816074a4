package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
)

// A location is a register of a frame, or eight bytes of its stack.
type location struct {
	frame uint8
	stack bool
	index uint8 // number of the register, or of the slot in frame.stack
}

func register(frame int, r ebpf.Register) location {
	return location{frame: uint8(frame), index: uint8(r)}
}

// A change is what a step has done to a location. Changes are a graph: each
// knows those that made what the instruction has calculated with.
type change struct {
	step    int32 // index in eventLog.steps
	at      location
	was, is slot     // of a register only slot.reg counts
	written bool     // the instruction has put something else there; otherwise it has found out more, or less holds
	prior   int32    // the change of the location before, 0 for none
	from    [2]int32 // if written, the changes of the operands, 0 for none
}

// A pathStep is an instruction on the path.
type pathStep struct {
	pc, next int32
	frame    uint8
}

// A compared is a conditional jump on the path, with what it has compared.
type compared struct {
	step           int32
	x, y           reg
	xChange        int32 // the change that made x, 0 for none
	yChange        int32
	constant, jump bool // y is a constant; the path jumps
}

// An eventLog is a watcher that writes down what happens on one path, by
// comparing the states before and after each step: the step functions know
// nothing of it. It is kept for a program that was rejected only.
type eventLog struct {
	skip     int // steps that are not written down
	steps    []pathStep
	changes  []change // [0] stands for none
	compares []compared
	last     map[location]int32
	old      state // before the last step
	v        *verifier
}

// logLength is how many steps of a path are written down at most, the last
// ones.
const logLength = 50_000

func newEventLog(skip int) *eventLog {
	return &eventLog{skip: skip, changes: make([]change, 1), last: map[location]int32{}}
}

func (l *eventLog) mark() int       { return 0 }
func (l *eventLog) rewind(int)      {}
func (l *eventLog) after(*verifier) {}

// before finishes the step before, of which the search has chosen the way to
// go on by now, and begins the next one.
func (l *eventLog) before(v *verifier) {
	l.v = v
	if l.skip > 0 {
		l.skip--
		return
	}
	if len(l.steps) > 0 {
		l.finish(v.state, v.pc)
	}
	l.begin(v)
}

func (l *eventLog) begin(v *verifier) {
	frame := len(v.state.frames) - 1
	l.steps = append(l.steps, pathStep{pc: int32(v.pc), next: -1, frame: uint8(frame)})
	l.old.copyFrom(v.state)
	ins := v.p.Insns[v.pc]
	if !isBranch(ins) || ins.Op.Operation() == ebpf.Jcond {
		return
	}
	c := compared{step: int32(len(l.steps) - 1), x: *v.reg(ins.Dst), xChange: l.last[register(frame, ins.Dst)]}
	if ins.Op.Source() == ebpf.SourceX {
		c.y, c.yChange = *v.reg(ins.Src), l.last[register(frame, ins.Src)]
	} else {
		c.y, c.constant = known(uint64(int64(ins.Imm))), true
	}
	l.compares = append(l.compares, c)
}

// finish writes down what the last step has done.
func (l *eventLog) finish(now *state, next int) {
	step := &l.steps[len(l.steps)-1]
	step.next = int32(next)
	ins := l.v.p.Insns[step.pc]
	if n := len(l.compares); n > 0 && int(l.compares[n-1].step) == len(l.steps)-1 {
		target, _ := ins.Target(int(step.pc))
		l.compares[n-1].jump = target == next
	}
	kept := min(len(l.old.frames), len(now.frames))
	if kept == len(now.frames) && now.frames[kept-1].loop.rounds != l.old.frames[kept-1].loop.rounds {
		kept-- // the next round of a callback has a frame of its own
	}
	for i := range kept {
		l.compare(i, l.old.frames[i], now.frames[i], ins)
	}
	for i := kept; i < len(l.old.frames); i++ {
		if i >= len(now.frames) {
			l.leave(i)
		}
	}
	for i := kept; i < len(now.frames); i++ {
		l.enter(i, now.frames[i], isLocalCall(ins))
	}
}

// compare writes down what is different in a frame that was there before.
func (l *eventLog) compare(frame int, old, now *frame, ins ebpf.Instruction) {
	_, writes := l.v.p.registers(ins)
	current := frame == int(l.steps[len(l.steps)-1].frame)
	returns := isExit(ins) && !current && frame == int(l.steps[len(l.steps)-1].frame)-1
	for i := range now.regs {
		a, b := &old.regs[i], &now.regs[i]
		written := current && writes>>i&1 != 0 || returns && i == 0
		if same(a, b) && (!written || isCall(ins) && i > 0) {
			continue
		}
		l.add(change{at: location{frame: uint8(frame), index: uint8(i)}, was: slot{reg: *a}, is: slot{reg: *b}, written: written}, ins)
	}
	for i := range max(len(old.stack), len(now.stack)) {
		a, b := old.slotAt(i), now.slotAt(i)
		if a == b || a.spill == b.spill && a.init == b.init && a.zero == b.zero && same(&a.reg, &b.reg) {
			continue
		}
		stores := ins.Op.Class() == ebpf.ClassST || ins.Op.Class() == ebpf.ClassSTX || isCall(ins)
		written := stores && (a.spill == 0 || b.spill == 0 || a.reg.kind != b.reg.kind || !isCall(ins))
		l.add(change{at: location{uint8(frame), true, uint8(i)}, was: a, is: b, written: written}, ins)
	}
}

func (f *frame) slotAt(i int) slot {
	if i < len(f.stack) {
		return f.stack[i]
	}
	return slot{}
}

// same reports whether the same is known of two registers, save which others
// they are tied to.
func same(a, b *reg) bool {
	if *a == *b {
		return true
	}
	x, y := *a, *b
	for _, r := range []*reg{&x, &y} {
		if r.kind == scalar && !r.has(length) {
			r.id, r.off = 0, 0
		} else if r.kind != packetPtr && r.kind != metaPtr && !r.has(length) {
			r.id = 0
		}
	}
	return x == y
}

func (l *eventLog) add(c change, ins ebpf.Instruction) {
	c.step = int32(len(l.steps) - 1)
	c.prior = l.last[c.at]
	if c.written {
		c.from = l.operands(c, ins)
	}
	l.changes = append(l.changes, c)
	l.last[c.at] = int32(len(l.changes) - 1)
}

// operands returns the changes that made what the instruction has calculated a
// value from.
func (l *eventLog) operands(c change, ins ebpf.Instruction) (from [2]int32) {
	frame := int(l.steps[c.step].frame)
	dst, src := l.last[register(frame, ins.Dst)], l.last[register(frame, ins.Src)]
	op := ins.Op.Operation()
	switch class := ins.Op.Class(); {
	case c.at.stack && class == ebpf.ClassSTX:
		from[0] = src
	case c.at.stack:
	case class == ebpf.ClassALU || class == ebpf.ClassALU64:
		if op != ebpf.Mov {
			from[0] = dst
		}
		if ins.Op.Source() == ebpf.SourceX && op != ebpf.Endian {
			from[1] = src
		}
	case class == ebpf.ClassLDX:
		base := &l.old.frames[frame].regs[ins.Src]
		if off, ok := base.offset(); ok && base.kind == stackPtr {
			if at := int(-1-off-int64(ins.Off)) / 8; at >= 0 && at < frameSize/8 {
				from[0] = l.last[location{base.frame, true, uint8(at)}]
			}
		}
	case isExit(ins):
		from[0] = l.last[register(frame, ebpf.R0)]
	case isCall(ins) && c.is.reg.kind == unset:
		from[0] = c.prior // what the call has made unusable
	}
	return from
}

// enter writes down with what a function begins.
func (l *eventLog) enter(frame int, f *frame, call bool) {
	l.leave(frame)
	for i := range f.regs[:10] {
		r := ebpf.Register(i)
		if f.regs[i].kind == unset {
			continue
		}
		c := change{step: int32(len(l.steps) - 1), at: register(frame, r), is: slot{reg: f.regs[i]}, written: true}
		if prior := l.last[register(frame-1, r)]; call && prior != 0 {
			c.from[0] = prior
			if l.changes[prior].step == c.step {
				c.from[0] = l.changes[prior].prior // not what the call has made of it
			}
		}
		l.changes = append(l.changes, c)
		l.last[c.at] = int32(len(l.changes) - 1)
	}
}

// leave forgets the locations of a frame that is gone.
func (l *eventLog) leave(frame int) {
	for at := range l.last {
		if int(at.frame) == frame {
			delete(l.last, at)
		}
	}
}

// copyFrom makes a state a copy of another one, in the memory that it has.
func (s *state) copyFrom(other *state) {
	frames := s.frames[:0]
	*s = state{frames: frames, refs: append(s.refs[:0], other.refs...), lock: other.lock}
	for _, f := range other.frames {
		g := s.grow()
		stack := g.stack
		*g = *f
		g.stack = append(stack[:0], f.stack...)
	}
}
