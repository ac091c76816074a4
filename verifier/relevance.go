package verifier

// A relevance says, by slot, which of the live values matter for the verdict:
// the same sets as analysis.liveRegs and liveSlots, or smaller ones.
type relevance struct {
	regs  []uint16
	slots []uint64
}

// relevant finds out which values matter if the conditional jumps in branches,
// by slot, are to be decided as exactly as possible.
func (a *analysis) relevant(p *Program, branches []bool) *relevance {
	return &relevance{regs: a.liveRegs, slots: a.liveSlots}
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
