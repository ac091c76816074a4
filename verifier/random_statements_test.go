package verifier_test

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// This file has the statements of random programs.

func (g *generator) copy() {
	from := ebpf.Register(g.IntN(10))
	if g.now.regs[from].what == isNothing && g.likely() {
		return
	}
	to := g.free()
	g.emit(ebpf.Mov64(to, from))
	g.set(to, g.now.regs[from])
}

func (g *generator) constant() {
	r := g.free()
	if g.IntN(8) == 0 {
		wide := ebpf.LoadImm(r, g.Uint64()>>g.IntN(64))
		g.emit(wide[:]...)
		g.set(r, thing{what: isNumber})
		return
	}
	v := g.immediate()
	g.emit(pick(g.Rand, ebpf.Mov64Imm(r, v), ebpf.Mov32Imm(r, v)))
	if v >= 0 && v <= 64 {
		g.set(r, thing{what: isSmall, room: int(v)})
	} else {
		g.set(r, thing{what: isNumber})
	}
}

// arithmetic changes a number.
func (g *generator) arithmetic() {
	dst, ok := g.find(isNumber, isSmall)
	if !ok {
		return
	}
	class := pick(g.Rand, ebpf.ClassALU, ebpf.ClassALU64)
	op := pick(g.Rand, ebpf.Add, ebpf.Sub, ebpf.Mul, ebpf.Div, ebpf.Or, ebpf.And, ebpf.Lsh, ebpf.Rsh,
		ebpf.Neg, ebpf.Mod, ebpf.Xor, ebpf.Mov, ebpf.Arsh, ebpf.Endian, ebpf.Add, ebpf.And, ebpf.Rsh)
	ins := ebpf.Instruction{Op: class | op, Dst: dst}
	switch op {
	case ebpf.Neg:
	case ebpf.Endian:
		ins.Imm = pick[int32](g.Rand, 16, 32, 64)
		if class == ebpf.ClassALU {
			ins.Op |= pick(g.Rand, ebpf.SourceK, ebpf.SourceX)
		}
	default:
		g.operand(&ins)
	}
	g.emit(ins)
	g.set(dst, thing{what: isNumber})
}

func (g *generator) operand(ins *ebpf.Instruction) {
	op := ins.Op.Operation()
	if op == ebpf.Div || op == ebpf.Mod {
		ins.Off = int16(g.IntN(2))
	}
	if src, ok := g.find(isNumber, isSmall); ok && src != ins.Dst && g.IntN(2) == 0 {
		ins.Op |= ebpf.SourceX
		ins.Src = src
		if op == ebpf.Mov {
			ins.Off = pick[int16](g.Rand, 0, 8, 16, 32)
			if ins.Op.Class() == ebpf.ClassALU {
				ins.Off &= 24
			}
		}
		return
	}
	ins.Imm = g.immediate()
	switch op {
	case ebpf.Lsh, ebpf.Rsh, ebpf.Arsh:
		if g.likely() {
			ins.Imm &= 31
		}
	case ebpf.Div, ebpf.Mod:
		if ins.Imm == 0 && g.likely() {
			ins.Imm = 7
		}
	}
}

// makeSmall bounds a number: by a mask, a shift, a remainder or a branch.
func (g *generator) makeSmall() {
	r, ok := g.find(isNumber)
	if !ok {
		return
	}
	bound := pick(g.Rand, 1, 3, 7, 15, 31, 63)
	switch g.IntN(6) {
	case 0, 1:
		g.emit(pick(g.Rand, ebpf.ALU64Imm(ebpf.And, r, int32(bound)), ebpf.ALU32Imm(ebpf.And, r, int32(bound))))
	case 2:
		g.emit(pick(g.Rand, ebpf.ALU64Imm(ebpf.Rsh, r, 60), ebpf.ALU32Imm(ebpf.Rsh, r, 28)))
		bound = 15
	case 3: // if r > bound goto +1 (or the like): the number is replaced
		cmp := pick(g.Rand, ebpf.Jle, ebpf.Jlt, ebpf.Jle)
		g.emit(pick(g.Rand, ebpf.JumpIfImm, ebpf.JumpIfImm, ebpf.JumpIf32Imm)(cmp, r, int32(bound), 1), ebpf.Mov64Imm(r, int32(g.IntN(bound+1))))
	case 4: // both sides, as signed
		cmp := pick(g.Rand, ebpf.JumpIfImm, ebpf.JumpIfImm, ebpf.JumpIf32Imm)
		g.emit(cmp(ebpf.Jsgt, r, int32(bound), 1), cmp(ebpf.Jsge, r, 0, 1), ebpf.Mov64Imm(r, 0))
	case 5:
		g.emit(ebpf.ALU64Imm(ebpf.And, r, int32(bound)), ebpf.ALU64Imm(ebpf.Mul, r, 2))
		bound *= 2
	}
	g.set(r, thing{what: isSmall, room: bound})
}

