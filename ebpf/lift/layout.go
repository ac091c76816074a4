package lift

import "slices"

// layOut orders the blocks so that as many as possible fall through to a
// successor: after a block comes the one it goes to when its branch is not
// taken, or else the other one, if all its predecessors are placed; otherwise
// the first in the program that is left. The order stays topological, so all
// jumps go forward and every block is translated after its predecessors. The
// block noMatch comes last, because failed loads jump to it from everywhere.
func (g *graph) layOut() {
	waiting := make(map[*block]int)
	for _, b := range g.blocks {
		waiting[b] = b.preds
	}
	order := make([]*block, 0, len(g.blocks))
	placed := make(map[*block]bool)
	for _, first := range g.blocks {
		// The blocks before the first one left are its only possible
		// predecessors, and all of them are placed.
		for b := first; b != nil && !placed[b]; b = g.after(b, waiting) {
			placed[b] = true
			order = append(order, b)
			for _, s := range b.succ {
				waiting[s]--
			}
		}
	}
	g.blocks = order
}

// after returns the successor to place behind b, nil if none is ready.
func (g *graph) after(b *block, waiting map[*block]int) *block {
	for _, s := range slices.Backward(b.succ) {
		if waiting[s] == 0 && s != g.noMatch {
			return s
		}
	}
	return nil
}
