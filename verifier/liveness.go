package verifier

// findLiveness finds out which registers and stack slots may still be read: a
// pass against the flow of control, repeated for the blocks whose successors
// have changed. A call of a function of the program reads what is live at its
// start.
func (a *analysis) findLiveness() {
	n := len(a.p.Insns)
	a.liveRegs = make([]uint16, n)
	a.liveSlots = make([]uint64, n)
	for i := range a.liveSlots {
		a.liveSlots[i] = ^uint64(0)
	}
	callee := a.callees()
	q := newQueue(len(a.blocks))
	for _, b := range a.order {
		q.add(b)
	}
	for !q.empty() {
		i := q.take()
		if !a.liveIn(i, callee) {
			continue
		}
		b := &a.blocks[i]
		for _, p := range a.predecessors(i) {
			q.add(p)
		}
		if f := a.fn[b.start]; b.start == a.funcs[f].start {
			for _, c := range a.calls {
				if c.fn == f {
					q.add(a.block[c.slot])
				}
			}
		}
	}
}

// callees returns, by slot, the function that is called, or -1.
func (a *analysis) callees() map[int32]int32 {
	m := make(map[int32]int32, len(a.calls))
	for _, c := range a.calls {
		if !c.address {
			m[c.slot] = c.fn
		}
	}
	return m
}

// liveIn goes through a block backwards. It reports whether what is live at
// its start has grown.
func (a *analysis) liveIn(i int32, callee map[int32]int32) bool {
	b := &a.blocks[i]
	live := uint16(always)
	for _, s := range b.succ {
		if s != noBlock {
			live |= a.liveRegs[a.blocks[s].start]
		}
	}
	was := a.liveRegs[b.start]
	for slot := b.end - 1; slot >= b.start; slot-- {
		e := &a.effects[slot]
		live = live&^e.writes | e.reads
		if isLocalCall(a.p.Insns[slot]) {
			live |= a.liveRegs[a.funcs[callee[slot]].start] & argRegs
		}
		a.liveRegs[slot] = live
	}
	return live != was
}

// duringCall returns the slots of the caller's frame that may be read while
// what is called at a slot runs, or after it.
func (a *analysis) duringCall(slot int) uint64 { return ^uint64(0) }
