package jit

import (
	"math"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A value is what the compiler knows of a register, on every path. It is less
// than the verifier knows, and found in a single walk: constants become operands,
// bounds show which masks and extensions change nothing.
type value struct {
	kind valueKind
	n    uint64
}

type valueKind uint8

const (
	unreached valueKind = iota
	constant            // n, which may be the address of the context, the stack, a map
	packetEnd           // the address behind the packet, where it starts at a fixed one
	bounded             // at most n, which is below 1<<32
	anything
)

func constantOf(n uint64) value { return value{constant, n} }
func atMost(n uint64) value     { return value{bounded, n} }

var (
	unknown = value{kind: anything}
	word    = atMost(math.MaxUint32)
)

func (v value) isConst() bool { return v.kind == constant }

// bound is the largest number that the register can hold.
func (v value) bound() uint64 {
	switch v.kind {
	case constant, bounded:
		return v.n
	case packetEnd:
		return math.MaxUint32
	}
	return math.MaxUint64
}

// isWord reports whether the upper half is 0.
func (v value) isWord() bool { return v.bound() <= math.MaxUint32 }

// below returns what is known of a number that is at most n.
func below(n uint64) value {
	if n > math.MaxUint32 {
		return unknown
	}
	return atMost(n)
}

// join is what is known where two paths meet.
func join(a, b value) value {
	switch {
	case a.kind == unreached || a == b:
		return b
	case b.kind == unreached:
		return a
	case a.isWord() && b.isWord():
		return atMost(max(a.bound(), b.bound()))
	}
	return unknown
}

// known is what is known before an instruction.
type known struct {
	reg    [11]value
	length uint32 // the packet has at least so many bytes
}

func (k *known) reached() bool { return k.reg[10].kind != unreached }

// meet joins what is known on another path, and reports whether that is less. A
// bound that still grows after some rounds is given up.
func (k *known) meet(o *known, rounds int) (changed bool) {
	if !k.reached() {
		*k = *o
		return true
	}
	for i := range k.reg {
		j := join(k.reg[i], o.reg[i])
		if j != k.reg[i] {
			if j.kind == bounded && rounds > 2 {
				j = word
			}
			k.reg[i], changed = j, true
		}
	}
	if o.length < k.length {
		k.length, changed = o.length, true
	}
	return changed
}

// findValues follows the values through the program.
func (c *compiler) findValues(p *program) {
	queue := make([]int32, 0, len(p.blocks))
	rounds := make([]int, len(p.blocks))
	reach := func(b int32, k *known) {
		if b != none && p.blocks[b].in.meet(k, rounds[b]) {
			rounds[b]++
			queue = append(queue, b)
		}
	}
	for i := range p.blocks {
		if b := &p.blocks[i]; b.function {
			k := c.atFunction(p, b)
			reach(int32(i), &k)
		}
	}
	for len(queue) > 0 {
		b := &p.blocks[queue[0]]
		queue = queue[1:]
		k := b.in
		for slot := b.start; slot < b.end; slot += p.insns[slot].Width() {
			if slot+p.insns[slot].Width() == b.end && isJump(p.insns[slot]) {
				c.reachByJump(p, slot, &k, b, reach)
			}
			c.pass(p, slot, &k)
		}
		if last := b.end - p.insns[b.end-1].Width(); !(last >= b.start && isJump(p.insns[last])) {
			reach(b.succ[0], &k)
		}
	}
}

// reachByJump notes what is known behind a jump.
func (c *compiler) reachByJump(p *program, slot int, k *known, b *block, reach func(int32, *known)) {
	for way, succ := range b.succ {
		after := *k
		c.learn(p, slot, way == 1, &after)
		reach(succ, &after)
	}
}

// learn notes what a comparison with the packet's end tells about its length.
func (c *compiler) learn(p *program, slot int, taken bool, k *known) {
	ins := p.insns[slot]
	if ins.Op.Class() != ebpf.ClassJMP || ins.Op.Source() != ebpf.SourceX {
		return
	}
	end, ok := c.endCheck(k.reg[ins.Dst], k.reg[ins.Src], ins.Op.Operation())
	if !ok {
		return
	}
	// The check is "length below least"; one way of it the packet is as long.
	if end.below != taken {
		k.length = max(k.length, end.least)
	}
}

// atFunction is what is known at the start of a function, or of the program.
func (c *compiler) atFunction(p *program, b *block) (k known) {
	for i := range k.reg {
		k.reg[i] = unknown
	}
	k.reg[10] = word
	if b.start == 0 {
		if !c.nested() {
			k.reg[10] = constantOf(uint64(c.at.StackTop))
		}
		if !p.typ.HasByteContext() {
			k.reg[1] = constantOf(uint64(c.at.Context))
		}
	}
	c.forgetAll(&k)
	return k
}

// pass changes what is known as an instruction does.
func (c *compiler) pass(p *program, slot int, k *known) {
	c.follow(p, slot, k)
	c.forgetAll(k)
}

// forgetAll leaves what is known of R10: calls rely on it.
func (c *compiler) forgetAll(k *known) {
	if c.off == 0 {
		return
	}
	for i := range k.reg[:ebpf.R10] {
		k.reg[i] = c.forget(k.reg[i])
	}
}

func (c *compiler) follow(p *program, slot int, k *known) {
	ins := p.insns[slot]
	r := &k.reg
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		r[ins.Dst] = evaluate(ins, r[ins.Dst], operandOf(ins, r))
	case ebpf.ClassLD:
		if ins.Op == ebpf.LoadImm64 {
			r[ins.Dst] = constantOf(c.n.Immediate(p.start + slot))
			return
		}
		c.passLegacy(ins, k)
	case ebpf.ClassLDX:
		r[ins.Dst] = c.loaded(ins, r[ins.Src])
	case ebpf.ClassSTX:
		if ins.Op.Mode() == ebpf.ModeATOMIC {
			passAtomic(ins, r)
		}
	case ebpf.ClassJMP:
		if ins.Op.Operation() == ebpf.Call {
			for i := ebpf.R0; i <= ebpf.R5; i++ {
				r[i] = unknown
			}
			proto, own := c.n.Helper(p.start + slot)
			if own && proto.ID == abi.MapLookupElem {
				r[0] = word // an address
			}
			if proto == nil || proto.MovesPacket || isControl(ins) {
				k.length = 0 // the packet may be shorter now
			}
		}
	}
}

