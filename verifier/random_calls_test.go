package verifier_test

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// This file has the statements of random programs that call something.

// called forgets what calls do not keep.
func (g *generator) called() {
	for r := range 6 {
		g.now.regs[r] = thing{}
	}
}

// movedPacket forgets all packet pointers.
func (g *generator) movedPacket() {
	for i := range g.now.regs {
		if t := &g.now.regs[i]; t.what == isPacket || t.what == isPacketEnd || t.what == isMeta {
			*t = thing{}
		}
	}
	for i := range g.now.stack {
		if t := &g.now.stack[i]; t.what == isPacket || t.what == isPacketEnd || t.what == isMeta {
			*t = thing{}
		}
	}
}

func (g *generator) loadMap(r ebpf.Register, m int) {
	wide := ebpf.LoadImm(r, uint64(m))
	wide[0].Src = ebpf.WideMapFD
	g.emit(wide[:]...)
}

// stackArgument writes an address of the stack into a register.
func (g *generator) stackArgument(r ebpf.Register, off int16) {
	g.emit(ebpf.Mov64(r, ebpf.FP), ebpf.ALU64Imm(ebpf.Add, r, int32(off)))
}

// lookup looks up an element, with a key on the stack or in the packet.
func (g *generator) lookup() {
	m := pick(g.Rand, theHash, theArray, theWideHash, theOneArray, theOuterMap, theConstants)
	if !g.likely() {
		m = g.IntN(manyMaps)
	}
	_, off := g.slot()
	if key, ok := g.find(isPacket, isValue); ok && g.now.regs[key].room >= 8 && g.IntN(3) == 0 {
		g.emit(ebpf.Mov64(ebpf.R2, key))
	} else {
		g.emit(ebpf.StoreImm(pick(g.Rand, ebpf.SizeDW, ebpf.SizeW), ebpf.FP, off, int32(g.IntN(6))))
		g.stackArgument(ebpf.R2, off)
	}
	if inner, ok := g.find(isTheMap); ok && g.IntN(2) == 0 {
		m = g.now.regs[inner].m
		if inner != ebpf.R2 {
			g.emit(ebpf.Mov64(ebpf.R1, inner))
		}
	} else {
		g.loadMap(ebpf.R1, m)
	}
	g.emit(ebpf.CallTo(abi.MapLookupElem))
	g.called()
	result := thing{what: isMaybeValue, m: m, room: g.valueSize(m)}
	if m == theOuterMap {
		result = thing{what: isMaybeInner, m: manyMaps}
	}
	g.set(ebpf.R0, result)
	if g.IntN(4) > 0 {
		g.checkNull()
	}
}

func (g *generator) valueSize(m int) int {
	if m == manyMaps { // that in the map of maps
		return 24
	}
	return int(randomMaps()[m].ValueSize)
}

// checkNull compares a pointer with NULL.
func (g *generator) checkNull() {
	r, ok := g.find(isMaybeValue, isMaybeInner, isMaybeRecord)
	if !ok {
		return
	}
	t := g.now.regs[r]
	if g.IntN(3) == 0 { // a copy, for which the check holds as well
		c := g.free()
		if c != r {
			g.emit(ebpf.Mov64(c, r))
			g.set(c, t)
		}
	}
	equal := g.IntN(2) == 0
	op := ebpf.Jne
	if equal {
		op = ebpf.Jeq
	}
	g.guard(ebpf.JumpIfImm(op, r, 0, 0), equal, func() {
		for i := range g.now.regs {
			if g.now.regs[i] == t {
				switch t.what {
				case isMaybeValue:
					g.now.regs[i].what = isValue
				case isMaybeInner:
					g.now.regs[i].what = isTheMap
				case isMaybeRecord:
					g.now.regs[i].what = isRecord
				}
			}
		}
	})
}

// mapAddress loads the address of a map's value.
func (g *generator) mapAddress() {
	m := pick(g.Rand, theOneArray, theOneArray, theConstants)
	off := g.IntN(g.valueSize(m))
	if !g.likely() {
		m, off = g.IntN(manyMaps), g.IntN(70)
	}
	r := g.free()
	wide := ebpf.LoadImm(r, uint64(m)|uint64(off)<<32)
	wide[0].Src = ebpf.WideMapValue
	g.emit(wide[:]...)
	g.set(r, thing{what: isValue, m: m, room: max(0, g.valueSize(m)-off)})
	if m == theConstants {
		g.set(r, thing{what: isValue, m: m, room: 16 - off})
		if dst := g.free(); g.IntN(2) == 0 {
			g.emit(ebpf.Load(ebpf.SizeB, dst, r, 0))
			g.set(dst, thing{what: isNumber})
		}
	}
}

// helper calls a helper function with arguments of the right kinds.
func (g *generator) helper() {
	h := &abi.Helpers[g.IntN(len(abi.Helpers))]
	if !h.Types.Has(g.typ) && g.likely() || h.Returns != abi.ReturnsScalar {
		return
	}
	start := len(g.prog)
	for i, kind := range h.Args {
		if !g.argument(ebpf.R1+ebpf.Register(i), kind) {
			g.prog = g.prog[:start]
			return
		}
	}
	g.emit(ebpf.CallTo(h.ID))
	g.called()
	if h.MovesPacket {
		g.movedPacket()
	}
	g.set(ebpf.R0, thing{what: isNumber})
}

