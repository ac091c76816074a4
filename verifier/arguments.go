package verifier

import (
	"bytes"
	"math"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// maxSize is the size from which on memory is too large for any helper
// (BPF_MAX_VAR_SIZ).
const maxSize = 1 << 29

// argument checks the argument with index i of a call (check_func_arg).
func (v *verifier) argument(c *helperCall, i int) *failure {
	r, kind := ebpf.R1+ebpf.Register(i), c.Args[i]
	x := v.reg(r)
	if kind == abi.ArgOptional && x.kind == unset {
		return nil
	}
	if f := v.readable(r); f != nil {
		return f
	}
	switch kind {
	case abi.ArgScalar, abi.ArgOptional:
		// ARG_ANYTHING: for privileged users addresses are numbers, too.
		if x.isPointer() {
			return v.leak(r)
		}
		return nil
	case abi.ArgContext:
		return v.asItWas(c, r, contextPtr)
	case abi.ArgMap:
		return v.mapArgument(c, r)
	case abi.ArgReadMem, abi.ArgWriteMem, abi.ArgReadMemOrNull, abi.ArgWriteMemOrNull:
		return v.memoryArgument(c, r, kind == abi.ArgReadMemOrNull || kind == abi.ArgWriteMemOrNull)
	case abi.ArgSize, abi.ArgSizeOrZero:
		return v.sizeArgument(c, i)
	case abi.ArgRecordSize:
		return v.recordSize(c, r)
	case abi.ArgMapKey:
		return v.keyArgument(c, r)
	case abi.ArgMapValue:
		return v.fixedMemory(c, r, int64(c.spec.ValueSize), false)
	case abi.ArgMapValueOut:
		// Asking a bloom filter means to pass a value (resolve_map_arg_type).
		return v.fixedMemory(c, r, int64(c.spec.ValueSize), c.spec.Kind != abi.BloomFilter)
	case abi.ArgWriteLong:
		return v.numberMemory(c, r, 8, false)
	case abi.ArgReadWriteWord:
		return v.numberMemory(c, r, 4, true)
	case abi.ArgString, abi.ArgFormat:
		return v.stringArgument(c, r)
	case abi.ArgFunc:
		c.fn = x.obj
		return v.asItWas(c, r, funcPtr)
	case abi.ArgPointerOrNull:
		return v.stackOrNull(c, r)
	case abi.ArgSpinLock:
		return v.ofKind(c, r, mapValue)
	case abi.ArgSocket:
		return v.ownedArgument(c, r, socketPtr)
	case abi.ArgRecord:
		return v.ownedArgument(c, r, recordPtr)
	}
	panic("verifier: a helper with an unknown kind of argument")
}

// ofKind checks that a register holds a pointer of a kind, not NULL
// (check_reg_type).
func (v *verifier) ofKind(c *helperCall, r ebpf.Register, want kind) *failure {
	switch x := v.reg(r); {
	case x.kind != want:
		return v.fail(ArgumentKind, int(r), "%s takes %s in R%d, not %s", c.Name(), want, r, x.kind)
	case x.has(nullable):
		return v.fail(MaybeNull, int(r), "%s takes %s in R%d, which may be NULL here", c.Name(), want, r)
	}
	return nil
}

// asItWas checks that, too, and that nothing was added to the pointer
// (check_func_arg_reg_off).
func (v *verifier) asItWas(c *helperCall, r ebpf.Register, want kind) *failure {
	if f := v.ofKind(c, r, want); f != nil {
		return f
	}
	if off, ok := v.reg(r).offset(); !ok || off != 0 {
		code := ArgumentKind
		if want == contextPtr {
			code = ContextModified
		}
		return v.fail(code, int(r), "%s takes %s in R%d as it was, not with something added", c.Name(), want, r)
	}
	return nil
}

// isNull reports whether a register is known to be 0.
func (r *reg) isNull() bool {
	n, ok := r.constant()
	return ok && n == 0
}

// memoryArgument checks that a register points to memory, of a size that the
// next argument says (check_reg_type with mem_types). The kernel lets a pointer
// that may be NULL pass where NULL is allowed, whatever the size; here it must
// be NULL for certain or not at all, because the helper would follow it.
func (v *verifier) memoryArgument(c *helperCall, r ebpf.Register, orNull bool) *failure {
	x := v.reg(r)
	if orNull && x.isNull() {
		return nil
	}
	switch x.kind {
	case packetPtr, metaPtr:
		if !c.PacketArgs {
			return v.fail(ArgumentKind, int(r), "%s does not take memory in the packet; copy it to the stack", c.Name())
		}
	case stackPtr, mapValue, mapKey, recordPtr:
	default:
		return v.fail(ArgumentKind, int(r), "%s takes memory in R%d, not %s", c.Name(), r, x.kind)
	}
	if x.has(nullable) {
		return v.fail(MaybeNull, int(r), "%s takes memory in R%d, which may be NULL here", c.Name(), r)
	}
	return nil
}

// sizeArgument checks a size and the memory before it (check_mem_size_reg).
func (v *verifier) sizeArgument(c *helperCall, i int) *failure {
	r, kind := ebpf.R1+ebpf.Register(i), c.Args[i-1]
	x := v.reg(r)
	if x.kind != scalar {
		return v.fail(ArgumentKind, int(r), "%s takes a size in R%d, not %s", c.Name(), r, x.kind)
	}
	lo, hi := x.num.UMin(), x.num.UMax()
	switch {
	case x.num.SMin() < 0:
		return v.fail(ArgumentSize, int(r), "the size in R%d may be negative, which %s would take for a huge one", r, c.Name())
	case hi >= maxSize && x.num.SMin32() < 0 && x.num.SMax32() < maxSize:
		return v.fail(ArgumentSize, int(r), "the size in R%d may be negative as a number of 32 bits, which %s would take for a huge one", r, c.Name())
	case lo == 0 && c.Args[i] == abi.ArgSize:
		return v.fail(ArgumentSize, int(r), "the size in R%d may be 0, which %s does not take", r, c.Name())
	case hi >= maxSize:
		return v.fail(ArgumentSize, int(r), "the size in R%d has no bound", r)
	}
	c.size = max(c.size, hi)
	if m := v.reg(r - 1); m.kind == scalar { // NULL
		if hi == 0 {
			return nil
		}
		return v.fail(ArgumentMemory, int(r-1), "%s takes NULL in R%d only with a size of 0 in R%d", c.Name(), r-1, r)
	}
	if kind == abi.ArgReadMem || kind == abi.ArgReadMemOrNull {
		return v.helperMemory(r-1, int64(hi), false)
	}
	return v.fills(c, r-1, hi, lo == hi)
}

// fills notes that the helper writes to memory. It is marked as written only
// when all arguments have been read. Of a size that is not constant the helper
// may write less, so that strictly all of it must have been written before.
func (v *verifier) fills(c *helperCall, r ebpf.Register, size uint64, all bool) *failure {
	c.memory, c.written = r, size
	if v.o.Strict && !all {
		return v.helperMemory(r, int64(size), false)
	}
	return nil
}

// fixedMemory checks memory of a size that the map or the helper tells.
func (v *verifier) fixedMemory(c *helperCall, r ebpf.Register, size int64, write bool) *failure {
	if f := v.memoryArgument(c, r, false); f != nil {
		return f
	}
	if !write {
		return v.helperMemory(r, size, false)
	}
	return v.fills(c, r, uint64(size), true)
}

// numberMemory checks memory for a number, aligned (MEM_ALIGNED).
func (v *verifier) numberMemory(c *helperCall, r ebpf.Register, size int64, read bool) *failure {
	if f := v.memoryArgument(c, r, false); f != nil {
		return f
	}
	if x := v.reg(r); (x.num.Bits.Value|x.num.Bits.Mask)&uint64(size-1) != 0 {
		return v.fail(Misaligned, int(r), "%s takes an address in R%d that is a multiple of %d", c.Name(), r, size)
	}
	if read {
		if f := v.helperMemory(r, size, false); f != nil {
			return f
		}
	}
	return v.fills(c, r, uint64(size), true)
}

// recordSize checks the size of a record, which is to be known
// (ARG_CONST_ALLOC_SIZE_OR_ZERO). Records have less than 1<<30 bytes; the kernel
// leaves it to the helper to refuse larger ones.
func (v *verifier) recordSize(c *helperCall, r ebpf.Register) *failure {
	n, ok := v.reg(r).constant()
	switch {
	case !ok:
		return v.fail(ArgumentConst, int(r), "%s takes the size of a record in R%d, a constant", c.Name(), r)
	case n > math.MaxInt32:
		return v.fail(ArgumentSize, int(r), "the size of a record in R%d is %d, which no ring buffer has", r, n)
	}
	c.size = n
	return nil
}

// stackOrNull checks the pointer that a helper hands to a callback
// (ARG_PTR_TO_STACK_OR_NULL). Other than in the kernel its offset must be
// constant.
func (v *verifier) stackOrNull(c *helperCall, r ebpf.Register) *failure {
	x := v.reg(r)
	if x.isNull() {
		return nil
	}
	if x.kind != stackPtr {
		return v.fail(ArgumentKind, int(r), "%s hands R%d to the callback: a pointer to the stack or 0, not %s", c.Name(), r, x.kind)
	}
	if _, ok := x.offset(); !ok {
		return v.fail(StackVariable, int(r), "%s hands R%d to the callback: a pointer to the stack at a constant offset", c.Name(), r)
	}
	return nil
}

// stringArgument checks that a register points to a string that never changes
// (check_reg_const_str): in a value of a map of constants, with its end.
func (v *verifier) stringArgument(c *helperCall, r ebpf.Register) *failure {
	if f := v.ofKind(c, r, mapValue); f != nil {
		return f
	}
	x := v.reg(r)
	value, ok := v.constants(x.obj)
	off, constant := x.offset()
	switch {
	case !ok:
		return v.fail(ArgumentKind, int(r), "%s takes a constant string in R%d; map %q can be changed", c.Name(), r, v.maps[x.obj].Name)
	case !constant || off < 0 || off >= int64(len(value)):
		return v.fail(ArgumentConst, int(r), "%s takes a string in R%d at a constant offset in the map's value", c.Name(), r)
	case bytes.IndexByte(value[off:], 0) < 0:
		return v.fail(ArgumentMemory, int(r), "the string in R%d has no 0 byte at its end", r)
	}
	return nil
}
