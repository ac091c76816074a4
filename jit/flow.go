package jit

import (
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// A program is what the compiler knows of one program: its instructions, and by
// slot what the analyses find out.
type program struct {
	proof *verifier.Proof
	insns []ebpf.Instruction
	typ   abi.ProgType
	start int // its first slot among those of all programs

	mainEnd int   // the slot at which the first function behind the program's own code starts
	slots   []int // of a block, a buffer
	keep    bool  // instructions whose results nothing reads
	blocks  []block
	blockOf []int32 // by slot; -1 inside of a block

	reads, writes []uint16 // registers that the machine code of an instruction reads and writes
	live          []uint16 // registers that are read after an instruction before they are written
}

// A block is a run of instructions that is entered at its start only.
type block struct {
	start, end int
	succ       [2]int32 // blocks, none for no more
	function   bool     // a function of the program, or the program, starts here
	enter      bool     // Go goes on here after an instruction that it has done
	weight     int64    // of a loop that starts here: instructions in a round; 0 for no loop
	in         known
	liveIn     uint16
}

const none = -1

// isControl reports whether a call changes which instruction comes next, so that
// the interpreter does it.
func isControl(ins ebpf.Instruction) bool {
	if ins.Op == ebpf.CallX {
		return true
	}
	return isHelperCall(ins) && (ins.Imm == abi.TailCall || ins.Imm == abi.Loop || ins.Imm == abi.ForEachMapElem)
}

func isHelperCall(ins ebpf.Instruction) bool {
	return ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallHelper
}

func isLocalCall(ins ebpf.Instruction) bool {
	return ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallLocal
}

func isExit(ins ebpf.Instruction) bool { return ins.Op == ebpf.ClassJMP|ebpf.Exit }

func isJump(ins ebpf.Instruction) bool {
	if c := ins.Op.Class(); c != ebpf.ClassJMP && c != ebpf.ClassJMP32 {
		return false
	}
	op := ins.Op.Operation()
	return op != ebpf.Call && op != ebpf.Exit
}

func isLegacy(ins ebpf.Instruction) bool {
	return ins.Op.Class() == ebpf.ClassLD && ins.Op != ebpf.LoadImm64
}

// findBlocks cuts what runs can reach of the program into blocks.
func (p *program) findBlocks() {
	leader := make([]uint8, len(p.insns)+1)
	const starts, function, enter = 1, 2, 4
	leader[0] |= starts | function
	for slot := 0; slot < len(p.insns); slot += p.insns[slot].Width() {
		ins := p.insns[slot]
		if !p.proof.Reached(slot) {
			leader[slot] |= starts
			continue
		}
		target, _ := ins.Target(slot)
		switch {
		case isLocalCall(ins), ins.Op == ebpf.LoadImm64 && ins.Src == ebpf.WideFunc:
			leader[target] |= starts | function
		case isControl(ins):
			leader[slot+1] |= starts | enter
		case isExit(ins):
			leader[slot+1] |= starts
		case isJump(ins):
			leader[target] |= starts
			leader[slot+1] |= starts
		}
	}
	p.blockOf = make([]int32, len(p.insns))
	for slot := range p.blockOf {
		p.blockOf[slot] = none
	}
	for slot := 0; slot < len(p.insns); slot += p.insns[slot].Width() {
		if leader[slot] != 0 && p.proof.Reached(slot) {
			p.blockOf[slot] = int32(len(p.blocks))
			p.blocks = append(p.blocks, block{start: slot, function: leader[slot]&function != 0, enter: leader[slot]&enter != 0})
		}
	}
	p.mainEnd = len(p.insns)
	for i := range p.blocks {
		b := &p.blocks[i]
		p.finishBlock(b, leader)
		if b.function && b.start > 0 {
			p.mainEnd = min(p.mainEnd, b.start)
		}
	}
	p.findLoops()
}

// finishBlock finds the end of a block and what comes behind it.
func (p *program) finishBlock(b *block, leader []uint8) {
	slot := b.start
	for next := slot + p.insns[slot].Width(); next < len(p.insns) && leader[next] == 0; next += p.insns[slot].Width() {
		slot = next
	}
	b.end = slot + p.insns[slot].Width()
	b.succ = [2]int32{none, none}
	ins := p.insns[slot]
	switch {
	case isExit(ins):
	case isJump(ins):
		jumps, falls := p.ways(slot)
		if falls {
			b.succ[0] = p.blockAt(slot + 1)
		}
		if jumps {
			target, _ := ins.Target(slot)
			b.succ[1] = p.blockAt(target)
		}
	default:
		b.succ[0] = p.blockAt(b.end)
	}
}

// blockAt returns the block that starts at a slot, none where no run comes.
func (p *program) blockAt(slot int) int32 {
	if slot >= len(p.blockOf) {
		return none
	}
	return p.blockOf[slot]
}

// ways reports whether a jump can jump, and whether it can fall through.
func (p *program) ways(slot int) (jumps, falls bool) {
	switch p.insns[slot].Op.Operation() {
	case ebpf.Ja:
		return true, false
	case ebpf.Jcond:
		return true, true
	}
	return p.proof.Branches(slot)
}

// findLoops finds where loops start: blocks that a later one, or they
// themselves, can jump back to.
func (p *program) findLoops() {
	for i := range p.blocks {
		for _, s := range p.blocks[i].succ {
			if s != none && int(s) <= i {
				head := &p.blocks[s]
				head.weight = max(head.weight, int64(p.blocks[i].end-head.start))
			}
		}
	}
}

// inMain reports whether an instruction belongs to the program itself, not to one
// of its functions, which stand behind it.
func (p *program) inMain(slot int) bool { return slot < p.mainEnd }

// hasLoops reports whether a run can come to an instruction twice.
func (p *program) hasLoops() bool {
	return slices.ContainsFunc(p.blocks, func(b block) bool { return b.weight > 0 })
}

// hasFunctions reports whether the program calls functions of its own.
func (p *program) hasFunctions() bool {
	return slices.ContainsFunc(p.blocks, func(b block) bool { return b.function && b.start != 0 })
}