// argument writes an argument of a kind, and reports whether it can. It may
// change only the register itself and the stack.
func (g *generator) argument(r ebpf.Register, kind abi.ArgKind) bool {
	switch kind {
	case abi.ArgContext:
		ctx := ebpf.R6
		if g.now.regs[6].what != isContext && g.likely() {
			return false
		}
		g.emit(ebpf.Mov64(r, ctx))
	case abi.ArgScalar, abi.ArgOptional:
		g.emit(ebpf.Mov64Imm(r, g.immediate()))
	case abi.ArgSize, abi.ArgSizeOrZero:
		if s := g.now.regs[7]; s.what == isSmall && g.IntN(2) == 0 {
			g.emit(ebpf.Mov64(r, ebpf.R7))
			if g.IntN(2) == 0 {
				g.emit(ebpf.ALU64Imm(ebpf.Add, r, 1))
			}
			return true
		}
		g.emit(ebpf.Mov64Imm(r, int32(g.IntN(12))))
	case abi.ArgReadMem, abi.ArgWriteMem, abi.ArgReadMemOrNull, abi.ArgWriteMemOrNull, abi.ArgMapKey, abi.ArgMapValue,
		abi.ArgMapValueOut, abi.ArgWriteLong, abi.ArgReadWriteWord:
		g.memoryArgument(r)
	case abi.ArgMap:
		g.loadMap(r, g.IntN(manyMaps))
	default:
		return false
	}
	return true
}

func (g *generator) memoryArgument(r ebpf.Register) {
	if p := ebpf.Register(7 + g.IntN(3)); g.IntN(3) == 0 {
		if w := g.now.regs[p].what; w == isPacket || w == isValue || w == isRecord {
			g.emit(ebpf.Mov64(r, p))
			return
		}
	}
	i, off := g.slot()
	g.stackArgument(r, off)
	for ; i >= 0; i-- {
		g.now.stack[i] = thing{what: isNumber}
	}
}

func (g *generator) atomic() {
	p, ok := g.find(isValue, isFrame, isRecord)
	src, found := g.find(isNumber, isSmall)
	if !ok || !found {
		return
	}
	size := pick(g.Rand, ebpf.SizeW, ebpf.SizeDW)
	if g.now.regs[p].room < size.Bytes() && g.likely() {
		return
	}
	off := g.offset(g.now.regs[p].room, size.Bytes())
	if g.IntN(10) > 0 {
		off &^= int16(size.Bytes() - 1)
	}
	op := pick(g.Rand, ebpf.AtomicAdd, ebpf.AtomicOr, ebpf.AtomicAnd, ebpf.AtomicXor, ebpf.AtomicXchg, ebpf.AtomicCmpXchg,
		ebpf.AtomicAdd|ebpf.AtomicFetch, ebpf.AtomicAnd|ebpf.AtomicFetch)
	g.emit(ebpf.Instruction{Op: ebpf.ClassSTX | ebpf.ModeATOMIC | size, Dst: p, Src: src, Off: off, Imm: op})
	switch {
	case op == ebpf.AtomicCmpXchg:
		g.set(ebpf.R0, thing{what: isNumber})
	case op&ebpf.AtomicFetch != 0:
		g.set(src, thing{what: isNumber})
	}
}

// legacy loads from the packet as classic programs do.
func (g *generator) legacy() {
	if (g.now.regs[6].what != isContext || g.typ == abi.XDP) && g.IntN(30) > 0 {
		return
	}
	size := pick(g.Rand, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW)
	if r, ok := g.find(isNumber, isSmall); ok && g.IntN(2) == 0 {
		g.emit(ebpf.LoadInd(size, r, g.immediate()))
	} else {
		g.emit(ebpf.LoadAbs(size, int32(g.IntN(64))))
	}
	g.called()
	g.set(ebpf.R0, thing{what: isNumber})
}

// function calls a function, which is written later.
func (g *generator) function() {
	if g.now.regs[1].what == isNothing {
		g.emit(ebpf.Mov64Imm(ebpf.R1, g.immediate()))
	}
	if g.now.regs[2].what == isNothing && g.IntN(2) == 0 {
		g.emit(ebpf.Mov64Imm(ebpf.R2, g.immediate()))
	}
	g.calls = append(g.calls, len(g.prog))
	g.emit(ebpf.Instruction{Op: ebpf.ClassJMP | ebpf.Call, Src: ebpf.CallLocal})
	g.called()
	g.set(ebpf.R0, thing{what: isNumber})
}

func (g *generator) reserve() {
	if g.loops > 0 && g.IntN(10) > 0 { // what is lost in each round takes the kernel seconds
		return
	}
	g.loadMap(ebpf.R1, theRing)
	g.emit(ebpf.Mov64Imm(ebpf.R2, 16), ebpf.Mov64Imm(ebpf.R3, 0), ebpf.CallTo(abi.RingbufReserve))
	g.called()
	g.set(ebpf.R0, thing{what: isMaybeRecord, room: 16})
	g.checkNull()
	if g.IntN(3) > 0 {
		g.submit()
	}
}

func (g *generator) submit() {
	r, ok := g.find(isRecord)
	if !ok {
		return
	}
	if r != ebpf.R1 {
		g.emit(ebpf.Mov64(ebpf.R1, r))
	}
	g.emit(ebpf.Mov64Imm(ebpf.R2, 0), ebpf.CallTo(pick(g.Rand, abi.RingbufSubmit, abi.RingbufDiscard)))
	g.called()
	for i := range g.now.regs {
		if g.now.regs[i].what == isRecord {
			g.now.regs[i] = thing{}
		}
	}
}

func (g *generator) tailCall() {
	if g.now.regs[6].what != isContext {
		return
	}
	g.emit(ebpf.Mov64(ebpf.R1, ebpf.R6))
	g.loadMap(ebpf.R2, theTails)
	g.emit(ebpf.Mov64Imm(ebpf.R3, int32(g.IntN(6))), ebpf.CallTo(abi.TailCall))
	g.called()
}
