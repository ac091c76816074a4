package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/verifier/num"
)

// comparisons are the relations that conditional jumps test, by operation.
var comparisons = [16]num.Cmp{
	ebpf.Jeq >> 4: num.Eq, ebpf.Jne >> 4: num.Ne, ebpf.Jset >> 4: num.Set,
	ebpf.Jgt >> 4: num.Gt, ebpf.Jge >> 4: num.Ge, ebpf.Jlt >> 4: num.Lt, ebpf.Jle >> 4: num.Le,
	ebpf.Jsgt >> 4: num.Sgt, ebpf.Jsge >> 4: num.Sge, ebpf.Jslt >> 4: num.Slt, ebpf.Jsle >> 4: num.Sle,
}

// jump steps an instruction of the classes JMP and JMP32.
func (v *verifier) jump(ins ebpf.Instruction) *failure {
	target, _ := ins.Target(v.pc)
	switch ins.Op.Operation() {
	case ebpf.Ja:
		v.next = target
		return nil
	case ebpf.Exit:
		return v.exit()
	case ebpf.Call:
		if ins.Src == ebpf.CallLocal {
			return v.callLocal(target)
		}
		return v.call(ins)
	case ebpf.Jcond:
		// may_goto goes on until the kernel, which counts, lets it jump.
		s := v.clone(v.state)
		v.fork(s, target)
		v.slots[v.pc] |= taken | passed
		v.state.waits++
		return nil
	}
	return v.conditional(ins, target)
}

// conditional steps a conditional jump (check_cond_jmp_op).
func (v *verifier) conditional(ins ebpf.Instruction, target int) *failure {
	if f := v.readable(ins.Dst); f != nil {
		return f
	}
	var constant reg
	x, y := v.reg(ins.Dst), &constant
	if ins.Op.Source() == ebpf.SourceX {
		if f := v.readable(ins.Src); f != nil {
			return f
		}
		y = v.reg(ins.Src)
	} else {
		constant = known(uint64(int64(ins.Imm)))
	}
	wide := ins.Op.Class() == ebpf.ClassJMP
	if x.isPointer() || y.isPointer() {
		if !wide {
			v.both(target)
			return nil
		}
		return v.comparePointers(ins, target, x, y)
	}
	cmp := comparisons[ins.Op.Operation()>>4]
	tx, ty, canJump := num.Branch(cmp, wide, true, x.num, y.num)
	px, py, canPass := num.Branch(cmp, wide, false, x.num, y.num)
	if x == y || x.id != 0 && x.id == y.id && x.off == y.off && !x.has(length) && !y.has(length) {
		tx, ty, canJump = withItself(cmp, wide, true, x.num)
		px, py, canPass = withItself(cmp, wide, false, x.num)
	}
	if canJump && canPass && x.has(length) && ins.Op.Source() == ebpf.SourceK {
		other := v.lengthCompared(ins, target, x)
		v.refine(other, ins, tx, ty)
		v.refine(v.state, ins, px, py)
		return nil
	}
	if canJump {
		v.slots[v.pc] |= taken
	}
	if canPass {
		v.slots[v.pc] |= passed
	}
	switch {
	case canJump && canPass:
		other := v.clone(v.state)
		v.refine(other, ins, tx, ty)
		v.fork(other, target)
		v.refine(v.state, ins, px, py)
	case canJump:
		v.refine(v.state, ins, tx, ty)
		v.next = target
	case canPass:
		v.refine(v.state, ins, px, py)
	default:
		v.ended = true // no number is left: the path is impossible
	}
	return nil
}

// withItself is num.Branch for the comparison of a number with itself.
func withItself(cmp num.Cmp, wide, taken bool, x num.Scalar) (_, _ num.Scalar, possible bool) {
	switch cmp {
	case num.Set:
		x, _, possible = num.Branch(num.Ne, wide, taken, x, num.Const(0))
		return x, x, possible
	case num.Eq, num.Ge, num.Le, num.Sge, num.Sle:
		return x, x, taken
	}
	return x, x, !taken
}

// both goes on with both branches, knowing nothing more in either.
func (v *verifier) both(target int) (other *state) {
	v.slots[v.pc] |= taken | passed
	other = v.clone(v.state)
	v.fork(other, target)
	return other
}

