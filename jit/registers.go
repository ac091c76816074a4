package jit

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
)

// Every register of eBPF has one of the processor's for the whole program, so
// that blocks meet without moves. R0 is rax, where the processor's own
// instructions want it; registers of calls and results come first because their
// encodings are short. rsp and rbp are Go's and are never touched.
var hostOf = [11]amd64.Reg{
	ebpf.R0: amd64.RAX, ebpf.R1: amd64.RDI, ebpf.R2: amd64.RSI, ebpf.R3: amd64.RDX, ebpf.R4: amd64.RCX, ebpf.R5: amd64.R8,
	ebpf.R6: amd64.RBX, ebpf.R7: amd64.R13, ebpf.R8: amd64.R12, ebpf.R9: amd64.R10, ebpf.R10: amd64.R9,
}

const (
	scratch   = amd64.R11 // holds nothing between instructions
	packetReg = amd64.R14 // where the bytes of the packet are
	baseReg   = amd64.R15 // address 0 of the arena
	argsReg   = amd64.RDI // what enter was given
)

const (
	argRegs   = 1<<ebpf.R1 | 1<<ebpf.R2 | 1<<ebpf.R3 | 1<<ebpf.R4 | 1<<ebpf.R5
	savedRegs = 1<<ebpf.R6 | 1<<ebpf.R7 | 1<<ebpf.R8 | 1<<ebpf.R9
	frameReg  = 1 << ebpf.R10
)

func bit(r ebpf.Register) uint16 { return 1 << r }

// use finds which registers the machine code of an instruction reads and writes:
// fewer than the instruction, because constants become operands. It must say
// what the emitting functions do.
func (c *compiler) use(p *program, slot int, k *known) (reads, writes uint16) {
	ins := p.insns[slot]
	r := &k.reg
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		return useArithmetic(ins, r), bit(ins.Dst)
	case ebpf.ClassLD:
		return useLegacy(ins, r)
	case ebpf.ClassLDX:
		return c.useAddress(ins.Src, ins, r), bit(ins.Dst)
	case ebpf.ClassST:
		return c.useAddress(ins.Dst, ins, r), 0
	case ebpf.ClassSTX:
		return c.useStore(ins, r)
	}
	return c.useJump(p, slot, k)
}

func useArithmetic(ins ebpf.Instruction, r *[11]value) (reads uint16) {
	op := ins.Op.Operation()
	x, y := r[ins.Dst], operandOf(ins, r)
	if evaluate(ins, x, y).isConst() {
		return 0
	}
	if op != ebpf.Mov {
		reads = bit(ins.Dst)
	}
	if ins.Op.Source() == ebpf.SourceX && op != ebpf.Neg && op != ebpf.Endian && !operandIsImmediate(ins, y) {
		reads |= bit(ins.Src)
	}
	return reads
}

// operandIsImmediate reports whether the second operand of an arithmetic
// instruction or a jump fits into the processor's instruction, or is dealt with
// when compiling.
func operandIsImmediate(ins ebpf.Instruction, y value) bool {
	if !y.isConst() {
		return false
	}
	if c := ins.Op.Class(); c == ebpf.ClassALU64 || c == ebpf.ClassALU {
		switch ins.Op.Operation() {
		case ebpf.Lsh, ebpf.Rsh, ebpf.Arsh, ebpf.Div, ebpf.Mod:
			return true
		case ebpf.Mov:
			return ins.Off == 0
		}
	}
	return fits(y.n, ins.Op.Class())
}

// fits reports whether a constant is an immediate of the processor: 32 bits,
// which an operation on 64 extends by the sign.
func fits(n uint64, class ebpf.Opcode) bool {
	return class == ebpf.ClassALU || class == ebpf.ClassJMP32 || n == uint64(int64(int32(n)))
}

func useLegacy(ins ebpf.Instruction, r *[11]value) (reads, writes uint16) {
	switch {
	case ins.Op == ebpf.LoadImm64:
		return 0, bit(ins.Dst)
	case ins.Op.Mode() == ebpf.ModeIND:
		reads = bit(ins.Src)
	}
	if !legacyInline(ins, r) {
		reads |= bit(ebpf.R6)
	}
	return reads, bit(ebpf.R0)
}

// legacyInline reports whether a legacy packet load counts from the start of the
// packet: those with negative offsets do not, and are rare.
func legacyInline(ins ebpf.Instruction, r *[11]value) bool {
	if ins.Op.Mode() == ebpf.ModeABS {
		return ins.Imm >= 0
	}
	const far = 1 << 30
	return ins.Imm >= 0 && ins.Imm < far && r[ins.Src].bound() < far
}

// useAddress is what reading the address of a load or store takes.
func (c *compiler) useAddress(base ebpf.Register, ins ebpf.Instruction, r *[11]value) uint16 {
	if _, ok := fixedAddress(r[base], ins.Off); ok {
		return 0
	}
	return bit(base)
}

// fixedAddress returns the address of a load or store that is known when
// compiling and fits into an instruction.
func fixedAddress(base value, off int16) (int32, bool) {
	addr := base.n + uint64(off)
	return int32(addr), base.isConst() && addr < reach
}

