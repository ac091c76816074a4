package ir

import "slices"

// The methods that change the graph. All of them keep Preds and the arguments
// of phis true. They cost as much as the target has phis, not predecessors:
// every block of a long list may end in the same return.

// NumBlocks returns a number above the ID of every block.
func (f *Func) NumBlocks() int { return f.nextBlock }

// NewBlock adds a block that is not connected yet.
func (f *Func) NewBlock(kind Kind) *Block {
	if len(f.slab) == 0 {
		f.slab = make([]Block, min(max(len(f.Blocks), 8), 512))
	}
	b := &f.slab[0]
	f.slab = f.slab[1:]
	b.ID, b.Kind = f.nextBlock, kind
	b.Succs, b.Preds = b.succs[:kind.ways()], b.pred[:0]
	f.nextBlock++
	f.Blocks = append(f.Blocks, b)
	f.order = nil
	return b
}

// ways returns the number of successors.
func (k Kind) ways() int {
	switch k {
	case If:
		return 2
	case Jump:
		return 1
	}
	return 0
}

// To returns the block that the edge leads to, nil if it is not connected.
func (e Edge) To() *Block { return e.From.Succs[e.Index] }

// Pos returns the place of the edge in the target's Preds, which is also the
// place of its phi arguments.
func (e Edge) Pos() int { return e.From.at[e.Index] }

// PhiArgs returns the arguments that the phis of the target have for e.
func (e Edge) PhiArgs() []*Value {
	to := e.To()
	if len(to.Phis) == 0 {
		return nil
	}
	args := make([]*Value, len(to.Phis))
	for i, p := range to.Phis {
		args[i] = p.Args[e.Pos()]
	}
	return args
}

// Connect makes e, which led nowhere, lead to a block. phiArgs are the
// arguments for the phis that the block has already, in the order of its Phis.
func (f *Func) Connect(e Edge, to *Block, phiArgs ...*Value) {
	if e.To() != nil || len(phiArgs) != len(to.Phis) {
		panic("ir: Connect of a connected edge, or without an argument for each phi")
	}
	f.order = nil
	e.From.Succs[e.Index] = to
	e.From.at[e.Index] = len(to.Preds)
	to.Preds = append(to.Preds, e)
	for i, p := range to.Phis {
		p.Args = append(p.Args, phiArgs[i])
		p.max = max(p.max, phiArgs[i].max)
	}
}

// Disconnect makes e lead nowhere. The last edge into its target takes its
// place among the target's Preds.
func (f *Func) Disconnect(e Edge) {
	f.order = nil
	to, i := e.To(), e.Pos()
	last := len(to.Preds) - 1
	moved := to.Preds[last]
	to.Preds[i] = moved
	to.Preds = to.Preds[:last]
	moved.From.at[moved.Index] = i
	for _, p := range to.Phis {
		p.Args[i] = p.Args[last]
		p.Args = p.Args[:last]
	}
	e.From.Succs[e.Index] = nil
}

// Redirect makes e lead to another block, with phiArgs as for Connect. A new
// argument must not exceed what MaxOf said of the phi.
func (f *Func) Redirect(e Edge, to *Block, phiArgs ...*Value) {
	f.Disconnect(e)
	f.Connect(e, to, phiArgs...)
}

// KeepOnly makes an If a Jump to its successor number index. The operands of
// the condition are still evaluated for their faults.
func (f *Func) KeepOnly(b *Block, index int) {
	f.Disconnect(Edge{b, 1 - index})
	if index == 1 {
		to, i := b.Succs[1], b.at[1]
		b.Succs[0], b.at[0] = to, i
		to.Preds[i] = Edge{b, 0}
	}
	b.Kind, b.Succs = Jump, b.Succs[:1]
	for _, v := range [...]*Value{b.Cond.X, b.Cond.Y} {
		if v.CanFault() && !slices.Contains(b.Evals, v) {
			b.Evals = append(b.Evals, v)
		}
	}
	b.Cond = Cond{}
}

// SwapSuccs exchanges the two ways out of an If, whose condition the caller
// inverts.
func (f *Func) SwapSuccs(b *Block) {
	f.order = nil
	b.Succs[0].Preds[b.at[0]] = Edge{b, 1}
	b.Succs[1].Preds[b.at[1]] = Edge{b, 0}
	b.Succs[0], b.Succs[1] = b.Succs[1], b.Succs[0]
	b.at[0], b.at[1] = b.at[1], b.at[0]
}

// RemoveUnreachable removes the blocks that no way from the entry leads to,
// save for the two returns, and puts the others into reverse postorder.
func (f *Func) RemoveUnreachable() {
	order := slices.Clip(f.ReversePostorder())
	seen := make([]bool, f.nextBlock)
	for _, b := range order {
		seen[b.ID] = true
	}
	blocks := order
	for _, b := range f.Blocks {
		switch {
		case seen[b.ID]:
		case b.Kind == Accept || b.Kind == Reject:
			blocks = append(blocks, b)
		default:
			for i, to := range b.Succs {
				if to != nil {
					f.Disconnect(Edge{b, i})
				}
			}
		}
	}
	f.Blocks, f.order = blocks, order
}

// Absorb appends the block that b jumps to, which has no other predecessor and
// no phis, to b. The block absorbed can no longer be reached and has no successors.
func (f *Func) Absorb(b *Block) {
	c := b.Succs[0]
	f.Disconnect(Edge{b, 0})
	b.Kind, b.Cond, b.at = c.Kind, c.Cond, c.at
	b.Succs = append(b.Succs[:0], c.Succs...)
	b.Evals = append(b.Evals, c.Evals...)
	for i, to := range b.Succs {
		to.Preds[b.at[i]] = Edge{b, i}
	}
	c.Succs = nil
}
