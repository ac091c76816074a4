package verifier

import (
	"math/bits"
	"slices"
	"unsafe"

	"github.com/bpflab/bpflab/verifier/num"
)

// Paths through a program are many; what keeps a search short is to see that
// a path arrives where one has been before. At the start of every instruction
// that can be reached in several ways a copy of the state is kept, a
// checkpoint. A path whose state is covered by a checkpoint, that is, of which
// less or the same could happen, need not be followed: all that could go wrong
// on it has been looked for.
//
// States are made to look alike first. What nobody will read any more is
// dropped, numbers that reach no address, size or decision that matters are
// widened to any number, and ids are given anew in the order in which they
// occur. That is sound without further ado, because the path is then followed
// with what is left: what was explored is what is claimed. (The kernel keeps
// exact states and finds out afterwards which parts of them did not matter,
// with mark_chain_precision.)

// A checkpoint is a state in which a path went through the start of an
// instruction.
type checkpoint struct {
	state  *state
	parent *checkpoint // the one before on the same path
	open   int32       // paths from here that have not ended: pending ones and the one being followed
	hits   int32       // paths that it covered
	misses int32       // paths that it did not
	differ spot        // where the last of those differed
	depth  int32       // how many are before it on the path
	leans  *checkpoint // the first one on the path that a path from here was covered by while it was open
}

// arrive compares the state of the path with the checkpoints of the
// instruction, and makes it one if none covers it.
//
// A checkpoint with open paths is one of the path itself, by the order of the
// search. To be covered by it means to be in a loop, which proves nothing
// about ending: where something else does (may_goto, the helper that makes
// the rounds of a callback) the path is covered, otherwise it goes on until
// the loop ends, or until it comes to the very same state.
func (v *verifier) arrive() (covered bool, _ *failure) {
	v.simplify(v.state)
	points := v.points[v.pc]
	for i := 0; i < len(points); i++ {
		c := points[i]
		if !v.differsAt(c.differ, c.state, v.state) && v.covers(c.state, v.state) {
			if v.settles(c) {
				c.hits++
				if i > 0 {
					points[i-1], points[i] = c, points[i-1]
				}
				return true, nil
			}
			if c.open > 0 && v.covers(v.state, c.state) {
				return false, v.fail(InfiniteLoop, -1, "the loop comes back to the same state: it may never end")
			}
		}
		c.misses++
		c.differ = v.differ
		if c.misses > 3*c.hits+8 && len(points) > 64 {
			points = slices.Delete(points, i, i+1)
			v.points[v.pc] = points
			v.forget(c)
			i--
		}
	}
	if v.state.rounds() > v.patience() {
		v.widenRounds(points)
	}
	if v.kept > checkpointMemory {
		v.forgetUseless()
	}
	v.points[v.pc] = append(v.points[v.pc], v.keep())
	return false, nil
}

// settles reports whether the path can end at checkpoint c, which covers it. It
// can if all paths from c are known to be good and to end. While that is still
// open, c's paths being followed or having ended at a checkpoint whose are, the
// path must have come nearer to the end of a loop that ends by itself. Then the
// checkpoints of the path lean on what is open.
func (v *verifier) settles(c *checkpoint) bool {
	on := c
	if c.open == 0 {
		if on = c.support(); on == nil {
			return true
		}
	}
	further, behind := progress(c.state, v.state)
	if behind || c.open > 0 && !further {
		return false
	}
	for p := v.at; p != on && (p.leans == nil || p.leans.depth > on.depth); p = p.parent {
		p.leans = on
	}
	return true
}

// support returns the open checkpoint without which that a path from c is good
// is not proved, nil if there is none.
func (c *checkpoint) support() *checkpoint {
	for c.leans != nil && c.leans.open == 0 {
		c.leans = c.leans.leans
	}
	return c.leans
}

// checkpointMemory is how many bytes of checkpoints are kept, about. A
// program that is made to have more and larger states goes on without some of
// them.
const checkpointMemory = 64 << 20