func (g *generator) loadContext() {
	ctx, ok := g.find(isContext)
	if !ok {
		return
	}
	c := abi.ContextOf(g.typ)
	f := &c.Fields[g.IntN(len(c.Fields))]
	size := g.size()
	for range 10 {
		if _, ok := c.Access(g.typ, f.Offset, size.Bytes(), false); ok && f.Kind == abi.Scalar {
			break
		}
		f, size = &c.Fields[g.IntN(len(c.Fields))], g.size()
	}
	if _, ok := c.Access(g.typ, f.Offset, size.Bytes(), false); !ok && g.IntN(20) > 0 || f.Kind != abi.Scalar {
		return
	}
	r := g.free()
	g.emit(ebpf.Load(size, r, ctx, int16(f.Offset)))
	g.set(r, thing{what: isNumber})
}

// packetPointers loads the bounds of the packet.
func (g *generator) packetPointers() {
	ctx, ok := g.find(isContext)
	if !ok || g.typ == abi.SocketFilter && g.IntN(40) > 0 {
		return
	}
	c := abi.ContextOf(g.typ)
	load := func(name string, w what) {
		r := g.free()
		if r == ctx && g.likely() {
			return
		}
		g.emit(ebpf.Load(ebpf.SizeW, r, ctx, int16(c.Field(name).Offset)))
		g.set(r, thing{what: w})
	}
	load("data", isPacket)
	load("data_end", isPacketEnd)
	if g.IntN(5) == 0 {
		load("data_meta", isMeta)
	}
}

// checkPacket compares the packet's end with something behind a pointer.
func (g *generator) checkPacket() {
	p, ok := g.find(isPacket, isPacket, isMeta)
	if !ok {
		return
	}
	end, ok := g.find(isPacketEnd)
	if g.now.regs[p].what == isMeta {
		end, ok = g.find(isPacket)
	}
	if !ok {
		return
	}
	r, n := g.free(), 1+g.IntN(40)
	if r == p || r == end {
		return
	}
	if g.IntN(8) == 0 && g.now.regs[p].what == isPacket {
		g.checkLength(p, end, r, n)
		return
	}
	g.emit(ebpf.Mov64(r, p), ebpf.ALU64Imm(ebpf.Add, r, int32(n)))
	g.set(r, thing{what: isNothing})
	op := pick(g.Rand, ebpf.Jgt, ebpf.Jgt, ebpf.Jge, ebpf.Jle, ebpf.Jlt)
	fails := op == ebpf.Jgt || op == ebpf.Jge
	a, b := r, end
	if g.IntN(3) == 0 {
		a, b = b, a
		op = map[ebpf.Opcode]ebpf.Opcode{ebpf.Jgt: ebpf.Jlt, ebpf.Jge: ebpf.Jle, ebpf.Jle: ebpf.Jge, ebpf.Jlt: ebpf.Jgt}[op]
	}
	if !g.likely() {
		op = pick(g.Rand, ebpf.Jeq, ebpf.Jne, ebpf.Jsgt, ebpf.Jset, ebpf.Jgt, ebpf.Jlt, ebpf.Jle, ebpf.Jge)
	}
	g.guard(ebpf.JumpIf(op, a, b, 0), fails, func() {
		g.set(p, thing{what: g.now.regs[p].what, room: n})
		g.set(r, thing{what: g.now.regs[p].what})
	})
}

// checkLength checks the difference of the pointers, which proves nothing to
// the kernel.
func (g *generator) checkLength(p, end, r ebpf.Register, n int) {
	g.emit(ebpf.Mov64(r, end), ebpf.ALU64(ebpf.Sub, r, p))
	g.set(r, thing{what: isNumber})
	if g.IntN(2) == 0 {
		g.guard(ebpf.JumpIfImm(ebpf.Jlt, r, int32(n), 0), true, func() {})
	}
}

