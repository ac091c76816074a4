package ir

import "slices"

// ReversePostorder returns the blocks that can be reached from the entry, each
// before its successors. The true successor of an If follows it as closely as
// it can, and the two returns stand last, Accept before Reject. The caller
// must not change the slice.
func (f *Func) ReversePostorder() []*Block {
	if f.order == nil {
		f.order = f.reversePostorder()
	}
	return f.order
}

func (f *Func) reversePostorder() []*Block {
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
	order []*Block
	place []int32   // of a block in order, by ID
	nodes []domNode // by place
}

// A domNode names other blocks by their place.
type domNode struct {
	idom  int32
	jump  int32 // some ancestor, chosen so that a few jumps reach any of them
	depth int32
}

// Dominators returns the dominator tree of the blocks that can be reached.
//
// Without loops one sweep does: the immediate dominator of a block is the
// nearest common ancestor of its predecessors, which are in the tree already.
// The jump pointers (those of Myers' skew-binary lists) find it in
// logarithmic time; walking up would take quadratic time for a return that
// every term of a long list leads to.
func (f *Func) Dominators() *DomTree {
	order := f.ReversePostorder()
	t := &DomTree{order, make([]int32, f.nextBlock), make([]domNode, len(order))}
	for i, b := range order {
		t.place[b.ID] = int32(i)
		if i == 0 {
			continue
		}
		idom := t.place[b.Preds[0].From.ID]
		for _, e := range b.Preds[1:] {
			idom = t.common(idom, t.place[e.From.ID])
		}
		t.add(int32(i), idom)
	}
	return t
}

func (t *DomTree) add(b, idom int32) {
	p := t.nodes[idom]
	n := domNode{idom: idom, jump: idom, depth: p.depth + 1}
	if j := t.nodes[p.jump]; p.depth-j.depth == j.depth-t.nodes[j.jump].depth {
		n.jump = j.jump
	}
	t.nodes[b] = n
}

// ancestor returns the ancestor of b at a depth.
func (t *DomTree) ancestor(b, depth int32) int32 {
	for {
		n := &t.nodes[b]
		switch {
		case n.depth <= depth:
			return b
		case t.nodes[n.jump].depth >= depth:
			b = n.jump
		default:
			b = n.idom
		}
	}
}

// common returns the nearest common ancestor.
func (t *DomTree) common(a, b int32) int32 {
	a = t.ancestor(a, t.nodes[b].depth)
	b = t.ancestor(b, t.nodes[a].depth)
	for a != b {
		na, nb := &t.nodes[a], &t.nodes[b]
		if na.jump != nb.jump {
			a, b = na.jump, nb.jump
		} else {
			a, b = na.idom, nb.idom
		}
	}
	return a
}

// Idom returns the immediate dominator of b, nil for the entry.
func (t *DomTree) Idom(b *Block) *Block {
	if b == t.order[0] {
		return nil
	}
	return t.order[t.nodes[t.place[b.ID]].idom]
}

// Dominates reports whether every way from the entry to b passes a. A block
// dominates itself.
func (t *DomTree) Dominates(a, b *Block) bool {
	at := t.place[a.ID]
	return t.ancestor(t.place[b.ID], t.nodes[at].depth) == at
}
