package verifier_test

import (
	"math/rand/v2"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/verifier"
)

// mutate returns a program that differs from another in one to three places.
func mutate(rnd *rand.Rand, p *verifier.Program) *verifier.Program {
	c := *p
	c.Insns = slices.Clone(p.Insns)
	for range 1 + rnd.IntN(3) {
		mutations[rnd.IntN(len(mutations))](rnd, &c)
	}
	return &c
}

var mutations = []func(*rand.Rand, *verifier.Program){
	changeImmediate, changeImmediate, changeImmediate, changeOffset, changeOffset, changeRegister, changeRegister,
	changeOperation, changeOperation, changeWidth, changeWidth, dropInstruction, dropInstruction, insert, insert, moveInstruction,
}

// any returns the slot of an instruction.
func anySlot(rnd *rand.Rand, p *verifier.Program) int {
	for {
		if i := rnd.IntN(len(p.Insns)); p.Insns[i].Op != 0 || i == 0 {
			return i
		}
	}
}

func changeImmediate(rnd *rand.Rand, p *verifier.Program) {
	ins := &p.Insns[anySlot(rnd, p)]
	if ins.Op == ebpf.LoadImm64 && ins.Src != 0 || ins.Op == ebpf.ClassJMP|ebpf.Call {
		return
	}
	switch rnd.IntN(3) {
	case 0:
		ins.Imm += int32(1 - 2*rnd.IntN(2))
	case 1:
		ins.Imm = pick[int32](rnd, 0, 1, -1, 7, 8, 14, 31, 32, 63, 64, 255, 0x7fffffff, -0x80000000, 0xffff, 0x10000)
	default:
		ins.Imm ^= 1 << rnd.IntN(32)
	}
}

func changeOffset(rnd *rand.Rand, p *verifier.Program) {
	ins := &p.Insns[anySlot(rnd, p)]
	switch ins.Op.Class() {
	case ebpf.ClassLDX, ebpf.ClassST, ebpf.ClassSTX, ebpf.ClassJMP, ebpf.ClassJMP32:
		ins.Off += int16(pick(rnd, 1, -1, 2, -2, 4, -4, 8, -8))
	}
}

func changeRegister(rnd *rand.Rand, p *verifier.Program) {
	ins := &p.Insns[anySlot(rnd, p)]
	if rnd.IntN(2) == 0 {
		ins.Dst = ebpf.Register(rnd.IntN(10))
	} else if ins.Src != 0 && ins.Op != ebpf.LoadImm64 && ins.Op.Class() != ebpf.ClassJMP {
		ins.Src = ebpf.Register(rnd.IntN(10))
	}
}

// changeOperation exchanges the operation for another of the same form.
func changeOperation(rnd *rand.Rand, p *verifier.Program) {
	ins := &p.Insns[anySlot(rnd, p)]
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		if op := ins.Op.Operation(); op != ebpf.Endian && op != ebpf.Neg && ins.Off == 0 {
			ins.Op = ins.Op&^0xf0 | pick(rnd, ebpf.Add, ebpf.Sub, ebpf.Mul, ebpf.Div, ebpf.Or, ebpf.And,
				ebpf.Lsh, ebpf.Rsh, ebpf.Mod, ebpf.Xor, ebpf.Mov, ebpf.Arsh)
		}
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		switch ins.Op.Operation() {
		case ebpf.Ja, ebpf.Call, ebpf.Exit, ebpf.Jcond:
		default:
			ins.Op = ins.Op&^0xf0 | pick(rnd, ebpf.Jeq, ebpf.Jgt, ebpf.Jge, ebpf.Jset, ebpf.Jne,
				ebpf.Jsgt, ebpf.Jsge, ebpf.Jlt, ebpf.Jle, ebpf.Jslt, ebpf.Jsle)
		}
	}
}

// changeWidth exchanges 32 and 64 bits, or the width of a load or store.
func changeWidth(rnd *rand.Rand, p *verifier.Program) {
	ins := &p.Insns[anySlot(rnd, p)]
	op := ins.Op.Operation()
	switch ins.Op.Class() {
	case ebpf.ClassALU, ebpf.ClassALU64:
		if op != ebpf.Endian {
			ins.Op ^= ebpf.ClassALU ^ ebpf.ClassALU64
		}
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		if op != ebpf.Ja && op != ebpf.Call && op != ebpf.Exit && op != ebpf.Jcond {
			ins.Op ^= ebpf.ClassJMP ^ ebpf.ClassJMP32
		}
	case ebpf.ClassLDX, ebpf.ClassST, ebpf.ClassSTX:
		ins.Op = ins.Op&^0x18 | pick(rnd, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW)
	}
}

// dropInstruction leaves a jump to the next instruction in its place; of a
// conditional jump that falls through it so drops the check.
func dropInstruction(rnd *rand.Rand, p *verifier.Program) {
	i := anySlot(rnd, p)
	ins := p.Insns[i]
	if ins.Op == ebpf.ClassJMP|ebpf.Exit || ins.Width() != 1 {
		return
	}
	p.Insns[i] = ebpf.Jump(0)
}

// insert puts an instruction on a number before another.
func insert(rnd *rand.Rand, p *verifier.Program) {
	g := &generator{Rand: rnd}
	r := ebpf.Register(rnd.IntN(10))
	added := pick(rnd,
		ebpf.ALU64Imm(pick(rnd, ebpf.Add, ebpf.Sub, ebpf.And, ebpf.Mul), r, g.immediate()),
		ebpf.ALU32Imm(pick(rnd, ebpf.Add, ebpf.Sub, ebpf.And, ebpf.Mov), r, g.immediate()),
		ebpf.Mov64(r, ebpf.Register(rnd.IntN(10))),
		ebpf.Mov32(r, r),
		ebpf.Store(g.size(), ebpf.FP, int16(-8*(1+rnd.IntN(4))), r),
		ebpf.Load(g.size(), r, ebpf.FP, int16(-8*(1+rnd.IntN(4)))),
		ebpf.JumpIfImm(pick(rnd, ebpf.Jeq, ebpf.Jgt, ebpf.Jslt, ebpf.Jset), r, g.immediate(), 0),
	)
	insertAt(p, anySlot(rnd, p), added)
}

// insertAt makes room for an instruction and mends the jumps across it.
func insertAt(p *verifier.Program, at int, added ebpf.Instruction) {
	for i := 0; i < len(p.Insns); i += p.Insns[i].Width() {
		target, ok := p.Insns[i].Target(i)
		if !ok {
			continue
		}
		grow := 0
		switch {
		case i < at && target > at:
			grow = 1
		case i >= at && target <= at:
			grow = -1
		}
		ins := &p.Insns[i]
		if ins.Op.Class() == ebpf.ClassJMP && ins.Op.Operation() != ebpf.Call || ins.Op.Class() == ebpf.ClassJMP32 && ins.Op.Operation() != ebpf.Ja {
			ins.Off += int16(grow)
		} else {
			ins.Imm += int32(grow)
		}
	}
	p.Insns = slices.Insert(p.Insns, at, added)
}

// moveInstruction exchanges two neighbours.
func moveInstruction(rnd *rand.Rand, p *verifier.Program) {
	i := anySlot(rnd, p)
	if i+1 < len(p.Insns) && p.Insns[i].Width() == 1 && p.Insns[i+1].Width() == 1 {
		p.Insns[i], p.Insns[i+1] = p.Insns[i+1], p.Insns[i]
	}
}
