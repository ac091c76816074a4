package verifier

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// chainLength is how many steps are told at most: those nearest to the
// failure, counted in operations on the values.
const chainLength = 14

// A told is a step of the chain: a change, or else a comparison, which has
// changed nothing but decided where the path went.
type told struct {
	step   int32
	change int32     // 0 for none
	branch *compared // nil for none
	times  int
}

// chain tells how what is at fault came about, and how many steps were left
// out.
func (e *explanation) chain() (chain []Event, omitted int) {
	type way struct{ pc, next int32 }
	at := map[way]int{}
	var list []told
	add := func(t told) {
		if t.step >= e.end {
			return
		}
		step := e.log.steps[t.step]
		i, again := at[way{step.pc, step.next}]
		switch {
		case !again:
			at[way{step.pc, step.next}] = len(list)
			t.times = 1
			list = append(list, t)
		case t.step != list[i].step:
			list[i].times++
		}
	}
	for _, c := range e.references() {
		add(told{step: e.log.changes[c].step, change: c})
	}
	for _, c := range e.log.lineage(e.roots()...) {
		add(told{step: e.log.changes[c].step, change: c})
	}
	for _, b := range e.decisions() {
		add(told{step: b.step, branch: b})
	}
	omitted = max(0, len(list)-chainLength)
	list = list[:len(list)-omitted]
	slices.SortStableFunc(list, func(a, b told) int { return cmp.Compare(a.step, b.step) })
	for _, t := range list {
		chain = append(chain, e.event(t))
	}
	return chain, omitted
}

// roots are the changes with which the explanation begins.
func (e *explanation) roots() []int32 {
	var roots []int32
	add := func(c int32) {
		if c != 0 {
			roots = append(roots, c)
		}
	}
	ins := e.p.Insns[e.failure.pc]
	if r := ebpf.Register(e.failure.reg); e.failure.reg >= 0 {
		add(e.changeOf(register(e.frame(), r)))
		add(e.sizeOf(r))
		add(e.slotOf(r))
	}
	switch e.failure.code {
	case PointerRange, PointerOperation, Pointer32, PointerCut, PointerLeak, PointerCompare:
		if reads, _ := e.p.registers(ins); !isCall(ins) && reads>>ins.Src&1 != 0 {
			add(e.changeOf(register(e.frame(), ins.Src)))
		}
	case LockHeld, LockedCall, LockTwice, UnlockedWrong:
		add(e.lockTaken())
	}
	return roots
}

// decisionsTold is how many jumps are told that decided where a path went.
const decisionsTold = 4

// decisions returns the last conditional jumps of the path, where it is the
// way that is at fault and not a value.
func (e *explanation) decisions() []*compared {
	from := int32(0)
	switch e.failure.code {
	case Unreleased, LegacyHeld:
		if c := e.references(); len(c) > 0 {
			from = e.log.changes[c[0]].step
		}
	case LockHeld:
		if c := e.lockTaken(); c != 0 {
			from = e.log.changes[c].step
		}
	case Unset, ReturnUnset, StackUnset, AbsentFunction:
	default:
		return nil
	}
	var out []*compared
	for i := len(e.log.compares) - 1; i >= 0 && len(out) < decisionsTold; i-- {
		if c := &e.log.compares[i]; c.step < e.end && c.step > from {
			out = append(out, c)
		}
	}
	return out
}

// sizeOf returns the change of the register that tells a helper function the
// size of the memory behind r, 0 if there is none.
func (e *explanation) sizeOf(r ebpf.Register) int32 {
	ins := e.p.Insns[e.failure.pc]
	if !isCall(ins) || isLocalCall(ins) || r < ebpf.R1 || r >= ebpf.R5 {
		return 0
	}
	h := abi.HelperByID(ins.Imm)
	if h == nil || int(r) >= len(h.Args) || h.Args[r] != abi.ArgSize && h.Args[r] != abi.ArgSizeOrZero {
		return 0
	}
	return e.changeOf(register(e.frame(), r+1))
}

