package amd64

// An opcode is one to three bytes, the last of them lowest: 0x89, 0x0fb6,
// 0x0f38f0.
type opcode uint32

// sized returns the opcode for operands of w bytes, from the one for bytes: in
// nearly all families bit 0 means "wider than a byte".
func sized(op opcode, w Width) opcode {
	if w != W8 {
		op |= 1
	}
	return op
}

// Prefixes, which stand in this order: operand size, LOCK, REX.
const (
	prefix16   = 0x66 // the operand has 16 bits instead of 32
	prefixLock = 0xf0
	rexBase    = 0x40 // REX without a bit: the byte registers 4 to 7 are SPL to DIL, not AH to BH
	rexW       = 0x48 // REX.W: the operand has 64 bits
)

// start begins an instruction on operands of w bytes and returns the REX bits
// which that width needs.
func (a *Assembler) start(w Width) byte {
	switch w {
	case W16:
		a.buf = append(a.buf, prefix16)
	case W64:
		return rexW
	case W8, W32:
	default:
		panic("amd64: a width is 1, 2, 4 or 8")
	}
	return 0
}

// byteRex returns the REX prefix that r needs to be named as a byte.
func byteRex(r Reg) byte {
	if r >= RSP {
		return rexBase
	}
	return 0
}

// regForm writes an instruction of two registers, both w bytes wide; rm is the
// one whose place might be memory.
func (a *Assembler) regForm(w Width, op opcode, reg, rm Reg) {
	rex := a.start(w)
	if w == W8 {
		rex |= byteRex(reg) | byteRex(rm)
	}
	a.regOperands(rex, op, reg, rm)
}

// digitForm is regForm where digit stands in place of the register: the manuals
// write /0 to /7. It tells instructions of one opcode apart.
func (a *Assembler) digitForm(w Width, op opcode, digit byte, rm Reg) {
	checkDigit(digit)
	rex := a.start(w)
	if w == W8 {
		rex |= byteRex(rm)
	}
	a.regOperands(rex, op, Reg(digit), rm)
}

// memForm writes an instruction of a register of w bytes and memory.
func (a *Assembler) memForm(w Width, op opcode, reg Reg, m Mem) {
	rex := a.start(w)
	if w == W8 {
		rex |= byteRex(reg)
	}
	a.memOperands(rex, op, reg, m)
}

// lockForm is memForm made atomic.
func (a *Assembler) lockForm(w Width, op opcode, reg Reg, m Mem) {
	rex := a.start(w)
	if w == W8 {
		rex |= byteRex(reg)
	}
	a.buf = append(a.buf, prefixLock)
	a.memOperands(rex, op, reg, m)
}

// memDigitForm is memForm with a digit in place of the register.
func (a *Assembler) memDigitForm(w Width, op opcode, digit byte, m Mem) {
	checkDigit(digit)
	rex := a.start(w)
	a.memOperands(rex, op, Reg(digit), m)
}

func checkDigit(digit byte) {
	if digit > 7 {
		panic("amd64: no such operation")
	}
}

// regOperands writes REX, if it is needed, opcode and ModRM of two registers.
func (a *Assembler) regOperands(rex byte, op opcode, reg, rm Reg) {
	if reg|rm > R15 {
		panic("amd64: no such register")
	}
	rex |= byte(reg>>3)<<2 | byte(rm>>3)
	b := appendOpcode(a.buf, rex, op)
	a.buf = append(b, modReg|byte(reg&7)<<3|byte(rm&7))
}

// memOperands writes REX, if it is needed, opcode, ModRM, SIB and displacement.
func (a *Assembler) memOperands(rex byte, op opcode, reg Reg, m Mem) {
	if reg > R15 {
		panic("amd64: no such register")
	}
	m = m.simplified()
	rex |= byte(reg>>3)<<2 | m.rex()
	b := appendOpcode(a.buf, rex, op)
	a.buf = appendMem(b, byte(reg&7)<<3, m)
}

// opcodeReg writes an instruction that has its register in the opcode.
func (a *Assembler) opcodeReg(w Width, op opcode, r Reg) {
	if r > R15 {
		panic("amd64: no such register")
	}
	rex := a.start(w) | byte(r>>3)
	a.buf = appendOpcode(a.buf, rex, op|opcode(r&7))
}

func appendOpcode(b []byte, rex byte, op opcode) []byte {
	if rex != 0 {
		b = append(b, rex|rexBase)
	}
	switch {
	case op <= 0xff:
		return append(b, byte(op))
	case op <= 0xffff:
		return append(b, byte(op>>8), byte(op))
	}
	return append(b, byte(op>>16), byte(op>>8), byte(op))
}

// imm writes an immediate of w bytes, of four if w is 8.
func (a *Assembler) imm(w Width, v int32) {
	switch w {
	case W8:
		a.buf = append(a.buf, byte(v))
	case W16:
		a.buf = append(a.buf, byte(v), byte(v>>8))
	default:
		a.buf = append32(a.buf, v)
	}
}

// signed returns v as a signed number of w bytes, so that 0xfff0 in two bytes is
// -16, which fits one.
func signed(w Width, v int32) int32 {
	s := v
	switch w {
	case W8:
		s = int32(int8(v))
	case W16:
		s = int32(int16(v))
	}
	if s != v && v>>(8*w) != 0 {
		panic("amd64: an immediate that does not fit its width")
	}
	return s
}

func fits8(v int32) bool { return v == int32(int8(v)) }

// The fields of a VEX prefix that choose an instruction: the opcode map, the same
// for all that are here, and the prefix that it implies.
const (
	vex0F38 = 2

	vex66 = 1
	vexF3 = 2
	vexF2 = 3
)

// vexForm writes an instruction of three registers with the three-byte VEX
// prefix, the only one for the opcode map 0F38. Its register bits are those of
// REX, inverted; vvvv holds the second operand.
func (a *Assembler) vexForm(w Width, implied, op byte, reg, vvvv, rm Reg) {
	if reg|vvvv|rm > R15 {
		panic("amd64: no such register")
	}
	var w64 byte
	switch w {
	case W64:
		w64 = 0x80
	case W32:
	default:
		panic("amd64: BMI2 knows 32 and 64 bits only")
	}
	a.buf = append(a.buf, 0xc4,
		byte(^reg>>3&1)<<7|1<<6|byte(^rm>>3&1)<<5|vex0F38,
		w64|byte(^vvvv&15)<<3|implied,
		op, modReg|byte(reg&7)<<3|byte(rm&7))
}
