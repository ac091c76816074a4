package amd64

// An ALUOp is one of the eight operations that share their encodings.
type ALUOp uint8

// The operations, numbered as in the encoding. Adc and Sbb take the carry flag
// in; Cmp is Sub that keeps only the flags.
const (
	Add ALUOp = iota
	Or
	Adc
	Sbb
	And
	Sub
	Xor
	Cmp
)

// ALU does dst = dst op src.
func (a *Assembler) ALU(op ALUOp, w Width, dst, src Reg) {
	a.regForm(w, sized(op.opcode(), w), src, dst)
}

// ALUImm does dst = dst op imm; imm is extended by its sign to 64 bits.
func (a *Assembler) ALUImm(op ALUOp, w Width, dst Reg, imm int32) {
	imm = signed(w, imm)
	switch {
	case w != W8 && fits8(imm):
		a.digitForm(w, 0x83, byte(op), dst)
		a.imm(W8, imm)
		return
	case dst == RAX: // a form without ModRM
		a.opcodeReg(w, sized(op.opcode()|4, w), 0)
	default:
		a.digitForm(w, sized(0x80, w), byte(op), dst)
	}
	a.imm(w, imm)
}

// ALULoad does dst = dst op m.
func (a *Assembler) ALULoad(op ALUOp, w Width, dst Reg, m Mem) {
	a.memForm(w, sized(op.opcode()|2, w), dst, m)
}

// ALUMemImm does m = m op imm, not atomically. For bytes and words imm may be
// given as a signed or an unsigned number. Processors of Intel decode a 16-bit
// immediate that does not fit a byte slowly.
func (a *Assembler) ALUMemImm(op ALUOp, w Width, m Mem, imm int32) {
	imm = signed(w, imm)
	if w != W8 && fits8(imm) {
		a.memDigitForm(w, 0x83, byte(op), m)
		a.imm(W8, imm)
		return
	}
	a.memDigitForm(w, sized(0x80, w), byte(op), m)
	a.imm(w, imm)
}

// opcode returns the opcode of the form m8 op= r8.
func (op ALUOp) opcode() opcode {
	if op > Cmp {
		panic("amd64: no such operation")
	}
	return opcode(op) << 3
}

// TestRR sets the flags as x & y would.
func (a *Assembler) TestRR(w Width, x, y Reg) { a.regForm(w, sized(0x84, w), y, x) }

// TestRI sets the flags as r & imm would; imm is extended by its sign. Where a
// narrower part of r gives the same flags, it is that part that is tested.
func (a *Assembler) TestRI(w Width, r Reg, imm int32) {
	imm = signed(w, imm)
	switch {
	case imm >= 0 && fits8(imm):
		w = W8 // test has no imm8 form for wider operands
	case imm >= 0 && w == W64:
		w = W32
	}
	if r == RAX {
		a.opcodeReg(w, sized(0xa8, w), 0)
	} else {
		a.digitForm(w, sized(0xf6, w), 0, r)
	}
	a.imm(w, imm)
}

// TestMI sets the flags as m & imm would.
func (a *Assembler) TestMI(w Width, m Mem, imm int32) {
	a.memDigitForm(w, sized(0xf6, w), 0, m)
	a.imm(w, signed(w, imm))
}

// Neg does r = -r.
func (a *Assembler) Neg(w Width, r Reg) { a.digitForm(w, sized(0xf6, w), 3, r) }

// Not does r = ^r, and leaves the flags alone.
func (a *Assembler) Not(w Width, r Reg) { a.digitForm(w, sized(0xf6, w), 2, r) }