func (c *compiler) passLegacy(ins ebpf.Instruction, k *known) {
	n := uint32(ins.Op.Bytes())
	if ins.Op.Mode() == ebpf.ModeABS && ins.Imm >= 0 {
		k.length = max(k.length, uint32(ins.Imm)+n)
	}
	for i := ebpf.R1; i <= ebpf.R5; i++ {
		k.reg[i] = unknown
	}
	k.reg[0] = atMost(1<<(8*n) - 1)
}

// loaded is what is known of what a load gives.
func (c *compiler) loaded(ins ebpf.Instruction, base value) value {
	if c.lean && base.isConst() {
		switch base.n + uint64(ins.Off) - uint64(c.at.Context) {
		case c.field.data, c.field.meta:
			return constantOf(uint64(c.at.Packet))
		case c.field.dataEnd:
			return value{kind: packetEnd}
		}
	}
	if n := ins.Op.Bytes(); n < 8 && ins.Op.Mode() == ebpf.ModeMEM {
		return atMost(1<<(8*n) - 1)
	}
	return unknown
}

func passAtomic(ins ebpf.Instruction, r *[11]value) {
	v := unknown
	if ins.Op.Bytes() < 8 {
		v = word
	}
	switch {
	case ins.Imm == ebpf.LoadAcquire:
		r[ins.Dst] = v
	case ins.Imm == ebpf.AtomicCmpXchg:
		r[0] = v
	case ins.Imm != ebpf.StoreRelease && ins.Imm&ebpf.AtomicFetch != 0:
		r[ins.Src] = v
	}
}