// forgetUseless gives up the checkpoints that have covered no path, or all of
// them if that leaves too many.
func (v *verifier) forgetUseless() {
	for _, all := range []bool{false, true} {
		for pc, points := range v.points {
			v.points[pc] = slices.DeleteFunc(points, func(c *checkpoint) bool {
				useless := all || c.hits == 0
				if useless {
					v.forget(c)
				}
				return useless
			})
		}
		if v.kept <= checkpointMemory/2 {
			return
		}
	}
}

// bytes is about the memory that a state takes.
func (s *state) bytes() int {
	n := 0
	for _, f := range s.frames {
		n += int(unsafe.Sizeof(*f)) + len(f.stack)*int(unsafe.Sizeof(slot{}))
	}
	return n
}

// keep makes a checkpoint of the path's state.
func (v *verifier) keep() *checkpoint {
	c := &checkpoint{state: v.clone(v.state), parent: v.at, open: 1}
	if v.at != nil {
		c.depth = v.at.depth + 1
	}
	v.at = c
	v.kept += c.state.bytes()
	v.stats.States++
	v.stats.Peak = max(v.stats.Peak, v.stats.States)
	return c
}

// forget gives up the state of a checkpoint, which is no more in v.points.
func (v *verifier) forget(c *checkpoint) {
	v.kept -= c.state.bytes()
	v.release(c.state)
	c.state = nil
	v.stats.States--
}

// close notes that a path from the checkpoint has ended, and those checkpoints
// before it from which there is none left.
func (v *verifier) close(c *checkpoint) {
	for ; c != nil; c = c.parent {
		c.open--
		if c.open > 0 {
			return
		}
	}
}

// simplify drops from a state what will not be read again, widens what does
// not matter, and renumbers the ids.
func (v *verifier) simplify(s *state) {
	last := len(s.frames) - 1
	for i, f := range s.frames {
		if i == last {
			v.simplifyTop(f)
		} else {
			v.simplifyCaller(f, int(s.frames[i+1].call))
		}
	}
	v.ids.renumber(s)
}

func (v *verifier) simplifyTop(f *frame) {
	regs, slots := v.a.liveRegs[v.pc], v.a.liveSlots[v.pc]
	keepRegs, keepSlots := regs, slots
	if v.relevant != nil {
		keepRegs, keepSlots = v.relevant.regs[v.pc], v.relevant.slots[v.pc]
	}
	v.simplifyFrame(f, regs, slots, keepRegs, keepSlots)
}

// simplifyCaller does so for a function that has called at slot call. What the
// callee can reach by pointers into the frame stays as it is.
func (v *verifier) simplifyCaller(f *frame, call int) {
	const saved = 1<<6 | 1<<7 | 1<<8 | 1<<9
	after := call + 1
	regs, slots := v.a.liveRegs[after]&saved, v.a.liveSlots[after]
	keepRegs, keepSlots := regs, slots
	if v.relevant != nil {
		keepRegs, keepSlots = v.relevant.regs[after], v.relevant.slots[after]
	}
	slots = v.a.duringCall(call)
	if v.relevant == nil {
		keepSlots = slots
	} else {
		keepSlots |= v.relevant.reachedByCall(call)
	}
	v.simplifyFrame(f, regs, slots, keepRegs, keepSlots)
}

// simplifyFrame drops the registers and stack slots that are not in the first two
// sets, and widens the numbers that are not in the others.
func (v *verifier) simplifyFrame(f *frame, regs uint16, slots uint64, keepRegs uint16, keepSlots uint64) {
	for i := range f.regs[:10] {
		r := &f.regs[i]
		if regs>>i&1 == 0 {
			*r = reg{}
		} else if keepRegs>>i&1 == 0 && r.kind == scalar && !f.tied(r, keepRegs, keepSlots) {
			*r = anyNumber()
		} else if r.kind == packetPtr {
			v.coarsen(r)
		}
	}
	for i := range f.stack {
		s := &f.stack[i]
		if !v.o.Strict {
			s.init = 0
		}
		switch {
		case slots>>i&1 == 0:
			*s = slot{}
		case keepSlots>>i&1 == 0 && s.reg.kind <= scalar && s.spill|s.zero != 0 && !f.tied(&s.reg, keepRegs, keepSlots):
			*s = slot{init: s.init}
		case s.reg.kind == packetPtr:
			v.coarsen(&s.reg)
		}
	}
	n := len(f.stack)
	for n > 0 && f.stack[n-1].blank() {
		n--
	}
	f.stack = f.stack[:n]
}

