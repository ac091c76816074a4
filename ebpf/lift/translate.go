package lift

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// registers says where the machine's parts live. A is always in R0, where
// legacy loads and helpers leave their result and the program its verdict.
type registers struct {
	ctx, x    ebpf.Register
	data, end ebpf.Register // the packet's bounds
	p, t, s   ebpf.Register // scratch of the access mode
}

const rA = ebpf.R0

// Two register assignments. Calls destroy R1 to R5, so with calls all that
// lives long moves up; without them the context can stay where it comes in.
var (
	leafRegisters = registers{ctx: ebpf.R1, data: ebpf.R2, end: ebpf.R3, x: ebpf.R4, p: ebpf.R5, t: ebpf.R6, s: ebpf.R7}
	callRegisters = registers{ctx: ebpf.R6, data: ebpf.R7, end: ebpf.R8, x: ebpf.R9, p: ebpf.R5, t: ebpf.R4, s: ebpf.R3}
)

// Stack offsets: sixteen words of scratch memory, a place to keep A while
// something needs R0, and one for the bytes that helpers copy.
const (
	stackMem   = -64
	stackA     = -68
	stackBytes = -72
)

// A packetAccess emits the packet loads. The value of a load arrives in dst
// in the order that the instruction asks for; control goes to noMatch where
// the bytes are not there. What the checks have shown so far is its own
// affair: it is told where blocks start and end and when registers change.
type packetAccess interface {
	prologue()
	enter(b *block)                    // the code of b follows
	leave(b *block)                    // the code of b but for its last jump is out
	fixed(in *insn, dst ebpf.Register) // loadAbs and loadMSH from the start
	indirect(in *insn)                 // loadInd
	wroteX()                           // X has a new value
	called()                           // R1 to R5 are gone
}

// A translator makes the eBPF program from the analysed graph.
type translator struct {
	emitter
	*target
	regs    registers
	access  packetAccess
	uses    uses
	noMatch *block
}

// uses says what a program needs at run time.
type uses struct {
	packet bool // loads from the start of the packet
	ctx    bool // the context, beside what packet loads do with it
	calls  bool // helper calls or legacy loads
}

func translate(g *graph, target *target) *Program {
	t := &translator{target: target, noMatch: g.noMatch, regs: leafRegisters, uses: target.usesOf(g)}
	if t.uses.calls {
		t.regs = callRegisters
	}
	switch target.access {
	case Abs:
		t.access = &absAccess{translator: t, checked: target.ret.NoMatch != 0}
	case Direct:
		t.access = &directAccess{translator: t}
	case LoadBytes:
		l := &loadBytesAccess{translator: t}
		l.setPhase(g)
		t.access = l
	}
	t.prologue(g.blocks[0])
	for i, b := range g.blocks {
		var next *block
		if i+1 < len(g.blocks) {
			next = g.blocks[i+1]
		}
		t.block(b, next)
	}
	t.dropUnusedEnd(g)
	t.resolve(g.blocks)
	return &Program{Type: target.typ, Insns: t.code, Origin: t.table}
}

func (t *target) usesOf(g *graph) uses {
	var u uses
	for _, b := range g.blocks {
		for _, in := range b.insns {
			switch in.kind {
			case loadAbs, loadInd, loadMSH:
				direct := t.access == Direct && in.area == fromStart
				u.packet = u.packet || in.area == fromStart
				u.ctx = u.ctx || !direct
				u.calls = u.calls || !direct
			case loadLen:
				u.packet = u.packet || !t.isSKB() && t.access == Direct
				u.calls = u.calls || !t.isSKB() && t.access != Direct
				u.ctx = true
			case loadField, branchNoDevice:
				u.ctx = true
			case loadCall:
				u.calls = true
			}
		}
	}
	return u
}

// prologue saves the context, lets the access mode do what it needs, and sets
// A and X to 0 where the program may read them before it writes them.
func (t *translator) prologue(entry *block) {
	if (t.uses.ctx || t.uses.packet) && t.regs.ctx != ebpf.R1 {
		t.emit(ebpf.Mov64(t.regs.ctx, ebpf.R1))
	}
	if t.uses.packet {
		t.access.prologue()
	}
	if entry.in.a {
		t.emit(ebpf.Mov32Imm(rA, 0))
	}
	if entry.in.x {
		t.emit(ebpf.Mov32Imm(t.regs.x, 0))
	}
}

