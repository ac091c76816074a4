package lift

import "slices"

// layOut orders the blocks so that as many as possible fall through to a
// successor: after a block comes the one it goes to when its branch is not
// taken, or else the other one, if all its predecessors are placed; otherwise
// the first in the program that is ready. The order stays topological, so all
// jumps go forward and every block is translated after its predecessors.
func (g *graph) layOut() {
	waiting := make(map[*block]int)
	for _, b := range g.blocks {
		waiting[b] = b.preds
	}
	waiting[g.blocks[0]] = 0
	var order []*block
	for b := g.blocks[0]; b != nil; b = g.next(b, waiting) {
		b.placed = true
		order = append(order, b)
		for _, s := range b.succ {
			waiting[s]--
		}
	}
	g.blocks = order
}

// next chooses the block to place after b, nil if all are placed. The block
// noMatch comes last, because failed loads jump to it from everywhere.
func (g *graph) next(b *block, waiting map[*block]int) *block {
	for _, s := range slices.Backward(b.succ) {
		if waiting[s] == 0 && s != g.noMatch {
			return s
		}
	}
	for _, s := range g.blocks {
		if !s.placed && waiting[s] == 0 && s != g.noMatch {
			return s
		}
	}
	if g.noMatch.placed {
		return nil
	}
	return g.noMatch
}
