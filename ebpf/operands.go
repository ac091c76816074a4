package ebpf

import (
	"strconv"
	"strings"
)

// This file assembles assignments, loads and stores.

// assignment assembles what follows a destination register.
func (a *assembler) assignment(dst operand) error {
	signed, ok := a.operator(signedText)
	if ok {
		return a.arithmetic(dst, signed, 1)
	}
	op, ok := a.operator(arithmeticText)
	switch {
	case !ok:
		return a.expected("an assignment (= += -= *= /= s/= %= s%= |= &= ^= <<= >>= s>>=)")
	case op == Mov:
		return a.value(dst)
	}
	return a.arithmetic(dst, op, 0)
}

func (a *assembler) arithmetic(dst operand, op Opcode, off int16) error {
	class := ClassALU64
	if dst.half {
		class = ClassALU
	}
	ins, err := a.right(Instruction{Op: class | op, Dst: dst.reg, Off: off}, dst, extended)
	if err != nil {
		return err
	}
	a.emit(ins)
	return nil
}

// value assembles what follows "dst =".
func (a *assembler) value(dst operand) error {
	start := a.scanner
	if a.take("-") {
		if src, ok := a.register(); ok {
			return a.negate(dst, src)
		}
		a.scanner = start
	}
	switch {
	case a.take("*"):
		return a.load(dst)
	case a.take("("):
		return a.signExtend(dst)
	case a.take("map"):
		return a.mapReference(dst)
	case a.take("subprog"):
		return a.function(dst)
	case a.take("btf"):
		return a.variable(dst)
	case a.take("load_acquire"):
		return a.loadAcquire(dst)
	}
	if swapped, err := a.swap(dst); swapped || err != nil {
		return err
	}
	if atomic, err := a.fetching(dst); atomic || err != nil {
		return err
	}
	if n, ok, err := a.number(); err != nil {
		return err
	} else if ok {
		return a.constant(dst, n)
	}
	if !isRegisterNext(a.scanner) {
		return a.expected("a register, a number, a load or an atomic operation")
	}
	return a.arithmetic(dst, Mov, 0)
}

func isRegisterNext(s scanner) bool {
	_, ok := s.register()
	return ok
}

// same fails unless both operands name the same register the same way.
func (a *assembler) same(dst, src operand) error {
	if dst.reg != src.reg || dst.half != src.half {
		return a.fail(src.at, "the instruction works in place: both registers must be the same")
	}
	return nil
}

func (a *assembler) negate(dst, src operand) error {
	if err := a.same(dst, src); err != nil {
		return err
	}
	class := ClassALU64
	if dst.half {
		class = ClassALU
	}
	a.emit(Instruction{Op: class | Neg, Dst: dst.reg})
	return nil
}

// constant assembles "dst = N" and the two-slot "dst = N ll".
func (a *assembler) constant(dst operand, n number) error {
	if a.take("ll") || a.code == int(LoadImm64) {
		if dst.half {
			return a.fail(dst.at, "a 64-bit immediate needs a 64-bit register")
		}
		v := n.abs
		if n.negative {
			v = -v
		}
		w := LoadImm(dst.reg, v)
		a.emit(w[0], w[1])
		return nil
	}
	e, class := extended, ClassALU64
	if dst.half {
		e, class = low32, ClassALU
	}
	imm, err := a.immediate(n, e)
	if err != nil {
		return err
	}
	a.emit(Instruction{Op: class | Mov, Dst: dst.reg, Imm: imm})
	return nil
}

// signExtend assembles the rest of "dst = (s8)src".
func (a *assembler) signExtend(dst operand) error {
	at := a.pos
	var bits int16
	switch a.word() {
	case "s8":
		bits = 8
	case "s16":
		bits = 16
	case "s32":
		bits = 32
	}
	if bits == 0 || bits == 32 && dst.half {
		return a.fail(at, "expected a type to sign-extend from: s8, s16 or (on 64 bits) s32")
	}
	if err := a.need(")"); err != nil {
		return err
	}
	if !isRegisterNext(a.scanner) {
		return a.expected("a register")
	}
	return a.arithmetic(dst, Mov, bits)
}

// swap assembles "dst = be16 dst" and its kin, if one comes next.
func (a *assembler) swap(dst operand) (bool, error) {
	start := a.scanner
	for _, s := range []struct {
		name string
		op   Opcode
	}{{"be", ClassALU | Endian | SourceX}, {"le", ClassALU | Endian | SourceK}, {"bswap", ClassALU64 | Endian | SourceK}} {
		for _, bits := range []int32{16, 32, 64} {
			if !a.take(s.name + strconv.Itoa(int(bits))) {
				continue
			}
			if dst.half {
				return true, a.fail(dst.at, "byte swaps work on 64-bit registers")
			}
			src, ok := a.register()
			if !ok {
				return true, a.expected("a register")
			}
			if err := a.same(dst, src); err != nil {
				return true, err
			}
			a.emit(Instruction{Op: s.op, Dst: dst.reg, Imm: bits})
			return true, nil
		}
	}
	a.scanner = start
	return false, nil
}

