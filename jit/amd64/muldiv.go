package amd64

// Imul does dst = dst * src. The low half of a product is the same for signed
// and unsigned numbers.
func (a *Assembler) Imul(w Width, dst, src Reg) {
	notByte(w)
	a.regForm(w, 0x0faf, dst, src)
}

// ImulImm does dst = src * imm; imm is extended by its sign.
func (a *Assembler) ImulImm(w Width, dst, src Reg, imm int32) {
	notByte(w)
	imm = signed(w, imm)
	if fits8(imm) {
		a.regForm(w, 0x6b, dst, src)
		a.imm(W8, imm)
		return
	}
	a.regForm(w, 0x69, dst, src)
	a.imm(w, imm)
}

// Mul does RDX:RAX = RAX * src, unsigned; EDX:EAX with W32.
func (a *Assembler) Mul(w Width, src Reg) { a.digitForm(w, sized(0xf6, w), 4, src) }

// Div divides RDX:RAX by src, unsigned: the quotient goes to RAX, the remainder
// to RDX. The processor traps if src is 0 or the quotient does not fit.
func (a *Assembler) Div(w Width, src Reg) { a.digitForm(w, sized(0xf6, w), 6, src) }

// Idiv is Div of signed numbers. It also traps for the smallest number divided
// by -1.
func (a *Assembler) Idiv(w Width, src Reg) { a.digitForm(w, sized(0xf6, w), 7, src) }

// Cdq fills RDX with the sign of RAX, or EDX with that of EAX: what stands
// before Idiv. The form for W64 is named cqo, that for W16 cwd.
func (a *Assembler) Cdq(w Width) {
	notByte(w)
	a.opcodeReg(w, 0x99, 0)
}
