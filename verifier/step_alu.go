package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/verifier/num"
)

// maxOffset bounds the offsets of pointers, so that no sum of them wraps
// (BPF_MAX_VAR_OFF).
const maxOffset = 1 << 29

var operations = [16]num.Op{
	ebpf.Add >> 4: num.Add, ebpf.Sub >> 4: num.Sub, ebpf.Mul >> 4: num.Mul, ebpf.Div >> 4: num.Div,
	ebpf.Or >> 4: num.Or, ebpf.And >> 4: num.And, ebpf.Lsh >> 4: num.Lsh, ebpf.Rsh >> 4: num.Rsh,
	ebpf.Mod >> 4: num.Mod, ebpf.Xor >> 4: num.Xor, ebpf.Arsh >> 4: num.Arsh,
}

// arithmetic steps an ALU or ALU64 instruction (check_alu_op).
func (v *verifier) arithmetic(ins ebpf.Instruction) *failure {
	op := ins.Op.Operation()
	src := reg{kind: scalar}
	switch {
	case op == ebpf.Neg || op == ebpf.Endian:
		return v.unary(ins)
	case ins.Op.Source() == ebpf.SourceX:
		if f := v.readable(ins.Src); f != nil {
			return f
		}
		src = *v.reg(ins.Src)
	default:
		src.num = num.Const(uint64(int64(ins.Imm)))
	}
	if op == ebpf.Mov {
		return v.move(ins, src)
	}
	if f := v.readable(ins.Dst); f != nil {
		return f
	}
	if f := v.constantOperand(ins); f != nil {
		return f
	}
	dst := v.reg(ins.Dst)
	if dst.isPointer() || src.isPointer() {
		return v.pointerArithmetic(ins, dst, src)
	}
	wide := ins.Op.Class() == ebpf.ClassALU64
	before := *dst
	*dst = number(num.ALU(operation(ins), wide, dst.num, src.num))
	if wide && !before.has(length) {
		link(dst, &before, ins)
	}
	return nil
}

func operation(ins ebpf.Instruction) num.Op {
	switch op := ins.Op.Operation(); {
	case op == ebpf.Div && ins.Off == 1:
		return num.SDiv
	case op == ebpf.Mod && ins.Off == 1:
		return num.SMod
	default:
		return operations[op>>4]
	}
}

// constantOperand refuses the constants that RFC 9669 defines but the kernel
// takes for mistakes: divisors of 0, shifts by the width and more.
func (v *verifier) constantOperand(ins ebpf.Instruction) *failure {
	if ins.Op.Source() != ebpf.SourceK {
		return nil
	}
	width := int32(64)
	if ins.Op.Class() == ebpf.ClassALU {
		width = 32
	}
	switch ins.Op.Operation() {
	case ebpf.Div, ebpf.Mod:
		if ins.Imm == 0 {
			return v.fail(DivisionByZero, -1, "the divisor is the constant 0")
		}
	case ebpf.Lsh, ebpf.Rsh, ebpf.Arsh:
		if ins.Imm < 0 || ins.Imm >= width {
			return v.fail(ShiftRange, -1, "a shift of %d bits by %d", width, ins.Imm)
		}
	}
	return nil
}

// link keeps the tie to registers with the same id when a constant is added
// (sync_linked_regs in the kernel).
func link(dst, before *reg, ins ebpf.Instruction) {
	op := ins.Op.Operation()
	if before.id == 0 || ins.Op.Source() != ebpf.SourceK || op != ebpf.Add && op != ebpf.Sub {
		return
	}
	delta := int64(ins.Imm)
	if op == ebpf.Sub {
		delta = -delta
	}
	off := int64(before.off) + delta
	if off == int64(int32(off)) {
		dst.id, dst.off = before.id, int32(off)
	}
}

// unary steps a negation or byte swap. On a pointer it gives a number that
// nothing is known about, as in the kernel.
func (v *verifier) unary(ins ebpf.Instruction) *failure {
	if f := v.readable(ins.Dst); f != nil {
		return f
	}
	dst := v.reg(ins.Dst)
	if dst.isPointer() {
		if f := v.leak(ins.Dst); f != nil {
			return f
		}
		*dst = anyNumber()
	}
	wide := ins.Op.Class() == ebpf.ClassALU64
	switch {
	case ins.Op.Operation() == ebpf.Neg:
		*dst = number(num.Neg(wide, dst.num))
	case !wide && ins.Op.Source() == ebpf.SourceK: // to little endian, which memory is
		*dst = number(num.ZeroExtend(dst.num, int(ins.Imm)))
	default:
		*dst = number(num.ByteSwap(dst.num, int(ins.Imm)))
	}
	return nil
}

// move steps a move: of 64 bits, of 32, of a constant, or with the sign of a
// narrower number extended.
func (v *verifier) move(ins ebpf.Instruction, src reg) *failure {
	wide := ins.Op.Class() == ebpf.ClassALU64
	dst := v.reg(ins.Dst)
	if ins.Op.Source() == ebpf.SourceK {
		if !wide {
			src.num = num.Const(uint64(uint32(ins.Imm)))
		}
		*dst = src
		return nil
	}
	if src.isPointer() && (!wide || ins.Off != 0) {
		if f := v.leak(ins.Src); f != nil {
			return f
		}
		src = anyNumber()
	}
	switch {
	case ins.Off != 0:
		*dst = number(num.SignExtend(src.num, int(ins.Off), wide))
	case wide:
		v.tie(v.reg(ins.Src))
		*dst = *v.reg(ins.Src)
	case src.num.UMax() <= 1<<32-1:
		// The upper half is 0 already: the move is a copy.
		v.tie(v.reg(ins.Src))
		*dst = *v.reg(ins.Src)
	default:
		*dst = number(num.ZeroExtend(src.num, 32))
	}
	return nil
}

