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

// chain tells how what is at fault came about, and how many steps were left
// out.
func (e *explanation) chain() (chain []Event, omitted int) {
	type key struct{ pc, next int32 }
	at := map[key]int{} // index in chosen
	var chosen []int32
	var times []int
	for _, c := range e.log.lineage(e.roots()...) {
		x := &e.log.changes[c]
		if x.step >= e.end {
			continue
		}
		step := e.log.steps[x.step]
		k := key{step.pc, step.next}
		i, again := at[k]
		switch {
		case !again:
			at[k] = len(chosen)
			chosen, times = append(chosen, c), append(times, 1)
		case x.step < e.log.changes[chosen[i]].step:
			times[i]++
		}
	}
	if omitted = len(chosen) - chainLength; omitted > 0 {
		chosen, times = chosen[:chainLength], times[:chainLength]
	}
	for i, c := range chosen {
		ev := e.event(c)
		ev.Times = times[i]
		chain = append(chain, ev)
	}
	order := make([]int, len(chain))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(e.log.changes[chosen[a]].step, e.log.changes[chosen[b]].step)
	})
	sorted := make([]Event, len(chain))
	for i, o := range order {
		sorted[i] = chain[o]
	}
	return sorted, max(0, omitted)
}

// roots are the changes with which the explanation begins.
func (e *explanation) roots() []int32 {
	var roots []int32
	add := func(c int32) {
		if c != 0 {
			roots = append(roots, c)
		}
	}
	if e.failure.reg >= 0 {
		add(e.changeOf(register(e.frame(), ebpf.Register(e.failure.reg))))
		add(e.sizeOf(ebpf.Register(e.failure.reg)))
		add(e.slotOf(ebpf.Register(e.failure.reg)))
	}
	switch e.failure.code {
	case Unreleased, LegacyHeld:
		for _, c := range e.references() {
			add(c)
		}
	case LockHeld, LockedCall, LockTwice, UnlockedWrong:
		add(e.lockTaken())
	}
	return roots
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
	if off >= 0 || off < -stackBytes {
		return 0
	}
	return e.changeOf(location{p.frame, true, uint8(int(-1-off) / 8)})
}

// references returns the changes of pointers with a reference that is held
// where the path fails.
func (e *explanation) references() []int32 {
	refs := e.log.old.refs
	if len(refs) == 0 {
		return nil
	}
	var out []int32
	for i := range e.log.changes {
		if c := &e.log.changes[i]; c.was.reg.ref == refs[0].id || c.is.reg.ref == refs[0].id {
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

// event tells a change.
func (e *explanation) event(i int32) Event {
	c := &e.log.changes[i]
	step := e.log.steps[c.step]
	ins := e.p.Insns[step.pc]
	ev := Event{Place: e.p.place(int(step.pc)), What: e.name(c), After: e.content(c, &c.is), Times: 1}
	if isCall(ins) && !isLocalCall(ins) && ins.Imm == abi.SpinLock {
		ev.What, ev.After = "lock", "held from here on"
		return ev
	}
	if !c.written || c.is.reg.kind == unset || c.from[0] == c.prior && c.prior != 0 {
		ev.Before = e.content(c, &c.was)
	}
	if isBranch(ins) {
		ev.Branch = "not taken"
		if target, _ := ins.Target(int(step.pc)); target == int(step.next) {
			ev.Branch = "taken"
		}
	}
	return ev
}

// name names the location of a change as seen from the function that the step
// is in.
func (e *explanation) name(c *change) string {
	if !c.at.stack {
		return "R" + strconv.Itoa(int(c.at.index))
	}
	off := -8 * (int(c.at.index) + 1)
	if at, size := run(c.is.spill|c.is.zero, 0); size > 0 {
		off += at
	}
	name := "R10" + strconv.Itoa(off)
	if c.at.frame < e.log.steps[c.step].frame {
		name += " of the caller"
	}
	return name
}

// content tells what is in a location.
func (e *explanation) content(c *change, s *slot) string {
	switch {
	case !c.at.stack || s.spill != 0:
		return e.text.reg(&s.reg)
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
