// Package programs makes random classic programs and packets for tests that
// compare machines: what one makes of them, the other has to make too.
//
// The programs are valid by construction and meant to do something on the
// packets made here: offsets are mostly inside the packet or just past its end,
// X is often known and small so that indirect loads hit, or such that X+k
// wraps, and what the program computed is folded into a small return value, so
// that a test which sees only how many bytes were kept sees it too.
package programs

import (
	"math/rand/v2"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
)

// PacketLen is the length of most random packets.
const PacketLen = 160

// MaxLen is the length of the longest random program.
const MaxLen = 80

// Options says what programs may contain.
type Options struct {
	Extensions []uint32 // to load from, as offsets after cbpf.AdOff; nil for none
	Headers    bool     // loads from cbpf.NetOff and cbpf.LLOff
}

// Random returns a valid random program.
func Random(r *rand.Rand, o Options) []bpf.RawInstruction {
	g := &generator{Rand: r, o: o, n: 4 + r.IntN(MaxLen-16)}
	g.incoming, g.target = make([]uint16, g.n+1), make([]bool, g.n+1)
	for i := range g.incoming {
		g.incoming[i] = ^uint16(0)
	}
	for len(g.prog) < g.n {
		g.step()
	}
	// Everything that is left jumps or falls to here, so no jump is ever out
	// of range: the fold below is a part of every program.
	return append(g.prog, fold(r)...)
}

// fold ends a program: it mixes A and X into a number from 1 to 128.
func fold(r *rand.Rand) []bpf.RawInstruction {
	return []bpf.RawInstruction{
		{Op: cbpf.ClassALU | cbpf.MUL | cbpf.SrcK, K: r.Uint32() | 1},
		{Op: cbpf.ClassALU | cbpf.ADD | cbpf.SrcX},
		{Op: cbpf.ClassALU | cbpf.MUL | cbpf.SrcK, K: 0x9e3779b1},
		{Op: cbpf.ClassALU | cbpf.RSH | cbpf.SrcK, K: 25},
		{Op: cbpf.ClassALU | cbpf.ADD | cbpf.SrcK, K: 1},
		{Op: cbpf.ClassRET | cbpf.SrcA},
	}
}

// A generator holds a program under construction. valid and incoming follow
// which words of scratch memory may be read, as the kernel's checker does.
type generator struct {
	*rand.Rand
	o        Options
	n        int // instructions before the fold
	prog     []bpf.RawInstruction
	valid    uint16
	incoming []uint16
	target   []bool // whether a jump leads to an instruction
	x        uint32 // what X holds, if xKnown
	xKnown   bool
}

func (g *generator) add(op uint16, k uint32) {
	g.valid &= g.incoming[len(g.prog)]
	g.prog = append(g.prog, bpf.RawInstruction{Op: op, K: k})
}

// room returns how many instructions fit before the fold.
func (g *generator) room() int { return g.n - len(g.prog) }

// step adds an instruction or a few that belong together.
func (g *generator) step() {
	g.xKnown = g.xKnown && !g.target[len(g.prog)]
	switch g.IntN(20) {
	case 0, 1, 2:
		g.load(cbpf.ModeABS, g.offset())
	case 3, 4, 5:
		g.indirect()
	case 6:
		g.add(cbpf.ClassLDX|cbpf.SizeB|cbpf.ModeMSH, g.offset())
		g.xKnown = false
	case 7:
		g.constantX(g.number())
	case 8:
		g.add(cbpf.ClassLD|cbpf.ModeIMM, g.number())
	case 9:
		g.length()
	case 10, 11:
		g.memory()
	case 12, 13, 14, 15:
		g.arithmetic()
	case 16:
		g.move()
	case 17, 18:
		g.jump()
	case 19:
		g.rare()
	}
}

// offset is a place in the packet, sometimes just past its end or far off.
func (g *generator) offset() uint32 {
	switch g.IntN(80) {
	case 0:
		return PacketLen - uint32(g.IntN(6))
	case 1:
		return g.Uint32() >> g.IntN(32)
	case 2:
		if g.o.Headers {
			return g.headerOffset()
		}
	}
	return uint32(g.IntN(PacketLen / 2))
}

