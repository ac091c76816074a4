package amd64

// A Cond is a condition on the flags, as the last comparison left them.
type Cond uint8

// The conditions, numbered as in the encoding. Below and above compare unsigned
// numbers, less and greater signed ones.
const (
	CondO  Cond = iota // overflow
	CondNO             // no overflow
	CondB              // below: carry
	CondAE             // above or equal
	CondE              // equal: zero
	CondNE             // not equal
	CondBE             // below or equal
	CondA              // above
	CondS              // sign: negative
	CondNS             // no sign
	CondP              // parity even
	CondNP             // parity odd
	CondL              // less
	CondGE             // greater or equal
	CondLE             // less or equal
	CondG              // greater
)

// Not returns the opposite condition.
func (c Cond) Not() Cond { return c ^ 1 }

// Cmov copies src to dst if the condition holds. With W32 the upper half of dst
// becomes 0 in either case.
func (a *Assembler) Cmov(c Cond, w Width, dst, src Reg) {
	notByte(w)
	a.regForm(w, 0x0f40|c.bits(), dst, src)
}

// Setcc sets the low byte of dst to 1 if the condition holds, to 0 otherwise,
// and leaves the other bytes alone.
func (a *Assembler) Setcc(c Cond, dst Reg) { a.digitForm(W8, 0x0f90|c.bits(), 0, dst) }

func (c Cond) bits() opcode {
	if c > CondG {
		panic("amd64: no such condition")
	}
	return opcode(c)
}