// sizeType takes "(u32 *)" and returns the size; signed for s8, s16, s32.
func (a *assembler) sizeType() (size Opcode, signed bool, err error) {
	if err := a.need("("); err != nil {
		return 0, false, err
	}
	a.blanks()
	at := a.pos
	w := a.word()
	rest, signed := strings.CutPrefix(w, "s")
	if signed {
		w = "u" + rest
	}
	for op, text := range sizeText {
		if w == text && !(signed && op == SizeDW) {
			if err := a.need("*"); err != nil {
				return 0, false, err
			}
			return op, signed, a.need(")")
		}
	}
	return 0, false, a.fail(at, "expected a type: u8, u16, u32, u64 or, for loads, s8, s16, s32")
}

// unsignedType is sizeType where nothing is sign-extended.
func (a *assembler) unsignedType() (Opcode, error) {
	a.blanks()
	at := a.pos
	size, signed, err := a.sizeType()
	if err == nil && signed {
		err = a.fail(at, "only loads into a register sign-extend")
	}
	return size, err
}

// address takes "(r1 +4)".
func (a *assembler) address() (base Register, off int16, err error) {
	if err := a.need("("); err != nil {
		return 0, 0, err
	}
	reg, err := a.needRegister(false)
	if err != nil {
		return 0, 0, err
	}
	if a.take(")") {
		return reg.reg, 0, nil
	}
	if !a.signNext() {
		return 0, 0, a.expected("an offset such as +4")
	}
	v, err := a.needNumber("the offset", 16)
	if err != nil {
		return 0, 0, err
	}
	return reg.reg, int16(v), a.need(")")
}

// load assembles the rest of "dst = *(u32 *)(src +4)" and of packet loads.
// Loads that clear the upper half may say w, as clang does.
func (a *assembler) load(dst operand) error {
	a.blanks()
	at := a.pos
	size, signed, err := a.sizeType()
	if err != nil {
		return err
	}
	if dst.half && (signed || size == SizeDW) {
		return a.fail(dst.at, "this load fills 64 bits: write r%d", dst.reg)
	}
	if a.take("skb") {
		if size == SizeDW || signed {
			return a.fail(at, "packet loads are of type u8, u16 or u32")
		}
		return a.packetLoad(dst, size)
	}
	src, off, err := a.address()
	if err != nil {
		return err
	}
	mode := ModeMEM
	if signed {
		mode = ModeMEMSX
	}
	a.emit(Instruction{Op: ClassLDX | mode | size, Dst: dst.reg, Src: src, Off: off})
	return nil
}

// packetLoad assembles the rest of "r0 = *(u8 *)skb[r1 + 14]".
func (a *assembler) packetLoad(dst operand, size Opcode) error {
	if dst.reg != R0 {
		return a.fail(dst.at, "packet loads go to r0")
	}
	if err := a.need("["); err != nil {
		return err
	}
	ins := Instruction{Op: ClassLD | ModeABS | size}
	if isRegisterNext(a.scanner) {
		src, err := a.needRegister(false)
		if err != nil {
			return err
		}
		ins.Op, ins.Src = ClassLD|ModeIND|size, src.reg
		if a.take("]") {
			a.emit(ins)
			return nil
		}
		if next := a.scanner; next.take("+") && next.signNext() {
			a.scanner = next // the kernel writes "r1 + -4"
		}
		if !a.signNext() {
			return a.expected("an offset such as + 4")
		}
	}
	imm, err := a.needImmediate(pattern)
	if err != nil {
		return err
	}
	ins.Imm = imm
	a.emit(ins)
	return a.need("]")
}

// store assembles the rest of "*(u32 *)(dst +4) = src|imm".
func (a *assembler) store() error {
	size, err := a.unsignedType()
	if err != nil {
		return err
	}
	dst, off, err := a.address()
	if err != nil {
		return err
	}
	if err := a.need("="); err != nil {
		return err
	}
	if isRegisterNext(a.scanner) {
		src, err := a.needRegister(size != SizeDW)
		a.emit(Store(size, dst, off, src.reg))
		return err
	}
	e := low32
	if size == SizeDW {
		e = extended
	}
	imm, err := a.needImmediate(e)
	a.emit(StoreImm(size, dst, off, imm))
	return err
}