func (g *generator) headerOffset() uint32 {
	base := cbpf.NetOff
	if g.IntN(2) == 0 {
		base = cbpf.LLOff
	}
	return base + uint32(g.IntN(PacketLen+8)) - 4*uint32(g.IntN(2))
}

// load adds a packet load of any size. Offsets of absolute loads may not reach
// into the extensions by accident, where only some are valid.
func (g *generator) load(mode uint16, k uint32) {
	if mode == cbpf.ModeABS && k >= cbpf.AdOff {
		k = cbpf.NetOff
	}
	size := []uint16{cbpf.SizeB, cbpf.SizeH, cbpf.SizeW}[g.IntN(3)]
	g.add(cbpf.ClassLD|size|mode, k)
}

// indirect adds a load from X+k, mostly with an X for which it hits.
func (g *generator) indirect() {
	for g.IntN(24) > 0 && g.room() > 1 && (!g.xKnown || g.target[len(g.prog)]) {
		g.constantX(g.Uint32() >> g.IntN(32))
	}
	k := g.offset()
	if g.xKnown {
		k -= g.x // X+k is the offset, perhaps after wrapping
	}
	g.load(cbpf.ModeIND, k)
}

func (g *generator) constantX(x uint32) {
	g.add(cbpf.ClassLDX|cbpf.ModeIMM, x)
	g.x, g.xKnown = x, true
}

// number is a constant: small, a power of two less or more, or anything.
func (g *generator) number() uint32 {
	switch g.IntN(4) {
	case 0:
		return uint32(g.IntN(20))
	case 1:
		return uint32(1)<<g.IntN(32) - uint32(g.IntN(3)) + 1
	}
	return g.Uint32() >> g.IntN(32)
}

func (g *generator) length() {
	if g.IntN(2) == 0 {
		g.add(cbpf.ClassLD|cbpf.ModeLEN, 0)
		return
	}
	g.add(cbpf.ClassLDX|cbpf.ModeLEN, 0)
	g.xKnown = false
}

// memory adds a load of a word that is written on every path, or a store.
func (g *generator) memory() {
	word := uint32(g.IntN(cbpf.MemWords))
	g.valid &= g.incoming[len(g.prog)]
	if g.valid>>word&1 == 0 || g.IntN(3) == 0 {
		g.add([]uint16{cbpf.ClassST, cbpf.ClassSTX}[g.IntN(2)], word)
		g.valid |= 1 << word
		return
	}
	if g.IntN(2) == 0 {
		g.add(cbpf.ClassLD|cbpf.ModeMEM, word)
		return
	}
	g.add(cbpf.ClassLDX|cbpf.ModeMEM, word)
	g.xKnown = false
}

func (g *generator) arithmetic() {
	op := []uint16{cbpf.ADD, cbpf.SUB, cbpf.MUL, cbpf.DIV, cbpf.OR, cbpf.AND,
		cbpf.LSH, cbpf.RSH, cbpf.NEG, cbpf.MOD, cbpf.XOR}[g.IntN(11)]
	k := g.number()
	switch op {
	case cbpf.NEG:
		g.add(cbpf.ClassALU|op, 0)
		return
	case cbpf.DIV, cbpf.MOD:
		k = max(k, 1)
	case cbpf.LSH, cbpf.RSH:
		k %= 32
	}
	// Division by X, which is often 0, ends too many programs.
	if division := op == cbpf.DIV || op == cbpf.MOD; g.IntN(2) == 0 && (!division || g.IntN(4) == 0) {
		g.add(cbpf.ClassALU|op|cbpf.SrcX, 0)
		return
	}
	g.add(cbpf.ClassALU|op|cbpf.SrcK, k)
}

// move adds tax, sometimes with A made small before, or txa.
func (g *generator) move() {
	if g.IntN(2) == 0 {
		g.add(cbpf.ClassMISC|cbpf.TXA, 0)
		return
	}
	if g.IntN(2) == 0 && g.room() > 1 {
		g.add(cbpf.ClassALU|cbpf.AND|cbpf.SrcK, 0x3f)
	}
	g.add(cbpf.ClassMISC|cbpf.TAX, 0)
	g.xKnown = false
}

