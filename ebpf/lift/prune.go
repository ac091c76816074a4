package lift

import "slices"

// prune removes what cannot matter: branches that lead to the same place
// either way, detours through empty blocks, code from which no path leads to
// anything but "no match" (a load that fails means the same), and blocks that
// are never reached. It reports whether there was any of it.
func (g *graph) prune() (changed bool) {
	before := len(g.blocks)
	for _, b := range slices.Backward(g.blocks) {
		for i, s := range b.succ {
			b.succ[i] = s.skipEmpty()
		}
		if len(b.succ) == 2 && b.succ[0] == b.succ[1] {
			b.insns = b.insns[:len(b.insns)-1]
			b.succ = b.succ[:1]
			changed = true
		}
		if len(b.succ) == 1 && b.succ[0] == g.noMatch {
			b.insns = nil
		}
	}
	g.keepReachable()
	return changed || len(g.blocks) < before
}

// skipEmpty returns the block where a jump to b ends up.
func (b *block) skipEmpty() *block {
	if len(b.insns) > 0 || len(b.succ) != 1 {
		return b
	}
	b.succ[0].joined(b.jump)
	return b.succ[0]
}

// keepReachable drops the blocks that no path from the entry reaches, but for
// noMatch, and counts the predecessors of the rest.
func (g *graph) keepReachable() {
	for _, b := range g.blocks {
		b.preds = 0
	}
	entry := g.blocks[0].skipEmpty()
	entry.preds = 1
	kept := g.blocks[:0]
	for _, b := range g.blocks {
		if b.preds == 0 {
			continue
		}
		for _, s := range b.succ {
			s.preds++
		}
		if b != g.noMatch {
			kept = append(kept, b)
		}
	}
	g.blocks = append(kept, g.noMatch)
}
