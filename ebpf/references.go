package ebpf

// This file assembles the 64-bit immediates that a loader fills in: maps,
// functions of the program, variables of the kernel.

// wide emits the two slots of a reference.
func (a *assembler) wide(dst operand, kind Register, low, high int64) error {
	if dst.half {
		return a.fail(dst.at, "an address needs a 64-bit register")
	}
	a.emit(Instruction{Op: LoadImm64, Dst: dst.reg, Src: kind, Imm: int32(low)}, Instruction{Imm: int32(high)})
	return nil
}

// mapReference assembles the rest of "dst = map[fd:5]" (the map itself) and
// "dst = map[fd:5][0]+8" (byte 8 of the value of its first element); "idx"
// in place of "fd" counts in the loader's array of descriptors.
func (a *assembler) mapReference(dst operand) error {
	if err := a.need("["); err != nil {
		return err
	}
	kind, valueKind := WideMapFD, WideMapValue
	switch {
	case a.take("fd"):
	case a.take("idx"):
		kind, valueKind = WideMapIndex, WideMapIndexValue
	default:
		return a.expected("fd or idx")
	}
	if err := a.need(":"); err != nil {
		return err
	}
	id, err := a.needNumber("a map descriptor", 32)
	if err != nil {
		return err
	}
	if err := a.need("]"); err != nil {
		return err
	}
	if !a.take("[0]") {
		return a.wide(dst, kind, id, 0)
	}
	var off int64
	if a.signNext() {
		if off, err = a.needNumber("an offset", 32); err != nil {
			return err
		}
	}
	return a.wide(dst, valueKind, id, off)
}

// function assembles the rest of "dst = subprog[+5]" or "dst = subprog[name]".
func (a *assembler) function(dst operand) error {
	if err := a.need("["); err != nil {
		return err
	}
	if dst.half {
		return a.fail(dst.at, "an address needs a 64-bit register")
	}
	if err := a.jump(Instruction{Op: LoadImm64, Dst: dst.reg, Src: WideFunc}); err != nil {
		return err
	}
	a.emit(Instruction{})
	return a.need("]")
}

// variable assembles the rest of "dst = btf[id:7 fd:0]".
func (a *assembler) variable(dst operand) error {
	if err := a.need("["); err != nil {
		return err
	}
	if err := a.need("id:"); err != nil {
		return err
	}
	id, err := a.needNumber("a BTF id", 32)
	if err != nil {
		return err
	}
	if err := a.need("fd:"); err != nil {
		return err
	}
	fd, err := a.needNumber("a BTF descriptor", 32)
	if err != nil {
		return err
	}
	if err := a.need("]"); err != nil {
		return err
	}
	return a.wide(dst, WideBTFID, id, fd)
}