func (t *translator) block(b, next *block) {
	b.pos = len(t.code)
	t.access.enter(b)
	for i := range b.insns {
		t.from = b.insns[i].from
		t.insn(b, &b.insns[i], next)
	}
	t.access.leave(b)
	switch {
	case b.end != nil:
		t.from = b.end.from
		if !b.end.a {
			t.emit(ebpf.Mov32Imm(rA, int32(b.end.value)))
		}
		t.emit(ebpf.Return())
	case len(b.succ) == 1 && b.succ[0] != next:
		t.from = b.jump
		t.jump(ebpf.Jump(0), b.succ[0])
	}
}

// dropUnusedEnd removes the code for "no match", which is always laid out
// last, if nothing leads there.
func (t *translator) dropUnusedEnd(g *graph) {
	if g.noMatch.preds > 0 || len(g.blocks) == 1 {
		return
	}
	for _, j := range t.jumps {
		if j.to == g.noMatch {
			return
		}
	}
	t.code, t.table = t.code[:g.noMatch.pos], t.table[:g.noMatch.pos]
}

func (t *translator) insn(b *block, in *insn, next *block) {
	dst := ebpf.Register(rA)
	if in.reg == regX {
		dst = t.regs.x
	}
	switch in.kind {
	case loadImm:
		t.emit(ebpf.Mov32Imm(dst, int32(in.k)))
	case loadLen:
		t.length(in, dst)
	case loadMem:
		t.emit(ebpf.Load(ebpf.SizeW, dst, ebpf.FP, stackMem+4*int16(in.k)))
	case storeMem:
		t.emit(ebpf.Store(ebpf.SizeW, ebpf.FP, stackMem+4*int16(in.k), dst))
	case loadAbs:
		t.fixed(in, rA)
	case loadInd:
		t.access.indirect(in)
	case loadMSH:
		t.headerLength(in)
	case loadField:
		t.field(in)
	case loadCall:
		t.call(in.ext.call)
	case alu:
		t.alu(in)
	case neg:
		t.emit(ebpf.Instruction{Op: ebpf.ClassALU | ebpf.Neg, Dst: rA})
	case tax:
		t.emit(ebpf.Mov32(t.regs.x, rA))
	case txa:
		t.emit(ebpf.Mov32(rA, t.regs.x))
	case branch, branchNoDevice:
		t.branch(b, in, next)
	}
	if in.writesX() {
		t.access.wroteX()
	}
}

// length loads the packet's length: that on the wire from a struct __sk_buff,
// that of the buffer in XDP.
func (t *translator) length(in *insn, dst ebpf.Register) {
	switch {
	case t.isSKB():
		t.emit(ebpf.Load(ebpf.SizeW, dst, t.regs.ctx, t.offset("len")))
	case t.target.access == Direct:
		t.emit(ebpf.Mov64(dst, t.regs.end), ebpf.ALU64(ebpf.Sub, dst, t.regs.data))
	default:
		t.keepingA(in, func() {
			t.emit(ebpf.Mov64(ebpf.R1, t.regs.ctx))
			t.call(abi.XDPGetBuffLen)
			if dst != rA {
				t.emit(ebpf.Mov32(dst, rA))
			}
		})
	}
}

// keepingA emits code that needs R0, with A kept on the stack meanwhile if it
// is read later.
func (t *translator) keepingA(in *insn, code func()) {
	if !in.keepA {
		code()
		return
	}
	t.emit(ebpf.Store(ebpf.SizeW, ebpf.FP, stackA, rA))
	code()
	t.emit(ebpf.Load(ebpf.SizeW, rA, ebpf.FP, stackA))
}

func (t *translator) fixed(in *insn, dst ebpf.Register) {
	if in.area != fromStart && (t.target.access != Abs || t.ret.NoMatch != 0) {
		t.relative(in, dst)
		return
	}
	t.access.fixed(in, dst)
}

// headerLength is "ldx 4*([k]&0xf)".
func (t *translator) headerLength(in *insn) {
	load := func() {
		t.fixed(in, t.regs.x)
		if !in.dead {
			t.emit(ebpf.ALU32Imm(ebpf.And, t.regs.x, 15), ebpf.ALU32Imm(ebpf.Lsh, t.regs.x, 2))
		}
	}
	if t.target.access == Direct && in.area == fromStart {
		load()
	} else {
		t.keepingA(in, load)
	}
}