// slotOf returns the last change of the stack that register r points to.
func (e *explanation) slotOf(r ebpf.Register) int32 {
	switch e.failure.code {
	case StackUnset, PointerCut, PointerLeak:
	default:
		return 0
	}
	ins := e.p.Insns[e.failure.pc]
	p := e.value(register(e.frame(), r))
	off, ok := p.offset()
	if p.kind != stackPtr || !ok {
		return 0
	}
	if ins.Op.Class() != ebpf.ClassJMP {
		off += int64(ins.Off)
	}
	if off >= 0 || off < -frameSize {
		return 0
	}
	return e.changeOf(location{p.frame, true, uint8(int(-1-off) / 8)})
}

// references returns the changes of pointers with a reference that is held
// where the path fails, if that is the fault: how they were copied, and lost.
func (e *explanation) references() []int32 {
	refs := e.log.old.refs
	if len(refs) == 0 || e.failure.code != Unreleased && e.failure.code != LegacyHeld {
		return nil
	}
	held := refs[0].id
	var out []int32
	for i := range e.log.changes {
		c := &e.log.changes[i]
		if at := e.log.steps[c.step]; i > 0 && (c.was.reg.ref == held || c.is.reg.ref == held) && !isCall(e.p.Insns[at.pc]) ||
			i > 0 && c.is.reg.ref == held && c.was.reg.ref != held {
			out = append(out, int32(i))
		}
	}
	return out
}

// lockTaken returns the change of R0 by the call that took the lock.
func (e *explanation) lockTaken() int32 {
	for i := len(e.log.changes) - 1; i > 0; i-- {
		c := &e.log.changes[i]
		ins := e.p.Insns[e.log.steps[c.step].pc]
		if c.step < e.end && isCall(ins) && !isLocalCall(ins) && ins.Imm == abi.SpinLock {
			return int32(i)
		}
	}
	return 0
}

// event tells a step.
func (e *explanation) event(t told) Event {
	step := e.log.steps[t.step]
	ins := e.p.Insns[step.pc]
	ev := Event{Place: e.place(int(step.pc)), Times: t.times}
	if isBranch(ins) {
		ev.Branch = "not taken"
		if target, _ := ins.Target(int(step.pc)); target == int(step.next) {
			ev.Branch = "taken"
		}
	}
	if t.change == 0 {
		ev.What, ev.After = "R"+strconv.Itoa(int(ins.Dst)), e.regText(&t.branch.x)
		return ev
	}
	if isCall(ins) && !isLocalCall(ins) && ins.Imm == abi.SpinLock && e.failure.code != NotPointer {
		ev.What, ev.After = "lock", "held from here on"
		return ev
	}
	c := &e.log.changes[t.change]
	ev.What, ev.After = e.name(c), e.content(c, &c.is)
	if !c.written || c.is.reg.kind == unset || c.prior != 0 && c.from[0] == c.prior || c.was.reg.ref != 0 && c.was.reg.ref != c.is.reg.ref {
		ev.Before = e.content(c, &c.was)
	}
	if c.at.stack && c.was.reg.isPointer() && c.was.spill == 0xff && c.is.spill != 0xff {
		ev.Before = "part of " + e.content(c, &c.was)
	}
	return ev
}

// name names the location of a change as seen from the function that the step
// is in.
func (e *explanation) name(c *change) string {
	name := locationName(c)
	if c.at.stack && c.at.frame < e.log.steps[c.step].frame {
		name += " of the caller"
	}
	return name
}

func locationName(c *change) string {
	if !c.at.stack {
		return "R" + strconv.Itoa(int(c.at.index))
	}
	off := -8 * (int(c.at.index) + 1)
	if at, size := run(c.is.spill|c.is.zero, 0); size > 0 {
		off += at
	}
	return "R10" + strconv.Itoa(off)
}

// content tells what is in a location.
func (e *explanation) content(c *change, s *slot) string {
	switch {
	case !c.at.stack || s.spill != 0:
		return e.regText(&s.reg)
	case s.zero != 0 && s.zero == s.init:
		return "0"
	case s.init == 0:
		return "not written"
	case s.init != 0xff:
		_, size := run(s.init, 0)
		return "written in part, " + strconv.Itoa(size) + " bytes"
	}
	return "any bytes"
}
