package ir

import "slices"

// ReversePostorder returns the blocks that can be reached from the entry, each
// before its successors. The true successor of an If follows it as closely as
// it can, and the two returns stand last, Accept before Reject.
func (f *Func) ReversePostorder() []*Block {
	type visit struct {
		b    *Block
		next int // successors not yet visited: the false one goes first, to stand later
	}
	seen := make([]bool, f.nextBlock)
	var post []*Block
	var returns [2]*Block
	stack := []visit{{f.Blocks[0], len(f.Blocks[0].Succs)}}
	seen[f.Blocks[0].ID] = true
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next > 0 {
			top.next--
			if s := top.b.Succs[top.next]; s != nil && !seen[s.ID] {
				seen[s.ID] = true
				stack = append(stack, visit{s, len(s.Succs)})
			}
			continue
		}
		switch b := top.b; b.Kind {
		case Accept, Reject:
			returns[b.Kind-Accept] = b
		default:
			post = append(post, b)
		}
		stack = stack[:len(stack)-1]
	}
	slices.Reverse(post)
	for _, b := range returns {
		if b != nil {
			post = append(post, b)
		}
	}
	return post
}

// A DomTree says which blocks stand on every way from the entry to another.
type DomTree struct {
	nodes []domNode // by block ID
}

type domNode struct {
	idom  *Block
	jump  *Block // some ancestor, chosen so that a few jumps reach any of them
	depth int
}

// Dominators returns the dominator tree of the blocks of order, which is a
// reverse postorder of f.
//
// Without loops one sweep does: the immediate dominator of a block is the
// nearest common ancestor of its predecessors, which are in the tree already.
// The jump pointers (those of Myers' skew-binary lists) find it in
// logarithmic time; walking up would take quadratic time for a return that
// every term of a long list leads to.
func (f *Func) Dominators(order []*Block) *DomTree {
	t := &DomTree{nodes: make([]domNode, f.nextBlock)}
	for i, b := range order {
		if i == 0 {
			t.nodes[b.ID] = domNode{jump: b}
			continue
		}
		idom := b.Preds[0].From
		for _, e := range b.Preds[1:] {
			idom = t.common(idom, e.From)
		}
		t.add(b, idom)
	}
	return t
}

func (t *DomTree) add(b, idom *Block) {
	p := t.nodes[idom.ID]
	n := domNode{idom: idom, jump: idom, depth: p.depth + 1}
	if j := t.nodes[p.jump.ID]; p.depth-j.depth == j.depth-t.nodes[j.jump.ID].depth {
		n.jump = j.jump
	}
	t.nodes[b.ID] = n
}

// ancestor returns the ancestor of b at a depth.
func (t *DomTree) ancestor(b *Block, depth int) *Block {
	for {
		n := &t.nodes[b.ID]
		switch {
		case n.depth <= depth:
			return b
		case t.nodes[n.jump.ID].depth >= depth:
			b = n.jump
		default:
			b = n.idom
		}
	}
}

// common returns the nearest common ancestor.
func (t *DomTree) common(a, b *Block) *Block {
	a = t.ancestor(a, t.nodes[b.ID].depth)
	b = t.ancestor(b, t.nodes[a.ID].depth)
	for a != b {
		na, nb := &t.nodes[a.ID], &t.nodes[b.ID]
		if na.jump != nb.jump {
			a, b = na.jump, nb.jump
		} else {
			a, b = na.idom, nb.idom
		}
	}
	return a
}

// Idom returns the immediate dominator of b, nil for the entry.
func (t *DomTree) Idom(b *Block) *Block { return t.nodes[b.ID].idom }

// Dominates reports whether every way from the entry to b passes a. A block
// dominates itself.
func (t *DomTree) Dominates(a, b *Block) bool {
	return t.ancestor(b, t.nodes[a.ID].depth) == a
}