// coarsen rounds the bounds of a packet pointer's offset up.
// They matter only for offsets of more than maxPacket and below 0, but differ
// on each path through a chain of headers.
func (v *verifier) coarsen(r *reg) {
	if v.relevant == nil || v.fine || r.id == 0 {
		return
	}
	if high := r.num.UMax(); high <= maxPacket && r.num.SMin() >= 0 {
		step := uint64(1) << max(0, bits.Len64(high)-3)
		r.num = num.Range(0, high|(step-1))
	}
}

// tied reports whether a number is tied to one that matters, so that what is
// found out about it matters, too.
func (f *frame) tied(r *reg, keepRegs uint16, keepSlots uint64) bool {
	if r.id == 0 {
		return false
	}
	for i := range f.regs[:10] {
		if keepRegs>>i&1 != 0 && f.regs[i].kind == scalar && f.regs[i].id == r.id {
			return true
		}
	}
	for i := range f.stack {
		if s := &f.stack[i]; keepSlots>>i&1 != 0 && s.spill != 0 && s.reg.kind == scalar && s.reg.id == r.id {
			return true
		}
	}
	return false
}

// patience returns how many rounds of a callback, or passes of may_goto, are
// followed with exact numbers before what changes from round to round is given
// up: a few at first, many if the program needs them to be accepted.
func (v *verifier) patience() uint32 {
	if v.relevant == nil {
		return 1000
	}
	return 4
}

// rounds returns how often the path has gone through a loop whose end does not
// depend on the program.
func (s *state) rounds() uint32 {
	n := s.waits
	for _, f := range s.frames {
		n = max(n, uint32(f.loop.rounds))
	}
	return n
}

// progress compares how often two states have gone through loops that end
// without the program's doing: whether cur has gone further, and whether it has
// not come as far in one, so that what ends behind old may do so because a round
// had gone by before it. Rounds of another call of the helper are no measure.
func progress(old, cur *state) (further, behind bool) {
	if cur.waits < old.waits {
		return false, true
	}
	further = cur.waits > old.waits
	for i, f := range cur.frames {
		was, is := &old.frames[i].loop, &f.loop
		switch {
		case is.helper == 0:
		case was.call != is.call:
			return further, !further
		case is.rounds < was.rounds:
			return false, true
		case is.rounds > was.rounds:
			further = true
		}
	}
	return further, false
}

// widenRounds gives up the numbers that differ from those of the last
// checkpoint of the same instruction on the path.
func (v *verifier) widenRounds(points []*checkpoint) {
	for i := len(points) - 1; i >= 0; i-- {
		old := points[i]
		if old.open > 0 && v.sameFrames(old.state, v.state) {
			v.state.widen(old.state)
			v.ids.renumber(v.state)
			return
		}
	}
}

func (s *state) widen(old *state) {
	for i, f := range s.frames {
		g := old.frames[i]
		for j := range f.regs {
			widenReg(&f.regs[j], &g.regs[j])
		}
		for j := range min(len(f.stack), len(g.stack)) {
			a, b := &f.stack[j], &g.stack[j]
			if a.spill != 0 && a.spill == b.spill {
				widenReg(&a.reg, &b.reg)
			}
			a.zero &= b.zero
		}
	}
}

func widenReg(r, old *reg) {
	if r.kind == scalar && old.kind == scalar && r.num != old.num {
		*r = anyNumber()
	}
}
