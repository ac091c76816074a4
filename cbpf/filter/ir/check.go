package ir

import (
	"errors"
	"fmt"
	"slices"
)

// Check reports the first invariant of the graph that does not hold. Passes
// rely on these: edges and phi arguments agree, there are no loops, every
// block but the two returns can be reached, there is one return of each kind,
// and a phi is used only where its block dominates the use.
func (f *Func) Check() error {
	if len(f.Blocks) == 0 {
		return errors.New("no blocks")
	}
	c := &checker{f: f}
	for _, b := range f.Blocks {
		if err := c.block(b); err != nil {
			return fmt.Errorf("b%d: %w", b.ID, err)
		}
	}
	if c.returns != [2]int{1, 1} {
		return fmt.Errorf("%d accepts and %d rejects, want one of each", c.returns[0], c.returns[1])
	}
	return c.order()
}

type checker struct {
	f       *Func
	returns [2]int
	dom     *DomTree
	checked map[*Value]*Block // a block that the phis under the value were seen to dominate
}

// block checks what can be seen at b alone.
func (c *checker) block(b *Block) error {
	if len(b.Succs) != b.Kind.ways() {
		return fmt.Errorf("%d successors, want %d", len(b.Succs), b.Kind.ways())
	}
	if b.Kind == If != (b.Cond.X != nil && b.Cond.Y != nil) {
		return errors.New("an If has a condition with two operands, and nothing else has")
	}
	if b.Kind >= Accept {
		c.returns[b.Kind-Accept]++
		if len(b.Phis)+len(b.Evals) > 0 {
			return errors.New("a return neither evaluates anything nor has phis")
		}
	}
	for i, to := range b.Succs {
		e := Edge{b, i}
		if to == nil || e.Pos() >= len(to.Preds) || to.Preds[e.Pos()] != e {
			return fmt.Errorf("the target of edge %d does not know it", i)
		}
	}
	for _, e := range b.Preds {
		if e.Index >= len(e.From.Succs) || e.To() != b {
			return fmt.Errorf("b%d.%d does not lead here", e.From.ID, e.Index)
		}
	}
	for _, p := range b.Phis {
		if p.Op != Phi || p.Block != b || len(p.Args) != len(b.Preds) {
			return fmt.Errorf("p%d is not a phi of this block with %d arguments", p.ID, len(b.Preds))
		}
		if slices.ContainsFunc(p.Args, func(a *Value) bool { return a.max > p.max }) {
			return fmt.Errorf("p%d has an argument above its bound", p.ID)
		}
	}
	return nil
}

// order checks what concerns ways through the graph.
func (c *checker) order() error {
	order := c.f.ReversePostorder()
	place := make(map[*Block]int, len(order))
	for i, b := range order {
		place[b] = i
	}
	for _, b := range c.f.Blocks {
		at, reached := place[b]
		if !reached && (b.Kind < Accept || len(b.Preds) > 0) {
			return fmt.Errorf("b%d cannot be reached", b.ID)
		}
		for _, to := range b.Succs {
			if place[to] <= at {
				return fmt.Errorf("b%d leads back to b%d", b.ID, to.ID)
			}
		}
	}
	c.dom = c.f.Dominators()
	c.checked = make(map[*Value]*Block)
	for _, b := range order {
		if err := c.uses(b); err != nil {
			return err
		}
	}
	return nil
}

// uses checks the phis under everything that b and the edges into it evaluate.
func (c *checker) uses(b *Block) error {
	for _, v := range b.Evals {
		if err := c.use(v, b); err != nil {
			return err
		}
	}
	if b.Kind == If {
		if err := errors.Join(c.use(b.Cond.X, b), c.use(b.Cond.Y, b)); err != nil {
			return err
		}
	}
	for _, p := range b.Phis {
		for i, a := range p.Args {
			if err := c.use(a, b.Preds[i].From); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) use(v *Value, b *Block) error {
	if at := c.checked[v]; at != nil && c.dom.Dominates(at, b) {
		return nil
	}
	if v.Op == Phi {
		if !slices.Contains(v.Block.Phis, v) || !c.dom.Dominates(v.Block, b) {
			return fmt.Errorf("b%d uses p%d of b%d, which does not dominate it", b.ID, v.ID, v.Block.ID)
		}
		return nil
	}
	for _, a := range v.Args {
		if err := c.use(a, b); err != nil {
			return err
		}
	}
	c.checked[v] = b
	return nil
}