// jump adds a jump, up to the fold.
func (g *generator) jump() {
	here := len(g.prog)
	far := func() int { return g.IntN(min(g.room()+1, 12)) }
	if g.IntN(6) == 0 {
		g.add(cbpf.ClassJMP|cbpf.JA, 0)
		k := far()
		g.prog[here].K = uint32(k)
		g.land(here + 1 + k)
	} else {
		op := []uint16{cbpf.JEQ, cbpf.JGT, cbpf.JGE, cbpf.JSET}[g.IntN(4)]
		if g.IntN(2) == 0 {
			g.add(cbpf.ClassJMP|op|cbpf.SrcX, 0)
		} else {
			g.add(cbpf.ClassJMP|op|cbpf.SrcK, g.number())
		}
		jt, jf := far(), far()
		g.prog[here].Jt, g.prog[here].Jf = uint8(jt), uint8(jf)
		g.land(here + 1 + jt)
		g.land(here + 1 + jf)
	}
	g.valid = ^uint16(0)
	g.xKnown = false
}

func (g *generator) land(target int) {
	g.incoming[target] &= g.valid
	g.target[target] = true
}

// rare adds a return or an extension.
func (g *generator) rare() {
	switch {
	case len(g.o.Extensions) > 0 && g.IntN(3) > 0:
		ad := g.o.Extensions[g.IntN(len(g.o.Extensions))]
		if (ad == cbpf.AdNLAttr || ad == cbpf.AdNLAttrNest) && g.room() > 2 && g.IntN(4) > 0 {
			g.add(cbpf.ClassLD|cbpf.ModeIMM, 4*uint32(g.IntN(8)))
			g.constantX(uint32(g.IntN(4)))
		}
		size := []uint16{cbpf.SizeB, cbpf.SizeH, cbpf.SizeW}[g.IntN(3)]
		g.add(cbpf.ClassLD|size|cbpf.ModeABS, cbpf.AdOff+ad)
	case g.IntN(8) == 0:
		g.add(cbpf.ClassRET|cbpf.SrcK, g.number())
	case g.IntN(8) == 0:
		g.add(cbpf.ClassRET|cbpf.SrcA, 0)
	}
}

// Mutate returns a copy of a program with one field changed, which often makes
// it invalid, and now and then with instructions cut off its end.
func Mutate(r *rand.Rand, prog []bpf.RawInstruction) []bpf.RawInstruction {
	out := append([]bpf.RawInstruction(nil), prog...)
	if r.IntN(20) == 0 {
		return out[:r.IntN(len(out)+1)]
	}
	ins := &out[r.IntN(len(out))]
	switch r.IntN(7) {
	case 0:
		ins.Op = uint16(r.IntN(256))
	case 1:
		ins.Op = uint16(r.Uint32() >> r.IntN(32))
	case 2:
		ins.Jt = uint8(r.Uint32() >> r.IntN(32))
	case 3:
		ins.Jf = uint8(r.Uint32() >> r.IntN(32))
	case 4:
		ins.K = r.Uint32() >> r.IntN(32)
	case 5:
		ins.K = cbpf.AdOff + uint32(r.IntN(80))
	case 6:
		ins.K = 0
	}
	return out
}

// Packet returns a random packet: noise of small and large bytes, often with
// netlink attributes at its start, mostly of PacketLen bytes.
func Packet(r *rand.Rand) []byte {
	n := PacketLen
	if r.IntN(8) == 0 {
		n = r.IntN(PacketLen)
	}
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32() >> (r.IntN(4) * 8 & 31) >> r.IntN(8))
	}
	if r.IntN(2) == 0 {
		attributes(r, p)
	}
	return p
}

// attributes writes netlink attributes over a packet, nested ones among them.
func attributes(r *rand.Rand, p []byte) {
	for at := 0; at+4 <= len(p); {
		n := 4 + r.IntN(24)
		switch r.IntN(24) {
		case 0:
			n = r.IntN(300) // perhaps longer than the packet
		case 1:
			n = r.IntN(4) // shorter than its own header
		}
		p[at], p[at+1] = byte(n), byte(n>>8)
		p[at+2], p[at+3] = byte(r.IntN(4)), byte(r.IntN(4))<<6&byte(r.Uint32())
		if r.IntN(3) == 0 {
			at += 4 // the next ones are inside
		} else {
			at += (n + 3) &^ 3
		}
		if n < 4 {
			return
		}
	}
}