// relative loads what counts from a header that the packet does not begin
// with: the kernel knows where it is.
func (t *translator) relative(in *insn, dst ebpf.Register) {
	header := int32(abi.HdrStartNet)
	if in.area == fromLink {
		header = abi.HdrStartMAC
	}
	t.emit(ebpf.Mov64(ebpf.R1, t.regs.ctx), ebpf.Mov64Imm(ebpf.R2, int32(in.k)))
	t.copyBytes(abi.SKBLoadBytesRelative, stackBytes, int64(in.loadSize()), ebpf.Mov64Imm(ebpf.R5, header))
	t.take(in, dst, stackBytes)
}

// copyBytes calls a helper that copies n bytes to the stack; R1 and R2, the
// context and the offset, are set already.
func (t *translator) copyBytes(helper int32, to int16, n int64, more ...ebpf.Instruction) {
	t.emit(
		ebpf.Mov64(ebpf.R3, ebpf.FP),
		ebpf.ALU64Imm(ebpf.Add, ebpf.R3, int32(to)),
		ebpf.Mov64Imm(ebpf.R4, int32(n)),
	)
	t.emit(more...)
	t.call(helper)
	t.jump(ebpf.JumpIfImm(ebpf.Jne, ebpf.R0, 0, 0), t.noMatch)
}

// take loads what has been copied to the stack.
func (t *translator) take(in *insn, dst ebpf.Register, from int16) {
	if !in.dead {
		t.emit(ebpf.Load(sizeOf(in.loadSize()), dst, ebpf.FP, from))
		t.swap(in, dst)
	}
}

func (t *translator) call(helper int32) {
	t.emit(ebpf.CallTo(helper))
	t.access.called()
}

// swap brings what was loaded as it is in the packet into host order, unless
// it can stay as it is.
func (t *translator) swap(in *insn, dst ebpf.Register) {
	if in.loadSize() > 1 && in.order == 0 {
		t.emit(ebpf.ToBE(dst, int32(in.loadSize())*8))
	}
}

func (t *translator) field(in *insn) {
	t.emit(ebpf.Load(ebpf.SizeW, rA, t.regs.ctx, t.offset(in.ext.field)))
	if in.ext.swap && in.order == 0 {
		t.emit(ebpf.ToBE(rA, 16))
	}
}

func (t *translator) alu(in *insn) {
	switch {
	case in.divides():
		t.jump(ebpf.JumpIf32Imm(ebpf.Jeq, t.regs.x, 0, 0), t.noMatch)
		fallthrough
	case in.useX:
		t.emit(ebpf.ALU32(in.op, rA, t.regs.x))
	default:
		t.emit(ebpf.ALU32Imm(in.op, rA, in.constant()))
	}
}

// inverse has the opposite of the conditions that have one.
var inverse = map[ebpf.Opcode]ebpf.Opcode{
	ebpf.Jeq: ebpf.Jne, ebpf.Jgt: ebpf.Jle, ebpf.Jge: ebpf.Jlt,
}

// branch ends a block with two successors. All comparisons are of 32 bits, so
// that constants from 2^31 on need no register.
func (t *translator) branch(b *block, in *insn, next *block) {
	op, taken, other := in.op, b.succ[0], b.succ[1]
	if not, ok := inverse[op]; ok && taken == next {
		op, taken, other = not, other, taken
	}
	switch {
	case in.kind == branchNoDevice:
		t.emit(ebpf.Load(ebpf.SizeW, t.regs.s, t.regs.ctx, t.offset(in.ext.field)))
		t.jump(ebpf.JumpIfImm(op, t.regs.s, 0, 0), taken)
	case in.useX:
		t.jump(ebpf.JumpIf32(op, rA, t.regs.x, 0), taken)
	default:
		t.jump(ebpf.JumpIf32Imm(op, rA, in.constant(), 0), taken)
	}
	if other != next {
		t.jump(ebpf.Jump(0), other)
	}
}

// sizeOf returns the size bits for a load of n bytes.
func sizeOf(n int) ebpf.Opcode {
	switch n {
	case 1:
		return ebpf.SizeB
	case 2:
		return ebpf.SizeH
	}
	return ebpf.SizeW
}