// tie gives a register an id, before it is copied, so that what is found out
// about one copy, its bounds or that it is not NULL, holds for the other.
func (v *verifier) tie(r *reg) {
	if r.id != 0 || r.has(length) {
		return
	}
	if r.kind != scalar {
		if r.has(nullable) {
			r.id = v.state.newID()
		}
		return
	}
	if _, ok := r.num.IsConst(); !ok {
		r.id, r.off = v.state.newID(), 0
	}
}

// pointerArithmetic steps arithmetic that a pointer takes part in
// (adjust_reg_min_max_vals, adjust_ptr_min_max_vals): numbers may be added to
// and subtracted from pointers, and the difference of two is a number.
func (v *verifier) pointerArithmetic(ins ebpf.Instruction, dst *reg, src reg) *failure {
	op := ins.Op.Operation()
	both := dst.isPointer() && src.isPointer()
	regno := ins.Dst
	if !dst.isPointer() {
		regno = ins.Src
	}
	if op == ebpf.Sub && (both || ins.Op.Class() == ebpf.ClassALU) {
		if f := v.leak(regno); f != nil {
			return f
		}
		v.difference(ins, dst, &src)
		return nil
	}
	switch {
	case both:
		return v.fail(PointerOperation, int(regno), "R%d and R%d are both pointers: their %s has no meaning", ins.Dst, ins.Src, operationName(op))
	case ins.Op.Class() == ebpf.ClassALU:
		return v.fail(Pointer32, int(regno), "R%d is a pointer, and 32-bit arithmetic would lose half of it", regno)
	case op != ebpf.Add && op != ebpf.Sub:
		return v.fail(PointerOperation, int(regno), "R%d is a pointer, for which there is no %s", regno, operationName(op))
	case op == ebpf.Sub && !dst.isPointer():
		return v.fail(PointerOperation, int(ins.Src), "R%d is a pointer that is subtracted from a number", ins.Src)
	}
	ptr, by := *dst, src
	if !dst.isPointer() {
		ptr, by = src, *dst
	}
	if f := v.movable(regno, &ptr, op); f != nil {
		return f
	}
	return v.movePointer(ins, dst, ptr, by.num)
}

// difference makes dst the difference of two pointers, or what is left of one
// in 32 bits: a number. That of the packet's
// end and a place in the packet is a length to check instead of the pointers.
func (v *verifier) difference(ins ebpf.Instruction, dst, src *reg) {
	result := anyNumber()
	if ins.Op.Class() == ebpf.ClassALU64 && dst.kind == packetEnd && src.kind == packetPtr {
		result.id, result.off, result.flags = src.id, src.off, length
	}
	*dst = result
}

// movable checks that a pointer may be moved at all.
func (v *verifier) movable(regno ebpf.Register, ptr *reg, op ebpf.Opcode) *failure {
	if ptr.has(nullable) {
		return v.fail(NullArithmetic, int(regno), "R%d may be NULL: compare it with 0 before calculating with it", regno)
	}
	switch ptr.kind {
	case packetEnd, mapPtr, socketPtr, funcPtr:
		return v.fail(PointerOperation, int(regno), "R%d is %s, which cannot be moved", regno, ptr.kind)
	case stackPtr:
		if op == ebpf.Sub {
			return v.fail(PointerOperation, int(regno), "R%d points to the stack, and the kernel does not subtract from such pointers: add a negative number", regno)
		}
	}
	return nil
}

// movePointer makes dst the pointer ptr moved by a number.
func (v *verifier) movePointer(ins ebpf.Instruction, dst *reg, ptr reg, by num.Scalar) *failure {
	op := operation(ins)
	if by.SMin() <= -maxOffset || by.SMax() >= maxOffset {
		if k, ok := by.IsConst(); ok {
			return v.fail(PointerRange, int(ins.Dst), "a pointer cannot be moved by %d", int64(k))
		}
		return v.fail(PointerRange, int(ins.Dst), "a pointer is moved by a number without bounds, %v: check it first", by)
	}
	moved := num.ALU(op, true, ptr.num, by)
	if moved.SMin() <= -maxOffset || moved.SMax() >= maxOffset {
		return v.fail(PointerRange, int(ins.Dst), "the offset of the pointer, %v, is beyond what pointers may have", moved)
	}
	k, constant := by.IsConst()
	if ptr.kind == flowKeysPtr && !constant {
		return v.fail(PointerOperation, int(ins.Dst), "the flow keys are reached with constant offsets only")
	}
	ptr.num = moved
	if ptr.kind == packetPtr || ptr.kind == metaPtr {
		if !constant {
			ptr.id, ptr.off, ptr.span = v.state.newID(), 0, 0
		} else if op == num.Sub {
			ptr.off -= int32(int64(k))
		} else {
			ptr.off += int32(int64(k))
		}
	}
	*dst = ptr
	return nil
}

// leak refuses, in strict mode, what makes a number of a pointer.
func (v *verifier) leak(r ebpf.Register) *failure {
	if !v.o.Strict {
		return nil
	}
	return v.fail(PointerLeak, int(r), "the address in R%d would become a number", r)
}

func operationName(op ebpf.Opcode) string {
	return map[ebpf.Opcode]string{
		ebpf.Add: "sum", ebpf.Sub: "difference", ebpf.Mul: "product", ebpf.Div: "quotient", ebpf.Mod: "remainder",
		ebpf.Or: "bitwise or", ebpf.And: "bitwise and", ebpf.Xor: "exclusive or",
		ebpf.Lsh: "shift", ebpf.Rsh: "shift", ebpf.Arsh: "shift",
	}[op]
}
