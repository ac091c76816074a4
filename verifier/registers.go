package verifier

import "github.com/bpflab/bpflab/ebpf"

// Sets of registers: bit r stands for register r.
const (
	argRegs    = 1<<ebpf.R1 | 1<<ebpf.R2 | 1<<ebpf.R3 | 1<<ebpf.R4 | 1<<ebpf.R5
	callerRegs = 1<<ebpf.R0 | argRegs // what a call leaves unusable, or its result
	alwaysLive = 1 << ebpf.R10
)

func bit(r ebpf.Register) uint16 { return 1 << r }

// argRegister returns the register of a helper's i-th argument, counted from 0.
func argRegister(i int) ebpf.Register { return ebpf.R1 + ebpf.Register(i) }

// registers returns the registers that an instruction reads and writes; of
// calls of the program's functions, not what those read.
func (p *Program) registers(ins ebpf.Instruction) (reads, writes uint16) {
	dst, src := bit(ins.Dst), bit(ins.Src)
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		op := ins.Op.Operation()
		if op != ebpf.Mov {
			reads = dst
		}
		if ins.Op.Source() == ebpf.SourceX && op != ebpf.Neg && op != ebpf.Endian {
			reads |= src
		}
		return reads, dst
	case ebpf.ClassLD:
		return legacyRegisters(ins)
	case ebpf.ClassLDX:
		return src, dst
	case ebpf.ClassST:
		return dst, 0
	case ebpf.ClassSTX:
		if ins.Op.Mode() == ebpf.ModeATOMIC {
			return atomicRegisters(ins)
		}
		return dst | src, 0
	}
	return p.jumpRegisters(ins)
}

func legacyRegisters(ins ebpf.Instruction) (reads, writes uint16) {
	switch ins.Op.Mode() {
	case ebpf.ModeABS:
		return bit(ebpf.R6), callerRegs
	case ebpf.ModeIND:
		return bit(ebpf.R6) | bit(ins.Src), callerRegs
	}
	return 0, bit(ins.Dst)
}

func atomicRegisters(ins ebpf.Instruction) (reads, writes uint16) {
	dst, src := bit(ins.Dst), bit(ins.Src)
	switch {
	case ins.Imm == ebpf.LoadAcquire:
		return src, dst
	case ins.Imm == ebpf.StoreRelease:
		return dst | src, 0
	case ins.Imm == ebpf.AtomicCmpXchg:
		return dst | src | bit(ebpf.R0), bit(ebpf.R0)
	case ins.Imm&ebpf.AtomicFetch != 0:
		return dst | src, src
	}
	return dst | src, 0
}

func (p *Program) jumpRegisters(ins ebpf.Instruction) (reads, writes uint16) {
	switch {
	case isExit(ins):
		return bit(ebpf.R0), 0
	case isLocalCall(ins):
		return 0, callerRegs
	case isCall(ins):
		return p.callReads(ins), callerRegs
	case isBranch(ins):
		reads = bit(ins.Dst)
		if ins.Op.Source() == ebpf.SourceX {
			reads |= bit(ins.Src)
		}
	}
	return reads, 0
}

// callReads returns the registers that a call reads which does not go to a
// function of the program: all arguments where there is no prototype.
func (p *Program) callReads(ins ebpf.Instruction) uint16 {
	if h := p.helperOf(ins); h != nil {
		return argRegs & (2<<len(h.Args) - 1)
	}
	if ins.Op == ebpf.CallX {
		return argRegs | bit(ins.Dst)
	}
	return argRegs
}
