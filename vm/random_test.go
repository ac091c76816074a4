package vm_test

import (
	"math/rand/v2"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A generator makes random programs that the kernel's verifier accepts, of
// type sched_cls. Such a program fills R0 to R9 and 64 bytes of stack with
// bytes of its packet, so that the verifier knows no value and must keep all
// instructions, does random things to them, and ends by writing the stack to
// the packet and returning a mixture of the registers.
type generator struct {
	*rand.Rand
	prog   []ebpf.Instruction
	wanted []genCall // see uncertain
}

// Stack of a generated program, as offsets from R10.
const (
	genBytes   = 64       // the part that random instructions use is [-64, 0)
	genLoaded  = -64 - 80 // registers are filled from here
	genResult  = genLoaded
	genContext = genLoaded - 8
)

// genPacket is the least that a packet must have: the program reads bytes 14
// to 158, and writes the first 64 of them.
const genPacket = 14 + 80 + 64

func (g *generator) emit(ins ...ebpf.Instruction) { g.prog = append(g.prog, ins...) }

func (g *generator) program(n int) []ebpf.Instruction {
	g.prog = nil
	g.emit(
		ebpf.Store(ebpf.SizeDW, ebpf.R10, genContext, ebpf.R1),
		ebpf.Mov64Imm(ebpf.R2, 14),
		ebpf.Mov64(ebpf.R3, ebpf.R10),
		ebpf.ALU64Imm(ebpf.Add, ebpf.R3, genLoaded),
		ebpf.Mov64Imm(ebpf.R4, 80+genBytes),
		ebpf.CallTo(abi.SKBLoadBytes),
	)
	for r := ebpf.R0; r <= ebpf.R9; r++ {
		g.emit(ebpf.Load(ebpf.SizeDW, r, ebpf.R10, int16(genLoaded+8*int(r))))
	}
	g.body(n)
	g.epilogue()
	return g.prog
}

// body emits n instructions, whose jumps go no further than behind the last.
func (g *generator) body(n int) {
	jumps := 0
	for left := n; left > 0; left-- {
		switch k := g.IntN(20); {
		case k < 11:
			g.emit(g.arithmetic())
		case k < 14 && jumps < 8:
			jumps++
			g.jump(left)
		case k < 18:
			g.emit(g.memory())
		default:
			g.emitAtomic()
		}
	}
}

func (g *generator) epilogue() {
	for r := ebpf.R1; r <= ebpf.R9; r++ {
		g.emit(ebpf.ALU64Imm(ebpf.Mul, ebpf.R0, 0x01000193), ebpf.ALU64(ebpf.Xor, ebpf.R0, r))
	}
	g.emit(
		ebpf.Mov64(ebpf.R1, ebpf.R0),
		ebpf.ALU64Imm(ebpf.Rsh, ebpf.R1, 32),
		ebpf.ALU64(ebpf.Xor, ebpf.R0, ebpf.R1),
		ebpf.Store(ebpf.SizeDW, ebpf.R10, genResult, ebpf.R0),
		ebpf.Load(ebpf.SizeDW, ebpf.R1, ebpf.R10, genContext),
		ebpf.Mov64Imm(ebpf.R2, 14),
		ebpf.Mov64(ebpf.R3, ebpf.R10),
		ebpf.ALU64Imm(ebpf.Add, ebpf.R3, -genBytes),
		ebpf.Mov64Imm(ebpf.R4, genBytes),
		ebpf.Mov64Imm(ebpf.R5, 0),
		ebpf.CallTo(abi.SKBStoreBytes),
		ebpf.Load(ebpf.SizeDW, ebpf.R0, ebpf.R10, genResult),
		ebpf.Return(),
	)
}

func (g *generator) register() ebpf.Register { return ebpf.Register(g.IntN(10)) }

// immediate favours the values at which something changes.
func (g *generator) immediate() int32 {
	if g.IntN(2) == 0 {
		return int32(g.Uint32())
	}
	special := []int32{0, 1, -1, 2, 31, 32, 63, 64, 127, -128, 255, 256, 0x7fff, -0x8000, 0xffff, 0x7fffffff, -0x80000000}
	return special[g.IntN(len(special))]
}

// pick returns one of the values.
func pick[T any](g *generator, values ...T) T { return values[g.IntN(len(values))] }

func (g *generator) arithmetic() ebpf.Instruction {
	class := pick(g, ebpf.ClassALU, ebpf.ClassALU64)
	operation := pick(g, ebpf.Add, ebpf.Sub, ebpf.Mul, ebpf.Div, ebpf.Or, ebpf.And, ebpf.Lsh,
		ebpf.Rsh, ebpf.Neg, ebpf.Mod, ebpf.Xor, ebpf.Mov, ebpf.Arsh, ebpf.Endian)
	ins := ebpf.Instruction{Op: class | operation, Dst: g.register()}
	switch operation {
	case ebpf.Neg:
		return ins
	case ebpf.Endian:
		ins.Imm = pick[int32](g, 16, 32, 64)
		if class == ebpf.ClassALU {
			ins.Op |= pick(g, ebpf.SourceK, ebpf.SourceX)
		}
		return ins
	case ebpf.Div, ebpf.Mod:
		ins.Off = int16(g.IntN(2))
	}
	if g.IntN(2) == 0 {
		ins.Op |= ebpf.SourceX
		ins.Src = g.register()
		if operation == ebpf.Mov {
			ins.Off = pick[int16](g, 0, 8, 16, 32)
			if class == ebpf.ClassALU {
				ins.Off &= 24
			}
		}
		return ins
	}
	ins.Imm = g.immediate()
	switch operation {
	case ebpf.Lsh, ebpf.Rsh, ebpf.Arsh: // the verifier refuses counts beyond the width
		ins.Imm = int32(g.IntN(32))
		if class == ebpf.ClassALU64 {
			ins.Imm = int32(g.IntN(64))
		}
	case ebpf.Div, ebpf.Mod: // and division by a constant 0
		if ins.Imm == 0 {
			ins.Imm = 7
		}
	}
	return ins
}

// jump emits a branch, or a branch over an unconditional jump: the verifier
// wants all instructions to be reachable.
func (g *generator) jump(left int) {
	class, distance := pick(g, ebpf.ClassJMP, ebpf.ClassJMP32), g.IntN(min(left, 6))
	operation := pick(g, ebpf.Jeq, ebpf.Jgt, ebpf.Jge, ebpf.Jset, ebpf.Jne, ebpf.Jsgt,
		ebpf.Jsge, ebpf.Jlt, ebpf.Jle, ebpf.Jslt, ebpf.Jsle)
	ins := ebpf.Instruction{Op: class | operation, Dst: g.register(), Off: int16(distance)}
	if g.IntN(2) == 0 {
		ins.Op |= ebpf.SourceX
		ins.Src = g.register()
	} else {
		ins.Imm = g.immediate()
	}
	if g.IntN(6) != 0 {
		g.emit(ins)
		return
	}
	ins.Off = 1
	long := ebpf.Instruction{Op: ebpf.ClassJMP | ebpf.Ja, Off: int16(distance)}
	if g.IntN(2) == 0 {
		long = ebpf.Instruction{Op: ebpf.ClassJMP32 | ebpf.Ja, Imm: int32(distance)}
	}
	g.emit(ins, long)
}

// slot returns an aligned offset of n bytes of stack.
func (g *generator) slot(n int) int16 { return int16(-n * (1 + g.IntN(genBytes/n))) }

func (g *generator) memory() ebpf.Instruction {
	size := pick(g, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW)
	off := g.slot(ebpf.Opcode(size).Bytes())
	switch g.IntN(4) {
	case 0:
		return ebpf.Store(size, ebpf.R10, off, g.register())
	case 1:
		return ebpf.StoreImm(size, ebpf.R10, off, g.immediate())
	case 2:
		if size != ebpf.SizeDW {
			return ebpf.Instruction{Op: ebpf.ClassLDX | ebpf.ModeMEMSX | size, Dst: g.register(), Src: ebpf.R10, Off: off}
		}
	}
	return ebpf.Load(size, g.register(), ebpf.R10, off)
}

func (g *generator) atomic() ebpf.Instruction {
	size := pick(g, ebpf.SizeW, ebpf.SizeDW)
	ins := ebpf.Instruction{
		Op: ebpf.ClassSTX | ebpf.ModeATOMIC | size, Dst: ebpf.R10, Src: g.register(), Off: g.slot(size.Bytes()),
		Imm: pick(g, ebpf.AtomicAdd, ebpf.AtomicOr, ebpf.AtomicAnd, ebpf.AtomicXor, ebpf.AtomicXchg, ebpf.AtomicCmpXchg),
	}
	if ins.Imm&ebpf.AtomicFetch == 0 && g.IntN(2) == 0 {
		ins.Imm |= ebpf.AtomicFetch
	}
	return ins
}

// emitAtomic emits an atomic operation. A 32-bit compare-and-exchange clears the
// upper half of R0 (RFC 9669 §5.3); x86 does not if it succeeds, and the
// kernel's verifier, which adds an instruction for that, forgets it (in 6.18)
// where it has seen the code behind already on another path. So programs say it
// themselves.
func (g *generator) emitAtomic() {
	ins := g.atomic()
	g.emit(ins)
	if ins.Op.Size() == ebpf.SizeW && ins.Imm == ebpf.AtomicCmpXchg {
		g.emit(ebpf.Mov32(ebpf.R0, ebpf.R0))
	}
}
