package filter

import (
	"math"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// Placement joins the code of the blocks and resolves the jumps. Conditional
// jumps reach 255 instructions far, so targets that are further away are
// reached through an unconditional jump placed on the way. One such jump serves
// all branches to a target within its reach; a group of them, an island,
// stands between two blocks, where only a block that falls through has to jump
// over it. One sweep does, since every jump goes forward: before each block
// those targets get a jump that could not wait until after the block.

// reach is how far a conditional jump gets.
const reach = math.MaxUint8

// A pending target is one that conditional jumps lead to and that has not been
// placed yet.
type pending struct {
	to      *ir.Block
	sources []source // the oldest first
}

// A source is one way out of a conditional jump.
type source struct {
	at    int // index of the jump
	index int // 0: if true, 1: if false
}

// deadline is the last index that all sources reach.
func (p *pending) deadline() int { return p.sources[0].at + 1 + reach }

type placer struct {
	prog  []bpf.RawInstruction
	table origin.Table

	near []*pending // the one with the oldest source first
	of   map[*ir.Block]*pending
	far  map[*ir.Block][]int // unconditional jumps to a target
}

// place returns the program and its provenance.
func (l *layout) place() ([]bpf.RawInstruction, origin.Table) {
	p := &placer{of: make(map[*ir.Block]*pending), far: make(map[*ir.Block][]int)}
	falls := false // the last block goes on into this one
	for i, b := range l.order {
		if p.urgent(len(l.code[i])) {
			if falls {
				p.jump(b, l.order[i-1].Origin)
			}
			p.island(b, len(l.code[i]))
		}
		p.resolve(b)
		for _, c := range l.code[i] {
			p.add(c.RawInstruction, c.from)
		}
		falls = b.Kind == ir.Jump && l.target(b.Succs[0]) == l.order[i+1]
		switch {
		case b.Kind == ir.If:
			p.await(l.target(b.Succs[0]), 0)
			p.await(l.target(b.Succs[1]), 1)
		case b.Kind == ir.Jump && !falls:
			p.jump(l.target(b.Succs[0]), b.Origin)
		}
	}
	return p.prog, p.table
}

func (p *placer) add(ins bpf.RawInstruction, from origin.Set) {
	p.prog = append(p.prog, ins)
	p.table = append(p.table, from)
}

// jump writes an unconditional jump.
func (p *placer) jump(to *ir.Block, from origin.Set) {
	p.far[to] = append(p.far[to], len(p.prog))
	p.add(bpf.RawInstruction{Op: opJa}, from)
}

// await notes that the conditional jump written last leads to a block.
func (p *placer) await(to *ir.Block, index int) {
	t := p.of[to]
	if t == nil {
		t = &pending{to: to}
		p.of[to] = t
		p.near = append(p.near, t)
	}
	t.sources = append(t.sources, source{len(p.prog) - 1, index})
}

// urgent reports whether the oldest pending target might be out of reach for
// an island behind the next block, which has so many instructions. Added are a
// jump of that block's own and one over the island, and the two targets that
// the block may add to the island before it is placed.
func (p *placer) urgent(block int) bool {
	return len(p.near) > 0 && len(p.prog)+block+len(p.near)+4 > p.near[0].deadline()
}

// island writes jumps to targets, the oldest first, until the others can wait
// until after the next block. The target that is this block needs none: the
// island before it is within the reach that urgent has kept free.
func (p *placer) island(next *ir.Block, block int) {
	own := p.drop(next)
	for p.urgent(block) {
		t := p.near[0]
		p.drop(t.to)
		sets := make([]origin.Set, len(t.sources))
		for i, s := range t.sources {
			sets[i] = p.table[s.at]
		}
		p.aim(t)
		p.jump(t.to, ir.Unite(sets))
	}
	if own != nil {
		p.of[next] = own
		p.near = append(p.near, own)
	}
}

// drop takes a target off the list of those pending.
func (p *placer) drop(b *ir.Block) *pending {
	t := p.of[b]
	if t != nil {
		delete(p.of, b)
		for i, u := range p.near {
			if u == t {
				p.near = append(p.near[:i], p.near[i+1:]...)
				break
			}
		}
	}
	return t
}

// resolve makes all jumps to b lead here.
func (p *placer) resolve(b *ir.Block) {
	if t := p.drop(b); t != nil {
		p.aim(t)
	}
	for _, at := range p.far[b] {
		p.prog[at].K = uint32(len(p.prog) - at - 1)
	}
	delete(p.far, b)
}

// aim makes the conditional jumps to t lead here.
func (p *placer) aim(t *pending) {
	for _, s := range t.sources {
		distance := len(p.prog) - s.at - 1
		if distance > reach {
			panic("filter: a conditional jump is out of reach of its target")
		}
		if s.index == 0 {
			p.prog[s.at].Jt = uint8(distance)
		} else {
			p.prog[s.at].Jf = uint8(distance)
		}
	}
}
