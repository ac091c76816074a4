package ebpf

import "strings"

// This file assembles the atomic operations, and the loads and stores with
// ordering.

// locked assembles the rest of "lock *(u64 *)(dst +0) += src".
func (a *assembler) locked() error {
	if err := a.need("*"); err != nil {
		return err
	}
	size, dst, off, err := a.place()
	if err != nil {
		return err
	}
	a.blanks()
	at := a.pos
	op, ok := a.operator(arithmeticText)
	if _, atomic := atomicText[int32(op)]; !ok || !atomic {
		return a.fail(at, "expected one of += |= &= ^=")
	}
	src, err := a.needRegister(size == SizeW)
	a.emit(Instruction{Op: ClassSTX | ModeATOMIC | size, Dst: dst, Src: src.reg, Off: off, Imm: int32(op)})
	return err
}

// place takes "(u64 *)(r1 +0)" of an operation that exists for u32 and u64.
func (a *assembler) place() (size Opcode, base Register, off int16, err error) {
	a.blanks()
	at := a.pos
	size, err = a.unsignedType()
	if err != nil {
		return 0, 0, 0, err
	}
	if size != SizeW && size != SizeDW {
		return 0, 0, 0, a.fail(at, "atomic operations are of type u32 or u64")
	}
	base, off, err = a.address()
	return size, base, off, err
}

// fetching assembles the atomic operations that return the old value, if one
// comes next: "r1 = atomic64_fetch_add((u64 *)(r2 +0), r1)". The type decides
// the width; clang writes "atomic_" for both.
func (a *assembler) fetching(dst operand) (bool, error) {
	start := a.scanner
	name := a.word()
	rest, ok := strings.CutPrefix(name, "atomic64_")
	wide := ok
	if !ok {
		rest, ok = strings.CutPrefix(name, "atomic_")
	}
	op, known := fetchOperation(rest)
	if !ok || !known {
		a.scanner = start
		return false, nil
	}
	return true, a.fetch(dst, op, wide)
}

func fetchOperation(name string) (int32, bool) {
	switch name {
	case "xchg":
		return AtomicXchg, true
	case "cmpxchg":
		return AtomicCmpXchg, true
	}
	for op, text := range atomicText {
		if name == "fetch_"+text {
			return op | AtomicFetch, true
		}
	}
	return 0, false
}

// fetch assembles the arguments; the register that gives the operand also
// receives the old value, save for cmpxchg, where R0 does both.
func (a *assembler) fetch(dst operand, op int32, wide bool) error {
	if err := a.need("("); err != nil {
		return err
	}
	at := a.pos
	size, base, off, err := a.place()
	if err != nil {
		return err
	}
	if wide && size != SizeDW {
		return a.fail(at, "atomic64 operations are of type u64")
	}
	if dst.half && size == SizeDW {
		return a.fail(dst.at, "this operation returns 64 bits: write r%d", dst.reg)
	}
	if op == AtomicCmpXchg {
		if err := a.need(","); err != nil {
			return err
		}
		expected, err := a.needRegister(size == SizeW)
		if err != nil {
			return err
		}
		if dst.reg != R0 || expected.reg != R0 {
			return a.fail(expected.at, "cmpxchg compares with r0 and returns in r0")
		}
	}
	if err := a.need(","); err != nil {
		return err
	}
	src, err := a.needRegister(size == SizeW)
	if err != nil {
		return err
	}
	if op != AtomicCmpXchg && src.reg != dst.reg {
		return a.fail(src.at, "the operand register receives the old value: both must be the same")
	}
	a.emit(Instruction{Op: ClassSTX | ModeATOMIC | size, Dst: base, Src: src.reg, Off: off, Imm: op})
	return a.need(")")
}

// loadAcquire assembles the rest of "dst = load_acquire((u32 *)(src +4))".
func (a *assembler) loadAcquire(dst operand) error {
	if err := a.need("("); err != nil {
		return err
	}
	size, err := a.unsignedType()
	if err != nil {
		return err
	}
	if dst.half && size == SizeDW {
		return a.fail(dst.at, "this load fills 64 bits: write r%d", dst.reg)
	}
	src, off, err := a.address()
	if err != nil {
		return err
	}
	a.emit(Instruction{Op: ClassSTX | ModeATOMIC | size, Dst: dst.reg, Src: src, Off: off, Imm: LoadAcquire})
	return a.need(")")
}

// storeRelease assembles the rest of "store_release((u32 *)(dst +4), src)".
func (a *assembler) storeRelease() error {
	if err := a.need("("); err != nil {
		return err
	}
	size, err := a.unsignedType()
	if err != nil {
		return err
	}
	dst, off, err := a.address()
	if err != nil {
		return err
	}
	if err := a.need(","); err != nil {
		return err
	}
	src, err := a.needRegister(size != SizeDW)
	if err != nil {
		return err
	}
	a.emit(Instruction{Op: ClassSTX | ModeATOMIC | size, Dst: dst, Src: src.reg, Off: off, Imm: StoreRelease})
	return a.need(")")
}
