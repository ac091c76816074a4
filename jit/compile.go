package jit

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

// A compiler makes machine code of the programs of a machine.
type compiler struct {
	tuning
	asm amd64.Assembler
	n   *vm.Native
	at  vm.Layout

	// lean code runs a program over many packets in one go (lean.go).
	lean  bool
	field struct{ data, dataEnd, meta, length uint64 } // offsets in the context

	programs []*program
	has      traits
	spare    []amd64.Reg // registers that no program uses
	length   place       // of the packet
	slice    place       // instructions until the code must leave

	// Of the program being compiled.
	p       *program
	current int            // the block
	k       known          // before the instruction being compiled
	fails   [2]amd64.Label // where a failed packet load goes, by whether it is in a function
	labels  []amd64.Label
	perCPU  bool     // the code takes values of the processor
	leaves  bool     // lean code leaves for calls
	later   []func() // code for rare cases, behind all else

	entries                map[int]amd64.Label // where Go enters, by slot counted through all programs
	starts                 map[int]amd64.Label // of functions, likewise
	leave                  amd64.Label         // code that returns to Go from a function that Go has called, where there are functions
	batch                  amd64.Label         // lean code
	next                   amd64.Label         // its start of a round
	bail                   amd64.Label         // where it ends in front of a packet that it cannot judge
	frames, verdicts, last place               // of the batch
	marks                  []mark
}

// Reasons for which code leaves ([vm.Exchange.Why]).
const (
	whyExit    = iota // the program has returned
	whyCall           // the helper call in Slot is to be made, then Resume
	whyStep           // the interpreter is to do Slot, then Resume or wherever it leads
	whyLoad           // the packet load in Slot is to be done, then Resume
	whySlice          // the slice is used up; Resume
	whyReturn         // a function has returned that Go has called
	whyNowhere        // an instruction was done behind which no run comes, by the proof
	whyBail           // lean code cannot judge the frame at Batch[0]
)

// A place is where the code keeps a number of its own: a register that is
// spare, or memory.
type place struct {
	reg amd64.Reg // amd64.NoReg if it is in memory
	mem amd64.Mem
}

func (p place) inRegister() bool { return p.reg != amd64.NoReg }

// reach is the end of the addresses that are in an instruction as the distance
// from the base, 32 bits with a sign. What a machine has of its own lies below,
// as it comes before the maps, but for that of machines that share them: see
// inReach.
const reach = 1 << 31

// inReach reports whether all that a machine has of its own lies there. Packets
// come last, and move behind the maps when a longer one comes than there was room
// for.
func inReach(l vm.Layout) bool { return uint64(l.Packet)+uint64(l.Room) <= reach }

// inArena is memory at an address below reach that is known when compiling.
func inArena(addr uint32) amd64.Mem { return amd64.At(baseReg, int32(addr)) }

func (c *compiler) exchange(offset uintptr) amd64.Mem {
	return inArena(c.at.Exchange + uint32(offset))
}

func newCompiler(n *vm.Native, t tuning) *compiler {
	memory := place{reg: amd64.NoReg}
	return &compiler{tuning: t, n: n, at: n.Layout(), length: memory, slice: memory}
}

// addPrograms takes the programs in, and finds out what there is to know.
func (c *compiler) addPrograms(proofs []*verifier.Proof) {
	for i, bounds := range c.n.Programs() {
		c.addProgram(proofs[i], bounds[0])
	}
	c.findTraits()
}

func (c *compiler) addProgram(proof *verifier.Proof, start int) *program {
	v := proof.Program()
	p := &program{proof: proof, insns: v.Insns, typ: v.Type, start: start, keep: !c.does(deadCode)}
	p.findBlocks()
	c.programs = append(c.programs, p)
	return p
}

func (c *compiler) analyse(p *program) {
	for i := range p.blocks {
		p.blocks[i].in, p.blocks[i].liveIn = known{}, 0
	}
	c.findValues(p)
	c.findLiveness(p)
}

// traits is what programs have, any one of them.
type traits struct {
	functions bool // of their own
	tailCalls bool
	loops     bool
	legacy    bool // packet loads
}

func (c *compiler) findTraits() {
	is := func(test func(ebpf.Instruction) bool) bool {
		return c.any(func(p *program) bool { return p.has(test) })
	}
	c.has = traits{
		functions: c.any((*program).hasFunctions),
		tailCalls: is(func(ins ebpf.Instruction) bool { return isHelperCall(ins) && ins.Imm == abi.TailCall }),
		loops:     c.any((*program).hasLoops),
		legacy:    is(isLegacy),
	}
}

// nested reports whether a program can run in the frame of a function, by a
// tail call.
func (c *compiler) nested() bool { return c.has.functions && c.has.tailCalls }

func (c *compiler) any(test func(*program) bool) bool {
	for _, p := range c.programs {
		if test(p) {
			return true
		}
	}
	return false
}

// has reports whether an instruction that runs can reach is such a one.
func (p *program) has(test func(ebpf.Instruction) bool) bool {
	for i := range p.blocks {
		for slot := p.blocks[i].start; slot < p.blocks[i].end; slot += p.insns[slot].Width() {
			if test(p.insns[slot]) {
				return true
			}
		}
	}
	return false
}

// choosePlaces gives what the code itself needs the registers that are left.
func (c *compiler) choosePlaces() {
	used := uint16(0)
	if c.has.functions {
		used = frameReg
	}
	for _, p := range c.programs {
		for i := range p.blocks {
			for slot := p.blocks[i].start; slot < p.blocks[i].end; slot += p.insns[slot].Width() {
				if p.isNeeded(slot) {
					used |= p.reads[slot] | p.writes[slot]
				}
			}
		}
	}
	for _, r := range []ebpf.Register{ebpf.R5, ebpf.R4, ebpf.R9, ebpf.R2, ebpf.R3, ebpf.R1, ebpf.R7, ebpf.R8, ebpf.R6, ebpf.R10} {
		if used&bit(r) == 0 {
			c.spare = append(c.spare, hostOf[r])
		}
	}
}