func (c *compiler) useStore(ins ebpf.Instruction, r *[11]value) (reads, writes uint16) {
	if ins.Op.Mode() != ebpf.ModeATOMIC {
		reads = c.useAddress(ins.Dst, ins, r)
		if !storeIsImmediate(r[ins.Src]) {
			reads |= bit(ins.Src)
		}
		return reads, 0
	}
	switch {
	case ins.Imm == ebpf.LoadAcquire:
		return c.useAddress(ins.Src, ins, r), bit(ins.Dst)
	case ins.Imm == ebpf.StoreRelease:
		return c.useAddress(ins.Dst, ins, r) | bit(ins.Src), 0
	case ins.Imm == ebpf.AtomicCmpXchg:
		return c.useAddress(ins.Dst, ins, r) | bit(ins.Src) | bit(ebpf.R0), bit(ebpf.R0)
	case ins.Imm&ebpf.AtomicFetch != 0:
		writes = bit(ins.Src)
	}
	return c.useAddress(ins.Dst, ins, r) | bit(ins.Src), writes
}

// storeIsImmediate reports whether a register that is stored is a constant that
// fits into the instruction.
func storeIsImmediate(v value) bool { return v.isConst() && v.n == uint64(int64(int32(v.n))) }

func (c *compiler) useJump(p *program, slot int, k *known) (reads, writes uint16) {
	ins := p.insns[slot]
	switch op := ins.Op.Operation(); {
	case isExit(ins):
		if k.reg[0].isConst() && p.inMain(slot) && storeIsImmediate(k.reg[0]) {
			return 0, 0
		}
		return bit(ebpf.R0), 0
	case op == ebpf.Call:
		return c.useCall(p, slot, k)
	case op == ebpf.Ja || op == ebpf.Jcond:
		return 0, 0
	}
	if jumps, falls := p.ways(slot); !jumps || !falls {
		return 0, 0
	}
	if _, ok := c.jumpByEnd(ins, k); ok {
		return 0, 0
	}
	reads = bit(ins.Dst)
	if ins.Op.Source() == ebpf.SourceX && !operandIsImmediate(ins, k.reg[ins.Src]) {
		reads |= bit(ins.Src)
	}
	return reads, 0
}

// useCall is what a call reads: the arguments that the prototype has, but for
// those that are stored as constants.
func (c *compiler) useCall(p *program, slot int, k *known) (reads, writes uint16) {
	ins := p.insns[slot]
	writes = argRegs | bit(ebpf.R0)
	switch {
	case ins.Op == ebpf.CallX:
		return argRegs | bit(ins.Dst), writes
	case !isHelperCall(ins):
		return 0, writes // see calleeReads
	}
	proto, _ := c.n.Helper(p.start + slot)
	if reads, ok := c.useInline(p, slot, k); ok {
		return reads, writes
	}
	for r := ebpf.R1; r < ebpf.R1+ebpf.Register(len(proto.Args)); r++ {
		if !storeIsImmediate(k.reg[r]) {
			reads |= bit(r)
		}
	}
	return reads, writes
}

// findLiveness finds which registers are read after each instruction before
// they are written. What does not lead to anything read is not compiled.
func (c *compiler) findLiveness(p *program) {
	n := len(p.insns)
	masks := make([]uint16, 3*n)
	p.reads, p.writes, p.live = masks[:n], masks[n:2*n], masks[2*n:]
	for i := range p.blocks {
		b := &p.blocks[i]
		k := b.in
		for slot := b.start; slot < b.end; slot += p.insns[slot].Width() {
			p.reads[slot], p.writes[slot] = c.use(p, slot, &k)
			c.pass(p, slot, &k)
		}
	}
	for changed := true; changed; {
		changed = false
		for i := len(p.blocks) - 1; i >= 0; i-- {
			b := &p.blocks[i]
			if in := p.liveAtStart(b); in != b.liveIn {
				b.liveIn, changed = in, true
			}
		}
	}
}

// liveAtStart goes through a block backwards.
func (p *program) liveAtStart(b *block) uint16 {
	live := uint16(0)
	for _, s := range b.succ {
		if s != none {
			live |= p.blocks[s].liveIn
		}
	}
	slots := p.slotsOf(b)
	for i := len(slots) - 1; i >= 0; i-- {
		slot := slots[i]
		p.live[slot] = live
		if p.isNeeded(slot) {
			live = live&^p.writes[slot] | p.reads[slot] | p.calleeReads(slot)
		}
	}
	return live
}

// slotsOf lists the instructions of a block.
func (p *program) slotsOf(b *block) []int {
	p.slots = p.slots[:0]
	for slot := b.start; slot < b.end; slot += p.insns[slot].Width() {
		p.slots = append(p.slots, slot)
	}
	return p.slots
}

// calleeReads is what a function that is called reads of its caller's registers.
func (p *program) calleeReads(slot int) uint16 {
	if !isLocalCall(p.insns[slot]) {
		return 0
	}
	target, _ := p.insns[slot].Target(slot)
	if b := p.blockAt(target); b != none {
		return p.blocks[b].liveIn & argRegs
	}
	return 0
}

// isNeeded reports whether an instruction does anything that matters.
func (p *program) isNeeded(slot int) bool {
	if p.keep {
		return true
	}
	ins := p.insns[slot]
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64, ebpf.ClassLDX:
		return p.live[slot]&bit(ins.Dst) != 0
	case ebpf.ClassLD:
		return ins.Op != ebpf.LoadImm64 || p.live[slot]&bit(ins.Dst) != 0
	}
	return true
}
