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

// mapReference assembles the rest of "dst = map[hits]" (the map itself) and
// "dst = map[hits][0]+8" (byte 8 of the value of its first element). An "ll"
// behind it, which tells the width of other 64-bit immediates, says nothing new.
func (a *assembler) mapReference(dst operand) error {
	if err := a.need("["); err != nil {
		return err
	}
	kind, valueKind, id, err := a.mapOperand()
	if err != nil {
		return err
	}
	if err := a.need("]"); err != nil {
		return err
	}
	var off int64
	if a.take("[0]") {
		kind = valueKind
		if a.signNext() {
			if off, err = a.needNumber("an offset", 32); err != nil {
				return err
			}
		}
	}
	a.take("ll")
	return a.wide(dst, kind, id, off)
}

// mapOperand takes what stands for a map: its name, which gives the index among
// the declared maps, "fd:5" or "idx:5", which counts in the loader's array of
// descriptors.
func (a *assembler) mapOperand() (kind, valueKind Register, id int64, err error) {
	a.blanks()
	start := a.scanner
	kind, valueKind = WideMapFD, WideMapValue
	name := a.word()
	if a.take(":") && (name == "fd" || name == "idx") {
		if name == "idx" {
			kind, valueKind = WideMapIndex, WideMapIndexValue
		}
		id, err = a.needNumber("a map descriptor", 32)
		return kind, valueKind, id, err
	}
	index, declared := a.mapIndex[name]
	if name == "" {
		return 0, 0, 0, a.expected("the name of a map, fd:N or idx:N")
	}
	if !declared {
		return 0, 0, 0, a.fail(start.pos, "no map %q: declare it in a line above, as \".map %s type array key 4 value 8 entries 1\"", shorten(name), shorten(name))
	}
	return kind, valueKind, int64(index), nil
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
