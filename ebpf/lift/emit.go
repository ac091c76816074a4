package lift

import (
	"math"

	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
)

// An emitter collects slots, where each came from, and the jumps whose
// distance is not known yet.
type emitter struct {
	code  []ebpf.Instruction
	table origin.Table
	from  origin.Set // of the slots to come
	jumps []jump
}

// A jump is a slot that jumps to the start of a block.
type jump struct {
	slot int
	to   *block
}

func (e *emitter) emit(insns ...ebpf.Instruction) {
	for _, in := range insns {
		e.code = append(e.code, in)
		e.table = append(e.table, e.from)
	}
}

// jump emits a jump instruction, its offset to be filled in.
func (e *emitter) jump(in ebpf.Instruction, to *block) {
	e.jumps = append(e.jumps, jump{len(e.code), to})
	e.emit(in)
}

// resolve fills in the offsets of all jumps. A 16-bit offset reaches 32767
// slots, which only programs of thousands of classic instructions exceed. A
// jump without condition then becomes "gotol" with its 32-bit offset, which
// Linux knows since 6.6, and one with a condition
//
//	if … goto +1
//	goto +1
//	gotol target
//
// Making room can push others out of reach, so it is tried until all fit.
func (e *emitter) resolve(blocks []*block) {
	for e.widen(blocks) {
	}
	for _, j := range e.jumps {
		in := &e.code[j.slot]
		distance := j.to.pos - j.slot - 1
		if in.Op == ebpf.ClassJMP32|ebpf.Ja {
			in.Imm = int32(distance)
		} else {
			in.Off = int16(distance)
		}
	}
}

// widen gives every jump that is out of reach its long form, and reports
// whether there were any.
func (e *emitter) widen(blocks []*block) bool {
	old := *e
	far := make(map[int]bool)
	for _, j := range old.jumps {
		if long := e.code[j.slot].Op == ebpf.ClassJMP32|ebpf.Ja; !long && j.to.pos-j.slot-1 > math.MaxInt16 {
			far[j.slot] = true
		}
	}
	if len(far) == 0 {
		return false
	}
	moved := make([]int, len(old.code)+1)
	e.code, e.table, e.jumps = nil, nil, nil
	for slot, in := range old.code {
		moved[slot] = len(e.code)
		e.from = old.table[slot]
		if far[slot] && in.Op != ebpf.ClassJMP|ebpf.Ja {
			in.Off = 1
			e.emit(in, ebpf.Jump(1))
		}
		if far[slot] {
			in = ebpf.Instruction{Op: ebpf.ClassJMP32 | ebpf.Ja}
		}
		e.emit(in)
	}
	for _, j := range old.jumps {
		at := moved[j.slot]
		if far[j.slot] && old.code[j.slot].Op != ebpf.ClassJMP|ebpf.Ja {
			at += 2
		}
		e.jumps = append(e.jumps, jump{at, j.to})
	}
	for _, b := range blocks {
		b.pos = moved[b.pos]
	}
	return true
}
