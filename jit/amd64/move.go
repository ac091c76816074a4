package amd64

// MovRR copies src to dst. With W32, the upper half of dst becomes 0.
func (a *Assembler) MovRR(w Width, dst, src Reg) { a.regForm(w, sized(0x88, w), src, dst) }

// MovRI sets all 64 bits of dst, in 5 to 7 or 10 bytes, and leaves the flags
// alone: for 0 see [Assembler.Zero].
func (a *Assembler) MovRI(dst Reg, imm uint64) {
	switch {
	case imm == uint64(uint32(imm)):
		a.opcodeReg(W32, 0xb8, dst)
		a.imm(W32, int32(uint32(imm)))
	case imm == uint64(int64(int32(imm))):
		a.digitForm(W64, 0xc7, 0, dst)
		a.imm(W32, int32(imm))
	default:
		a.opcodeReg(W64, 0xb8, dst)
		a.imm(W32, int32(uint32(imm)))
		a.imm(W32, int32(uint32(imm>>32)))
	}
}

// Zero sets all 64 bits of dst to 0 with xor, and changes the flags.
func (a *Assembler) Zero(dst Reg) { a.ALU(Xor, W32, dst, dst) }

// Load reads w bytes and extends them with zeroes to all of dst: movzx for
// bytes and words, mov for the others.
func (a *Assembler) Load(w Width, dst Reg, m Mem) {
	switch w {
	case W8:
		a.memForm(W32, 0x0fb6, dst, m)
	case W16:
		a.memForm(W32, 0x0fb7, dst, m)
	default:
		a.memForm(w, 0x8b, dst, m)
	}
}

// LoadSX reads w bytes and extends them by their sign to the width to, W32 or
// W64. With W32 the upper half of dst becomes 0.
func (a *Assembler) LoadSX(w, to Width, dst Reg, m Mem) {
	if w == to {
		a.Load(w, dst, m)
		return
	}
	a.memForm(to, signExtension(w, to), dst, m)
}

// MovZX copies the low w bytes of src to dst and clears the rest of dst.
func (a *Assembler) MovZX(w Width, dst, src Reg) {
	switch w {
	case W8:
		a.regOperands(byteRex(src), 0x0fb6, dst, src)
	case W16:
		a.regForm(W32, 0x0fb7, dst, src)
	default:
		a.MovRR(w, dst, src)
	}
}

// MovSX extends the low w bytes of src by their sign to the width to, W32 or
// W64. With W32 the upper half of dst becomes 0.
func (a *Assembler) MovSX(w, to Width, dst, src Reg) {
	if w == to {
		a.MovRR(w, dst, src)
		return
	}
	rex := a.start(to)
	if w == W8 {
		rex |= byteRex(src)
	}
	a.regOperands(rex, signExtension(w, to), dst, src)
}

// signExtension returns the opcode of movsx or movsxd.
func signExtension(w, to Width) opcode {
	switch {
	case w >= to || to < W32:
		panic("amd64: a sign extends to 32 or 64 bits, from fewer")
	case w == W8:
		return 0x0fbe
	case w == W16:
		return 0x0fbf
	}
	return 0x63
}

// Store writes the low w bytes of src.
func (a *Assembler) Store(w Width, m Mem, src Reg) { a.memForm(w, sized(0x88, w), src, m) }

// StoreImm writes w bytes; eight of them are imm extended by its sign. For
// bytes and words imm may be given as a signed or an unsigned number.
func (a *Assembler) StoreImm(w Width, m Mem, imm int32) {
	a.memDigitForm(w, sized(0xc6, w), 0, m)
	a.imm(w, signed(w, imm))
}

// LoadBE reads w bytes in network order: W16, W32 or W64. W16 leaves the upper
// six bytes of dst as they were. It needs MOVBE.
func (a *Assembler) LoadBE(w Width, dst Reg, m Mem) {
	notByte(w)
	a.memForm(w, 0x0f38f0, dst, m)
}

// notByte panics if w is a byte: the instruction has no form for it.
func notByte(w Width) {
	if w == W8 {
		panic("amd64: this instruction has no form for bytes")
	}
}

// Lea sets dst to the address of m, or to its low half with W32. It is also an
// addition of three operands that leaves the flags alone.
func (a *Assembler) Lea(w Width, dst Reg, m Mem) {
	notByte(w)
	a.memForm(w, 0x8d, dst, m)
}
