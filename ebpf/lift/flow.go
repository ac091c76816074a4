package lift

// A flow carries facts along the edges of the graph while the blocks are
// translated in topological order. Where paths join, only what holds on all
// of them is kept: that is what Meet of two facts returns.
type flow[F interface{ Meet(F) F }] struct {
	at map[*block]F
}

// enter returns what is known at the start of a block, nothing at the entry.
func (f *flow[F]) enter(b *block) F { return f.at[b] }

// leave notes what is known at the end of a block for its successors.
func (f *flow[F]) leave(b *block, facts F) {
	if f.at == nil {
		f.at = make(map[*block]F)
	}
	for _, s := range b.succ {
		if old, ok := f.at[s]; ok {
			f.at[s] = old.Meet(facts)
		} else {
			f.at[s] = facts
		}
	}
}
