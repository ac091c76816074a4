package verifier

// A liveness is what may be read, from some point on, before it is written.
type liveness struct {
	regs  uint16
	stack halves
}

// findLiveness finds out which registers and stack slots may still be read,
// from the ends of the program to its start. A call of a function of the
// program reads what is live at its start.
func (a *analysis) findLiveness() {
	a.liveRegs = make([]uint16, len(a.p.Insns))
	a.liveSlots = make([]uint64, len(a.p.Insns))
	at := make([]liveness, len(a.blocks)) // at the starts of blocks
	q := a.newQueue(false)
	for _, b := range a.order {
		q.add(b)
	}
	for b := q.take(); b != noBlock; b = q.take() {
		live := a.liveBlock(b, at)
		a.addBefore(q, b, at[b], live)
		at[b] = live
	}
}

// addBefore adds to the queue what depends on the start of a block, if
// something new is known there: its predecessors, and calls.
func (a *analysis) addBefore(q *queue, b int32, was, is liveness) {
	if was == is {
		return
	}
	for _, p := range a.predecessors(b) {
		q.add(p)
	}
	start := a.blocks[b].start
	f := a.fn[start]
	if start != a.funcs[f].start || was.regs&argRegs == is.regs&argRegs {
		return
	}
	for _, c := range a.calls {
		if c.fn == f && !c.address {
			q.add(a.block[c.slot])
		}
	}
}

// liveBlock goes through a block backwards, and returns what is live at its
// start.
func (a *analysis) liveBlock(i int32, at []liveness) liveness {
	b := &a.blocks[i]
	live := liveness{regs: alwaysLive}
	for _, s := range b.succ {
		if s != noBlock {
			live.regs |= at[s].regs
			live.stack = live.stack.or(at[s].stack)
		}
	}
	for slot := b.end - 1; slot >= b.start; slot-- {
		e := &a.effects[slot]
		live.regs = live.regs&^e.writes | e.reads
		live.stack = live.stack.not(e.sets).or(e.uses)
		if isLocalCall(a.p.Insns[slot]) {
			regs, stack := a.calleeReads(slot)
			live.regs |= regs
			live.stack = live.stack.or(stack)
		}
		a.liveRegs[slot] = live.regs
		a.liveSlots[slot] = live.stack.slots()
	}
	return live
}

// calleeReads returns what the function called at a slot may read of the
// caller's values, as far as is known: its arguments, and the whole stack if
// one of them points there.
func (a *analysis) calleeReads(slot int32) (regs uint16, stack halves) {
	site := a.siteAt(slot)
	regs = a.liveRegs[a.funcs[site.fn].start] & argRegs
	if _, absent := a.p.Absent[int(slot)]; absent {
		return 0, halves{}
	}
	if regs&site.frames != 0 {
		stack = allHalves
	}
	return regs, stack
}

// duringCall returns the slots of the caller's frame that may be read while
// what is called at a slot runs, or after it.
func (a *analysis) duringCall(slot int) uint64 {
	return a.liveSlots[slot+1] | a.reachedByCall(slot)
}

// reachedByCall returns those that what is called may read itself, by pointers
// that it gets.
func (a *analysis) reachedByCall(slot int) uint64 {
	reads := a.effects[slot].uses
	if isLocalCall(a.p.Insns[slot]) {
		_, reads = a.calleeReads(int32(slot))
	}
	return reads.slots()
}
