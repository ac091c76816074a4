package vm_test

import (
	"math/rand/v2"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// Programs for the verifier: what a generator makes of numbers that nobody
// knows, used as offsets after checks that may suffice or not.

// The maps of such programs.
const (
	genArray = iota // of one value
	genHash
	genCounts // per CPU
)

// genValue is the size of the values of all maps.
const genValue = 64

var genMaps = []abi.MapSpec{
	genArray:  {Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: genValue, MaxEntries: 1},
	genHash:   {Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: genValue, MaxEntries: 8},
	genCounts: {Name: "counts", Kind: abi.PerCPUArray, KeySize: 4, ValueSize: genValue, MaxEntries: 4},
}

// uncertain writes a program that uses random numbers as offsets. The registers
// that hold pointers are R6 for the packet, R7 for its end, and R8 for a value
// of a map; the numbers are in the others.
func uncertain(rnd *rand.Rand) *verifier.Program {
	g := &generator{Rand: rnd}
	g.emit(
		ebpf.Store(ebpf.SizeDW, ebpf.R10, genContext, ebpf.R1),
		ebpf.Load(ebpf.SizeW, ebpf.R6, ebpf.R1, 76),
		ebpf.Load(ebpf.SizeW, ebpf.R7, ebpf.R1, 80),
		ebpf.StoreImm(ebpf.SizeW, ebpf.R10, -4, g.Int32N(4)),
		ebpf.Mov64(ebpf.R2, ebpf.R10), ebpf.ALU64Imm(ebpf.Add, ebpf.R2, -4),
	)
	g.loadMap(ebpf.R1, g.IntN(len(genMaps)))
	g.emit(ebpf.CallTo(abi.MapLookupElem), ebpf.JumpIfImm(ebpf.Jne, ebpf.R0, 0, 2))
	g.loadValue(ebpf.R0)
	g.emit(ebpf.Mov64(ebpf.R8, ebpf.R0))
	g.numbers()
	for range 1 + g.IntN(4) {
		g.uncertainPart()
	}
	if g.IntN(2) == 0 {
		g.showAll()
	}
	g.emit(ebpf.Mov64(ebpf.R0, g.number()), ebpf.Return())
	g.functions()
	return &verifier.Program{Type: abi.SchedCLS, Insns: g.prog, Maps: genMaps}
}

// showAll folds all numbers and the stack into each number register.
func (g *generator) showAll() {
	for off := int16(-genBytes); off < 0; off += 8 {
		g.emit(ebpf.Load(ebpf.SizeDW, ebpf.R8, ebpf.R10, off), ebpf.ALU64Imm(ebpf.Mul, ebpf.R0, 0x01000193), ebpf.ALU64(ebpf.Xor, ebpf.R0, ebpf.R8))
	}
	all := []ebpf.Register{ebpf.R1, ebpf.R2, ebpf.R3, ebpf.R4, ebpf.R5, ebpf.R9}
	for _, r := range all {
		g.emit(ebpf.ALU64Imm(ebpf.Mul, ebpf.R0, 0x01000193), ebpf.ALU64(ebpf.Xor, ebpf.R0, r))
	}
	for _, r := range all {
		g.emit(ebpf.Mov64(r, ebpf.R0))
	}
}

func (g *generator) loadMap(r ebpf.Register, m int) {
	wide := ebpf.LoadImm(r, uint64(m))
	wide[0].Src = ebpf.WideMapFD
	g.emit(wide[:]...)
}

func (g *generator) loadValue(r ebpf.Register) {
	wide := ebpf.LoadImm(r, genArray)
	wide[0].Src = ebpf.WideMapValue
	g.emit(wide[:]...)
}

// number returns a register that holds a number.
func (g *generator) number() ebpf.Register {
	return pick(g, ebpf.R0, ebpf.R1, ebpf.R2, ebpf.R3, ebpf.R4, ebpf.R5, ebpf.R9)
}

// numbers fills the number registers and the stack: from the value, the
// context, and with constants.
func (g *generator) numbers() {
	g.emit(ebpf.Load(ebpf.SizeDW, ebpf.R1, ebpf.R10, genContext))
	for _, r := range []ebpf.Register{ebpf.R0, ebpf.R2, ebpf.R3, ebpf.R4, ebpf.R5, ebpf.R9, ebpf.R1} {
		size := pick(g, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW, ebpf.SizeDW)
		off := int16(g.IntN(genValue/8) * 8)
		switch g.IntN(6) {
		case 0:
			g.emit(ebpf.Mov64Imm(r, g.immediate()))
		case 1:
			g.emit(ebpf.Load(ebpf.SizeW, r, ebpf.R1, pick[int16](g, 0, 8, 48, 68)))
		case 2:
			ins := ebpf.Load(size, r, ebpf.R8, off)
			if size != ebpf.SizeDW {
				ins.Op = ebpf.ClassLDX | ebpf.ModeMEMSX | size
			}
			g.emit(ins)
		default:
			g.emit(ebpf.Load(size, r, ebpf.R8, off))
		}
	}
	for off := int16(-genBytes); off < 0; off += 8 {
		if g.IntN(3) > 0 {
			g.emit(ebpf.Store(ebpf.SizeDW, ebpf.R10, off, g.number()))
		} else {
			g.emit(ebpf.StoreImm(ebpf.SizeDW, ebpf.R10, off, pick(g, 0, 0, g.immediate())))
		}
	}
}

func (g *generator) IntN32() int32 { return pick(g, 0, 0, g.immediate()) }

// uncertainPart writes something to numbers, or a use of one.
func (g *generator) uncertainPart() {
	switch g.IntN(8) {
	case 0:
		g.countedLoop()
	case 1:
		g.callSomething()
	default:
		g.mess(g.IntN(6))
	}
	if g.IntN(3) > 0 {
		g.use()
	}
}

// mess writes n statements that move numbers around. What they skip is only
// themselves.
func (g *generator) mess(n int) {
	for left := n; left > 0; left-- {
		switch g.IntN(10) {
		case 0, 1, 2, 3:
			ins := g.arithmetic()
			ins.Dst = g.number()
			if ins.Op.Source() == ebpf.SourceX && ins.Op.Operation() != ebpf.Endian && ins.Op.Operation() != ebpf.Neg {
				ins.Src = g.number()
			} else {
				ins.Src = 0
			}
			g.emit(ins)
		case 4, 5:
			g.compare(int16(min(1, left-1)))
		case 6:
			g.emit(ebpf.Mov64(g.number(), g.number()))
		case 7:
			ins := g.atomic()
			ins.Src = g.number()
			g.emit(ins)
		default:
			ins := g.memory()
			switch ins.Op.Class() {
			case ebpf.ClassLDX:
				ins.Dst = g.number()
			case ebpf.ClassSTX:
				ins.Src = g.number()
			}
			g.emit(ins)
		}
	}
}

// compare writes a conditional jump over the next instruction, or to it.
func (g *generator) compare(over int16) {
	class := pick(g, ebpf.ClassJMP, ebpf.ClassJMP32)
	operation := pick(g, ebpf.Jeq, ebpf.Jgt, ebpf.Jge, ebpf.Jset, ebpf.Jne, ebpf.Jsgt,
		ebpf.Jsge, ebpf.Jlt, ebpf.Jle, ebpf.Jslt, ebpf.Jsle)
	ins := ebpf.Instruction{Op: class | operation, Dst: g.number(), Off: over}
	if g.IntN(2) == 0 {
		ins.Op |= ebpf.SourceX
		ins.Src = g.number()
	} else {
		ins.Imm = pick(g, g.immediate(), g.Int32N(80), -g.Int32N(80))
	}
	g.emit(ins)
}

// use checks a number in one of many ways, of which not all are good, and uses
// it, or a copy of it, as an offset.
func (g *generator) use() {
	r := g.number()
	copied := r
	if g.IntN(3) == 0 {
		copied = g.number()
		g.emit(pick(g, ebpf.Mov64(copied, r), ebpf.Mov64(copied, r), ebpf.Mov32(copied, r)))
		if g.IntN(2) == 0 {
			g.emit(ebpf.ALU64Imm(pick(g, ebpf.Add, ebpf.Sub), copied, g.Int32N(9)))
		}
	}
	spilled := g.IntN(4) == 0
	slot := g.slot(8)
	if spilled {
		g.emit(ebpf.Store(pick(g, ebpf.SizeDW, ebpf.SizeDW, ebpf.SizeW), ebpf.R10, slot, r))
	}
	skip := g.check(r)
	if spilled {
		g.emit(ebpf.Load(pick(g, ebpf.SizeDW, ebpf.SizeDW, ebpf.SizeW), copied, ebpf.R10, slot))
	}
	switch g.IntN(8) {
	case 0:
		g.emit(ebpf.ALU64Imm(ebpf.Add, copied, g.Int32N(17)-8))
	case 1:
		g.emit(ebpf.ALU64Imm(pick(g, ebpf.Lsh, ebpf.Rsh), copied, g.Int32N(3)))
	case 2:
		g.emit(ebpf.ALU32Imm(pick(g, ebpf.Add, ebpf.Sub, ebpf.Xor, ebpf.Or, ebpf.Mul), copied, g.Int32N(5)))
	}
	g.touch(copied)
	for _, at := range skip {
		g.prog[at].Off = int16(len(g.prog) - at - 1)
	}
}

// check bounds a number and returns the jumps that go around its use.
func (g *generator) check(r ebpf.Register) (skip []int) {
	bound := pick(g, 0, 1, 3, 7, 8, 15, 16, 31, 32, 55, 63)
	jump := func(op ebpf.Opcode, imm int32) {
		skip = append(skip, len(g.prog))
		g.emit(pick(g, ebpf.JumpIfImm, ebpf.JumpIfImm, ebpf.JumpIf32Imm)(op, r, imm, 0))
	}
	switch g.IntN(9) {
	case 0:
		g.emit(pick(g, ebpf.ALU64Imm, ebpf.ALU32Imm)(ebpf.And, r, int32(bound)))
	case 1:
		g.emit(pick(g, ebpf.ALU64Imm(ebpf.Rsh, r, 60), ebpf.ALU32Imm(ebpf.Rsh, r, 27), ebpf.ALU64Imm(ebpf.Arsh, r, 60)))
		jump(ebpf.Jsgt, int32(bound))
	case 2:
		ins := pick(g, ebpf.ALU64Imm, ebpf.ALU32Imm)(ebpf.Mod, r, int32(bound+1))
		ins.Off = int16(g.IntN(2))
		g.emit(ins)
		if ins.Off == 1 {
			jump(ebpf.Jslt, 0)
		}
	case 3, 4:
		jump(ebpf.Jgt, int32(bound))
	case 5:
		jump(ebpf.Jsgt, int32(bound))
		jump(ebpf.Jslt, g.Int32N(3)-1)
	case 6:
		jump(ebpf.Jset, ^int32(bound))
	case 7:
		jump(ebpf.Jne, int32(bound))
	case 8: // with another number that is bounded
		other := g.number()
		g.emit(ebpf.Mov64Imm(other, int32(bound)))
		skip = append(skip, len(g.prog))
		g.emit(pick(g, ebpf.JumpIf(ebpf.Jgt, r, other, 0), ebpf.JumpIf(ebpf.Jge, r, other, 0), ebpf.JumpIf(ebpf.Jlt, other, r, 0)))
	}
	return skip
}

// touch loads or stores at an offset that a number says.
func (g *generator) touch(r ebpf.Register) {
	p := pick(g, ebpf.R0, ebpf.R1, ebpf.R2, ebpf.R3)
	if p == r {
		p = ebpf.R9
		if r == ebpf.R9 {
			p = ebpf.R4
		}
	}
	size := pick(g, ebpf.SizeB, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW)
	off := int16(0)
	switch g.IntN(4) {
	case 0: // on the stack
		if n := size.Bytes(); n > 1 {
			g.emit(ebpf.ALU64Imm(ebpf.And, r, int32(-n)))
		}
		g.emit(ebpf.Mov64(p, ebpf.R10), ebpf.ALU64(ebpf.Add, p, r))
		off = pick[int16](g, -64, -64, -72, -128)
	case 1: // in the packet
		end := pick[int32](g, 1, 4, 8, 70)
		g.emit(ebpf.Mov64(p, ebpf.R6), ebpf.ALU64(ebpf.Add, p, r), ebpf.Mov64(ebpf.R5, p), ebpf.ALU64Imm(ebpf.Add, ebpf.R5, end),
			ebpf.JumpIf(pick(g, ebpf.Jgt, ebpf.Jgt, ebpf.Jge), ebpf.R5, ebpf.R7, 2), ebpf.Mov64Imm(ebpf.R5, 1), g.accessAt(size, p, 0), ebpf.Mov64Imm(ebpf.R5, 0))
		g.forget(p)
		return
	case 2:
		g.emit(ebpf.Mov64(p, r), ebpf.ALU64(ebpf.Add, p, ebpf.R8))
	default:
		g.emit(ebpf.Mov64(p, ebpf.R8), ebpf.ALU64(ebpf.Add, p, r))
		off = int16(g.IntN(4))
	}
	g.emit(g.accessAt(size, p, off))
	g.forget(p)
}

// accessAt is a load or store, which may overwrite the pointer.
func (g *generator) accessAt(size ebpf.Opcode, p ebpf.Register, off int16) ebpf.Instruction {
	switch g.IntN(4) {
	case 0:
		return ebpf.StoreImm(size, p, off, g.immediate())
	case 1:
		return ebpf.Store(size, p, off, ebpf.R4)
	}
	return ebpf.Load(size, ebpf.R4, p, off)
}

// forget makes a register a number again.
func (g *generator) forget(p ebpf.Register) {
	g.emit(pick(g, ebpf.Mov64(p, ebpf.R4), ebpf.Mov64Imm(p, g.immediate())))
}

// countedLoop writes a loop, with its counter in R9.
func (g *generator) countedLoop() {
	rounds, step := 1+g.Int32N(12), 1+g.Int32N(3)
	g.emit(ebpf.Mov64Imm(ebpf.R9, 0))
	start := len(g.prog)
	if g.IntN(2) == 0 {
		g.emit(ebpf.Mov64(ebpf.R1, ebpf.R8), ebpf.ALU64(ebpf.Add, ebpf.R1, ebpf.R9), g.accessAt(ebpf.SizeB, ebpf.R1, 0))
		g.forget(ebpf.R1)
	} else {
		for range 1 + g.IntN(3) {
			ins := g.arithmetic()
			ins.Dst = ebpf.Register(g.IntN(5))
			if ins.Src > 5 {
				ins.Src = ebpf.R9
			}
			g.emit(ins)
		}
	}
	g.emit(ebpf.ALU64Imm(ebpf.Add, ebpf.R9, step))
	g.emit(pick(g, ebpf.JumpIfImm, ebpf.JumpIf32Imm)(pick(g, ebpf.Jlt, ebpf.Jle, ebpf.Jslt), ebpf.R9, rounds, int16(start-len(g.prog)-1)))
}

// Calls of functions that are written behind the program.
type genCall struct {
	at       int  // slot to be filled in
	callback bool // an address for bpf_loop
}

// callSomething calls a function, or bpf_loop with one.
func (g *generator) callSomething() {
	if g.IntN(2) == 0 {
		g.emit(ebpf.Mov64(ebpf.R1, ebpf.R8), ebpf.Mov64(ebpf.R2, g.number()))
		g.wanted = append(g.wanted, genCall{at: len(g.prog)})
		g.emit(ebpf.Instruction{Op: ebpf.ClassJMP | ebpf.Call, Src: ebpf.CallLocal})
	} else {
		g.emit(pick(g, ebpf.Mov64Imm(ebpf.R1, g.Int32N(20)), ebpf.Mov64(ebpf.R1, ebpf.R9)), ebpf.ALU64Imm(ebpf.And, ebpf.R1, 31))
		g.wanted = append(g.wanted, genCall{len(g.prog), true})
		fn := ebpf.LoadImm(ebpf.R2, 0)
		fn[0].Src = ebpf.WideFunc
		g.emit(fn[:]...)
		g.emit(ebpf.Mov64(ebpf.R3, ebpf.R10), ebpf.ALU64Imm(ebpf.Add, ebpf.R3, -int32(8*g.IntN(8)+8)), ebpf.Mov64Imm(ebpf.R4, 0), ebpf.CallTo(abi.Loop))
	}
	for r := ebpf.R1; r <= ebpf.R5; r++ {
		g.emit(pick(g, ebpf.Mov64(r, ebpf.R0), ebpf.Mov64Imm(r, g.immediate()), ebpf.Load(ebpf.SizeDW, r, ebpf.R10, g.slot(8))))
	}
}

// functions writes what was called.
func (g *generator) functions() {
	for _, c := range g.wanted {
		g.prog[c.at].Imm = int32(len(g.prog) - c.at - 1)
		if c.callback {
			g.callbackBody()
			continue
		}
		g.emit(ebpf.Mov64(ebpf.R8, ebpf.R1), ebpf.Mov64(ebpf.R9, ebpf.R2))
		for r := ebpf.R0; r <= ebpf.R5; r++ {
			g.emit(ebpf.Load(ebpf.SizeDW, r, ebpf.R8, int16(8*g.IntN(8))))
		}
		for off := int16(-genBytes); off < 0; off += 8 {
			g.emit(ebpf.Store(ebpf.SizeDW, ebpf.R10, off, g.number()))
		}
		g.mess(g.IntN(5))
		g.emit(ebpf.Mov64(ebpf.R0, g.number()))
		g.check(ebpf.R0)
		g.emit(ebpf.Return())
	}
	g.wanted = nil
}

// callbackBody changes what its pointer, to a slot of the stack, points to.
func (g *generator) callbackBody() {
	g.emit(ebpf.Load(ebpf.SizeDW, ebpf.R0, ebpf.R2, 0))
	g.emit(pick(g,
		ebpf.ALU64(ebpf.Add, ebpf.R0, ebpf.R1), ebpf.ALU64Imm(ebpf.Add, ebpf.R0, 1), ebpf.Mov64(ebpf.R0, ebpf.R1),
		ebpf.ALU64Imm(ebpf.And, ebpf.R0, 31), ebpf.ALU64Imm(ebpf.Lsh, ebpf.R0, 1)))
	g.emit(ebpf.Store(ebpf.SizeDW, ebpf.R2, 0, ebpf.R0), ebpf.Mov64Imm(ebpf.R0, 0))
	if g.IntN(2) == 0 {
		g.emit(ebpf.JumpIfImm(ebpf.Jne, ebpf.R1, g.Int32N(8), 1), ebpf.Mov64Imm(ebpf.R0, 1))
	}
	g.emit(ebpf.Return())
}