// guard writes a conditional jump. Where the check holds, what then says is
// known; where not, the program ends.
func (g *generator) guard(jump ebpf.Instruction, fails bool, then func()) {
	if fails { // it jumps when the check fails
		g.emit(jump, ebpf.Jump(2), ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
		g.prog[len(g.prog)-4].Off = 1
	} else {
		g.emit(jump, ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
		g.prog[len(g.prog)-3].Off = 2
	}
	then()
}

// access loads from memory, or stores to it.
func (g *generator) access() {
	p, ok := g.find(isPacket, isValue, isRecord, isMeta, isFrame)
	if !ok {
		return
	}
	t, size := g.now.regs[p], g.size()
	if t.room < size.Bytes() {
		size = ebpf.SizeB
	}
	if t.room == 0 && g.likely() {
		return
	}
	off := g.offset(t.room, size.Bytes())
	if t.what == isFrame {
		off &^= int16(size.Bytes() - 1)
	}
	write := g.IntN(3) == 0 && (t.what != isPacket || g.typ != abi.SocketFilter)
	src, ok := g.find(isNumber, isSmall)
	switch {
	case write && ok:
		g.emit(ebpf.Store(size, p, off, src))
	case write:
		g.emit(ebpf.StoreImm(size, p, off, g.immediate()))
	default:
		dst := g.free()
		ins := ebpf.Load(size, dst, p, off)
		if size != ebpf.SizeDW && g.IntN(6) == 0 {
			ins.Op = ebpf.ClassLDX | ebpf.ModeMEMSX | size
		}
		g.emit(ins)
		g.set(dst, thing{what: isNumber})
	}
}

// moveByVariable adds a number to a pointer, or subtracts it.
func (g *generator) moveByVariable() {
	p, ok := g.find(isPacket, isValue, isRecord, isFrame, isPacket, isValue)
	if !ok {
		return
	}
	t := g.now.regs[p]
	if g.IntN(3) == 0 {
		n := int32(g.IntN(9))
		op := pick(g.Rand, ebpf.Add, ebpf.Add, ebpf.Sub)
		if t.what == isFrame {
			op = ebpf.Add
		}
		g.emit(ebpf.ALU64Imm(op, p, n))
		if op == ebpf.Sub {
			n = -n
		}
		t.room = max(0, t.room-int(n))
		g.set(p, t)
		return
	}
	r, ok := g.find(isSmall)
	if !ok {
		return
	}
	bound := g.now.regs[r].room
	g.emit(ebpf.ALU64(pick(g.Rand, ebpf.Add, ebpf.Add, ebpf.Add, ebpf.Sub), p, r))
	t.room = max(0, t.room-bound)
	if t.what == isPacket {
		t.room = 0
	}
	g.set(p, t)
}

// slot returns a slot of the stack and its offset from R10.
func (g *generator) slot() (int, int16) {
	i := g.IntN(len(g.now.stack))
	return i, int16(-8 * (i + 1))
}

func (g *generator) spill() {
	r := ebpf.Register(g.IntN(10))
	t := g.now.regs[r]
	if t.what == isNothing && g.likely() {
		return
	}
	i, off := g.slot()
	size := ebpf.SizeDW
	if t.what == isNumber || t.what == isSmall {
		size = pick(g.Rand, ebpf.SizeDW, ebpf.SizeDW, ebpf.SizeW, g.size())
	}
	g.emit(ebpf.Store(size, ebpf.FP, off, r))
	if size != ebpf.SizeDW {
		t = thing{what: isNumber}
	}
	g.now.stack[i] = t
}

func (g *generator) fill() {
	i, off := g.slot()
	t := g.now.stack[i]
	if t.what == isNothing && g.IntN(10) > 0 {
		return
	}
	size := ebpf.SizeDW
	if t.what == isNumber || t.what == isSmall {
		size = pick(g.Rand, ebpf.SizeDW, ebpf.SizeDW, g.size())
	}
	r := g.free()
	g.emit(ebpf.Load(size, r, ebpf.FP, off))
	if size != ebpf.SizeDW && t.what != isSmall {
		t = thing{what: isNumber}
	}
	g.set(r, t)
}

// frameSize stores constants, parts of slots, or takes an address.
func (g *generator) frameSize() {
	i, off := g.slot()
	switch g.IntN(3) {
	case 0:
		g.emit(ebpf.StoreImm(ebpf.SizeDW, ebpf.FP, off, g.immediate()))
		g.now.stack[i] = thing{what: isNumber}
	case 1:
		size := g.size()
		off += int16(g.IntN(8/size.Bytes()) * size.Bytes())
		g.emit(ebpf.StoreImm(size, ebpf.FP, off, g.immediate()))
		g.now.stack[i] = thing{what: isNumber}
	default:
		r := g.free()
		g.emit(ebpf.Mov64(r, ebpf.FP), ebpf.ALU64Imm(ebpf.Add, r, int32(off)))
		g.set(r, thing{what: isFrame, room: int(-off)})
	}
}

// comparison is a random condition.
func (g *generator) comparison() (ebpf.Instruction, bool) {
	r, ok := g.find(isNumber, isSmall)
	if !ok {
		return ebpf.Instruction{}, false
	}
	op := pick(g.Rand, ebpf.Jeq, ebpf.Jgt, ebpf.Jge, ebpf.Jset, ebpf.Jne, ebpf.Jsgt,
		ebpf.Jsge, ebpf.Jlt, ebpf.Jle, ebpf.Jslt, ebpf.Jsle)
	if src, ok := g.find(isNumber, isSmall); ok && src != r && g.IntN(3) == 0 {
		return pick(g.Rand, ebpf.JumpIf, ebpf.JumpIf32)(op, r, src, 0), true
	}
	return pick(g.Rand, ebpf.JumpIfImm, ebpf.JumpIf32Imm)(op, r, g.immediate(), 0), true
}

// branch writes an if, with an else at times.
func (g *generator) branch() {
	jump, ok := g.comparison()
	if !ok {
		return
	}
	at := len(g.prog)
	g.emit(jump)
	before := g.now
	g.block(1 + g.IntN(3))
	if g.IntN(3) > 0 {
		g.prog[at].Off = int16(len(g.prog) - at - 1)
		g.now = meet(before, g.now)
		return
	}
	out := len(g.prog)
	g.emit(ebpf.Jump(0))
	g.prog[at].Off = int16(len(g.prog) - at - 1)
	first := g.now
	g.now = before
	g.block(1 + g.IntN(3))
	g.prog[out].Off = int16(len(g.prog) - out - 1)
	g.now = meet(first, g.now)
}

func meet(a, b known) known {
	for i := range a.regs {
		a.regs[i] = meetThings(a.regs[i], b.regs[i])
	}
	for i := range a.stack {
		a.stack[i] = meetThings(a.stack[i], b.stack[i])
	}
	return a
}

func meetThings(a, b thing) thing {
	switch {
	case a == b:
		return a
	case a.what == isSmall && b.what == isSmall:
		return thing{what: isSmall, room: max(a.room, b.room)}
	case (a.what == isSmall || a.what == isNumber) && (b.what == isSmall || b.what == isNumber):
		return thing{what: isNumber}
	case a.what == b.what && a.m == b.m && a.what != isFrame:
		return thing{what: a.what, room: min(a.room, b.room), m: a.m}
	}
	return thing{}
}

// loop writes a loop with a counter in R9, in R8 inside of another.
func (g *generator) loop() {
	if g.loops == 2 {
		return
	}
	counter := ebpf.R9 - ebpf.Register(g.loops)
	g.loops++
	rounds := int32(1 + g.IntN(6))
	may := g.IntN(40) == 0
	g.emit(ebpf.Mov64Imm(counter, 0))
	g.set(counter, thing{what: isSmall, room: int(rounds) - 1})
	start := len(g.prog)
	if may {
		g.emit(ebpf.Instruction{Op: ebpf.ClassJMP | ebpf.Jcond})
	}
	before := g.now
	g.block(1 + g.IntN(4))
	switch {
	case may:
		g.emit(ebpf.Jump(int16(start - len(g.prog) - 1)))
		g.prog[start].Off = int16(len(g.prog) - start - 1)
	default:
		g.emit(ebpf.ALU64Imm(ebpf.Add, counter, 1))
		g.emit(pick(g.Rand, ebpf.JumpIfImm, ebpf.JumpIf32Imm)(pick(g.Rand, ebpf.Jlt, ebpf.Jlt, ebpf.Jne, ebpf.Jslt), counter, rounds, int16(start-len(g.prog)-2)))
	}
	g.now = meet(before, g.now)
	g.set(counter, thing{what: isNumber})
	g.loops--
}
