package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
)

// atomic steps an atomic operation (check_atomic): on the stack or the value
// of a map, aligned.
func (v *verifier) atomic(ins ebpf.Instruction) *failure {
	size := ins.Op.Bytes()
	switch ins.Imm {
	case ebpf.LoadAcquire:
		return v.loadAcquire(ins, size)
	case ebpf.StoreRelease:
		if f := v.readable(ins.Src); f != nil {
			return f
		}
		if f := v.atomicMemory(ins.Dst, ins, size); f != nil {
			return f
		}
		return v.storeTo(ins.Dst, int64(ins.Off), size, *v.reg(ins.Src), ins)
	}
	if f := v.readable(ins.Src); f != nil {
		return f
	}
	if ins.Imm == ebpf.AtomicCmpXchg {
		if f := v.readable(ebpf.R0); f != nil {
			return f
		}
	}
	if v.reg(ins.Src).isPointer() {
		if f := v.leak(ins.Src); f != nil {
			return f
		}
	}
	if f := v.atomicMemory(ins.Dst, ins, size); f != nil {
		return f
	}
	old, f := v.loadFrom(ins.Dst, int64(ins.Off), size, false)
	if f != nil {
		return f
	}
	if v.o.Strict && old.isPointer() {
		return v.fail(PointerLeak, int(ins.Dst), "%s on the stack is used as a number", old.kind)
	}
	if f := v.storeTo(ins.Dst, int64(ins.Off), size, unsigned(size), ins); f != nil {
		return f
	}
	switch {
	case ins.Imm == ebpf.AtomicCmpXchg:
		*v.reg(ebpf.R0) = old
	case ins.Imm&ebpf.AtomicFetch != 0:
		*v.reg(ins.Src) = old
	}
	return nil
}

func (v *verifier) loadAcquire(ins ebpf.Instruction, size int) *failure {
	if f := v.atomicMemory(ins.Src, ins, size); f != nil {
		return f
	}
	value, f := v.loadFrom(ins.Src, int64(ins.Off), size, false)
	if f == nil {
		*v.reg(ins.Dst) = value
	}
	return f
}

// atomicMemory checks that the memory behind a register has atomic operations.
func (v *verifier) atomicMemory(r ebpf.Register, ins ebpf.Instruction, size int) *failure {
	if f := v.dereference(r, useAtomic); f != nil {
		return f
	}
	p := v.reg(r)
	switch p.kind {
	case stackPtr:
	case mapValue, recordPtr:
		if !aligned(p.num, int64(ins.Off), size) {
			return v.fail(Misaligned, int(r), "an atomic operation on %d bytes at an offset that may not be a multiple of it, %v%+d", size, p.num, ins.Off)
		}
		return v.reach(r, int64(ins.Off), int64(size), useAtomic)
	default:
		return v.fail(AtomicMemory, int(r), "there are no atomic operations on memory behind %s", p.kind)
	}
	return nil
}