// refine sets the operands of a comparison to what they are in a branch.
func (v *verifier) refine(s *state, ins ebpf.Instruction, x, y num.Scalar) {
	f := s.top()
	refineReg(s, &f.regs[ins.Dst], x)
	if ins.Op.Source() == ebpf.SourceX {
		refineReg(s, &f.regs[ins.Src], y)
	}
}

// refineReg sets what is known of a number, and of those tied to it.
func refineReg(s *state, r *reg, value num.Scalar) {
	if r.num == value {
		return
	}
	if r.id == 0 || r.has(length) {
		r.num = value
		return
	}
	id, off := r.id, r.off
	s.each(func(other *reg) {
		if other.kind != scalar || other.id != id || other.has(length) {
			return
		}
		moved := value
		if delta := int64(other.off) - int64(off); delta != 0 {
			moved = num.ALU(num.Add, true, value, num.Const(uint64(delta)))
		}
		// Both are true, so that they cannot exclude each other unless
		// the path is impossible; then either will do.
		if both, ok := num.Meet(other.num, moved); ok {
			other.num = both
		}
	})
}

// comparePointers steps a comparison with a pointer.
func (v *verifier) comparePointers(ins ebpf.Instruction, target int, x, y *reg) *failure {
	op := ins.Op.Operation()
	if zero, ok := y.constant(); ok && zero == 0 && (op == ebpf.Jeq || op == ebpf.Jne) {
		v.compareNull(ins.Dst, op, target)
		return nil
	}
	if zero, ok := x.constant(); ok && zero == 0 && (op == ebpf.Jeq || op == ebpf.Jne) {
		v.compareNull(ins.Src, op, target)
		return nil
	}
	if v.o.Strict && !boundsCheck(x, y) {
		return v.fail(PointerCompare, int(ins.Dst), "a comparison that would tell about addresses")
	}
	if op == ebpf.Jeq || op == ebpf.Jne {
		v.compareEqual(ins, op, target)
		return nil
	}
	v.compareBounds(ins, target)
	return nil
}

// compareNull goes on where a pointer is NULL and where it is not
// (mark_ptr_or_null_regs).
func (v *verifier) compareNull(r ebpf.Register, op ebpf.Opcode, target int) {
	x := v.reg(r)
	if !x.has(nullable) {
		if op == ebpf.Jne {
			v.slots[v.pc] |= taken
			v.next = target
		} else {
			v.slots[v.pc] |= passed
		}
		return
	}
	other := v.both(target)
	null, set := other, v.state
	if op == ebpf.Jne {
		null, set = set, other
	}
	v.isNull(null, r)
	isSet(set, r)
}

// isNull makes a pointer, and those that are NULL with it, the number 0.
func (v *verifier) isNull(s *state, r ebpf.Register) {
	x := s.top().regs[r]
	each := func(other *reg) {
		if other.has(nullable) && other.id == x.id {
			*other = known(0)
		}
	}
	if x.id == 0 {
		s.top().regs[r] = known(0)
	} else {
		s.each(each)
	}
	if x.ref != 0 {
		s.dropRef(x.ref)
	}
}

// isSet notes that a pointer, and those that are NULL with it, is not NULL.
func isSet(s *state, r ebpf.Register) {
	x := &s.top().regs[r]
	if x.id == 0 {
		x.flags &^= nullable
		return
	}
	id := x.id
	s.each(func(other *reg) {
		if other.has(nullable) && other.id == id {
			other.flags &^= nullable
		}
	})
}

// compareEqual goes on where two registers are equal and where they are not. A
// pointer that equals one that is not NULL is not NULL either.
func (v *verifier) compareEqual(ins ebpf.Instruction, op ebpf.Opcode, target int) {
	other := v.both(target)
	equal := other
	if op == ebpf.Jne {
		equal = v.state
	}
	if ins.Op.Source() != ebpf.SourceX {
		return
	}
	f := equal.top()
	x, y := &f.regs[ins.Dst], &f.regs[ins.Src]
	switch {
	case x.isPointer() && y.isPointer() && x.has(nullable) && !y.has(nullable):
		isSet(equal, ins.Dst)
	case x.isPointer() && y.isPointer() && y.has(nullable) && !x.has(nullable):
		isSet(equal, ins.Src)
	}
}
