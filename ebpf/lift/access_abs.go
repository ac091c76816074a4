package lift

import (
	"math"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
)

// absAccess reads the packet with the loads that eBPF inherits from classic
// BPF. They swap bytes, know the areas at negative offsets, and end the
// program with 0 if the bytes are not there: all that a classic program wants,
// as long as 0 is what the hook takes for no match.
//
// Where it is not (in tc 0 is TC_ACT_OK), the length is compared before each
// load, as few times as the needs allow. An address of 2^31 or more then does
// not match, since the test cannot tell where it would end up.
type absAccess struct {
	*translator
	checked bool
	facts   lengthFacts
	flow    flow[lengthFacts]
}

// lengthFacts is what the comparisons made so far have shown: the packet has
// at least fixed bytes, and X+viaX bytes.
type lengthFacts struct{ fixed, viaX int64 }

func (f lengthFacts) Meet(o lengthFacts) lengthFacts {
	return lengthFacts{min(f.fixed, o.fixed), min(f.viaX, o.viaX)}
}

// The register for the length, which needs no data pointer beside it.
func (a *absAccess) length() ebpf.Register { return a.regs.end }

func (a *absAccess) prologue() {
	if a.checked {
		a.emit(ebpf.Load(ebpf.SizeW, a.length(), a.regs.ctx, a.offset("len")))
	}
}

func (a *absAccess) fixed(in *insn, dst ebpf.Register) {
	k := in.k
	switch {
	case in.area == fromNetwork:
		k += cbpf.NetOff
	case in.area == fromLink:
		k += cbpf.LLOff
	case a.checked:
		a.check(in)
	}
	a.emit(ebpf.LoadAbs(sizeOf(in.loadSize()), int32(k)))
	if dst != rA && !in.dead {
		a.emit(ebpf.Mov32(dst, rA))
	}
}

// check compares the length with what a load at a constant needs.
func (a *absAccess) check(in *insn) {
	if int64(in.k)+int64(in.loadSize()) > a.facts.fixed {
		a.facts.fixed = in.needs.fixed
		a.jump(ebpf.JumpIf32Imm(ebpf.Jlt, a.length(), int32(a.facts.fixed), 0), a.noMatch)
	}
}

func (a *absAccess) indirect(in *insn) {
	if a.checked {
		a.checkIndirect(in)
	}
	a.emit(ebpf.LoadInd(sizeOf(in.size), a.regs.x, int32(in.k)))
}

func (a *absAccess) checkIndirect(in *insn) {
	end := int64(in.k) + int64(in.size)
	if int64(in.xmax)+end > math.MaxInt32 {
		a.checkWrapping(in)
		return
	}
	if end <= a.facts.viaX {
		return
	}
	a.facts.viaX = max(end, in.needs.viaX)
	a.emit(ebpf.Mov64(ebpf.R1, a.regs.x), ebpf.ALU64Imm(ebpf.Add, ebpf.R1, int32(a.facts.viaX)))
	a.jump(ebpf.JumpIf(ebpf.Jgt, ebpf.R1, a.length(), 0), a.noMatch)
}

// checkWrapping computes the address as the classic machine does, on 32 bits.
func (a *absAccess) checkWrapping(in *insn) {
	a.emit(ebpf.Mov32(ebpf.R1, a.regs.x), ebpf.ALU32Imm(ebpf.Add, ebpf.R1, int32(in.k)))
	a.jump(ebpf.JumpIf32Imm(ebpf.Jslt, ebpf.R1, 0, 0), a.noMatch)
	a.emit(ebpf.ALU64Imm(ebpf.Add, ebpf.R1, int32(in.size)))
	a.jump(ebpf.JumpIf(ebpf.Jgt, ebpf.R1, a.length(), 0), a.noMatch)
}

func (a *absAccess) wroteX() { a.facts.viaX = 0 }

func (a *absAccess) called() {}

func (a *absAccess) enter(b *block) { a.facts = a.flow.enter(b) }

func (a *absAccess) leave(b *block) { a.flow.leave(b, a.facts) }
