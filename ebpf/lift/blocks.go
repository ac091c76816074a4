package lift

import (
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
)

// A block is a run of instructions that is entered at the top and left at the
// bottom. Because classic jumps only go forward, blocks form a graph without
// cycles, and their order in the program is a topological one.
type block struct {
	insns []insn // the last one is a branch if there are two successors
	succ  []*block
	jump  origin.Set // the ja that leads to the only successor
	end   *returns   // of a block without successors

	preds  int
	in     live       // what is read before it is written, from the block on
	needs  needs      // bytes that every match needs from the block on
	orderA *orderNode // the value of A on entry
	x, a   uint32     // upper bounds on entry
	pos    int        // slot where the block's code starts
}

// A returns is the end of a program: "return value" or "return A".
type returns struct {
	a     bool
	value uint32
	from  origin.Set
}

// A graph is a classic program as blocks in topological order. All ends with
// the same result are one block, and noMatch, where failed loads lead, is
// always there, even if no path reaches it.
type graph struct {
	blocks  []*block
	noMatch *block
}

// parse makes the graph of a checked program.
func parse(prog []bpf.RawInstruction, t *target) (*graph, error) {
	p := &parser{prog: prog, t: t, at: make([]*block, len(prog)), ends: map[uint32]*block{}}
	noMatch := p.endWith(t.ret.NoMatch)
	p.tail = nil
	for _, start := range leaders(prog) {
		p.at[start] = &block{}
	}
	for i := range prog {
		if p.at[i] == nil {
			continue
		}
		if err := p.fill(p.at[i], i); err != nil {
			return nil, err
		}
	}
	return &graph{blocks: append(append(p.blocks, p.tail...), noMatch), noMatch: noMatch}, nil
}

// leaders returns the indices at which blocks start, in rising order.
func leaders(prog []bpf.RawInstruction) []int {
	is := make([]bool, len(prog)+1)
	is[0] = true
	for i, in := range prog {
		switch {
		case in.Op == cbpf.ClassJMP|cbpf.JA:
			is[i+1], is[i+1+int(in.K)] = true, true
		case in.Op&0x07 == cbpf.ClassJMP:
			is[i+1], is[i+1+int(in.Jt)], is[i+1+int(in.Jf)] = true, true, true
		case in.Op&0x07 == cbpf.ClassRET:
			is[i+1] = true
		}
	}
	var out []int
	for i := range prog {
		if is[i] {
			out = append(out, i)
		}
	}
	return out
}

// A parser holds the blocks by the index of their first instruction.
type parser struct {
	prog   []bpf.RawInstruction
	t      *target
	at     []*block
	blocks []*block
	tail   []*block          // blocks made for ends of the program
	ends   map[uint32]*block // those that return a constant
}

// fill decodes the instructions of the block that starts at index i.
func (p *parser) fill(b *block, i int) error {
	p.blocks = append(p.blocks, b)
	for start := i; ; i++ {
		if i > start && p.at[i] != nil {
			b.succ = []*block{p.at[i]}
			return nil
		}
		raw, from := p.prog[i], origin.Of(i, i+1)
		switch {
		case raw.Op == cbpf.ClassJMP|cbpf.JA:
			b.leadTo(p.at[i+1+int(raw.K)], from)
			return nil
		case raw.Op == cbpf.ClassRET|cbpf.SrcA:
			p.endWithA(b, from)
			return nil
		case raw.Op&0x07 == cbpf.ClassRET:
			b.leadTo(p.endWith(p.constant(raw.K)), from)
			return nil
		}
		in, err := decode(raw, i, p.t)
		switch {
		case err != nil:
			return err
		case in.fails(p.t):
			b.leadTo(p.endWith(p.t.ret.NoMatch), from)
			return nil
		case in.kind == branch:
			b.insns = append(b.insns, in)
			b.succ = []*block{p.at[i+1+int(raw.Jt)], p.at[i+1+int(raw.Jf)]}
			return nil
		case in.ext.device:
			b = p.testDevice(b, in)
		}
		b.insns = append(b.insns, in)
	}
}

// leadTo makes to the only successor of b.
func (b *block) leadTo(to *block, from origin.Set) {
	b.succ, b.jump = []*block{to}, from
	to.joined(from)
}

// joined notes a return instruction that became part of an end.
func (b *block) joined(from origin.Set) {
	if b.end != nil {
		b.end.from = b.end.from.Union(from)
	}
}

// constant returns what the hook gets for "ret #k".
func (p *parser) constant(k uint32) uint32 {
	switch {
	case k == 0:
		return p.t.ret.NoMatch
	case p.t.ret.Length:
		return k
	}
	return p.t.ret.Match
}

// endWith returns the one block that returns the value to the hook.
func (p *parser) endWith(value uint32) *block {
	b := p.ends[value]
	if b == nil {
		b = &block{end: &returns{value: value}}
		p.ends[value] = b
		p.tail = append(p.tail, b)
	}
	return b
}

// endWithA makes b end with "ret a": as it is where the hook wants a length
// and 0 for no match, else after comparing A with 0.
func (p *parser) endWithA(b *block, from origin.Set) {
	var match *block
	if p.t.ret.Length {
		match = &block{end: &returns{a: true}}
		p.tail = append(p.tail, match)
	} else {
		match = p.endWith(p.t.ret.Match)
	}
	b.leadTo(match, from)
	if p.t.ret.Length && p.t.ret.NoMatch == 0 {
		return
	}
	noMatch := p.endWith(p.t.ret.NoMatch)
	noMatch.joined(from)
	b.insns = append(b.insns, insn{kind: branch, op: ebpf.Jeq, from: from})
	b.succ = []*block{noMatch, match}
}

// testDevice ends b with the test that the kernel makes before it reads a
// member of the packet's device: without one the program returns A. It returns
// the block that goes on with a device.
func (p *parser) testDevice(b *block, in insn) *block {
	without, with := &block{}, &block{}
	p.endWithA(without, in.from)
	// In front of the other ends, which may have been made before.
	p.tail = append([]*block{without}, p.tail...)
	in.kind, in.op = branchNoDevice, ebpf.Jeq
	b.insns = append(b.insns, in)
	b.succ = []*block{without, with}
	p.blocks = append(p.blocks, with)
	return with
}
