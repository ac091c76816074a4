package amd64

// A ShiftOp is a shift or a rotation.
type ShiftOp uint8

// The shifts and rotations, numbered as in the encoding. Sar shifts copies of
// the sign in.
const (
	Rol ShiftOp = 0
	Ror ShiftOp = 1
	Shl ShiftOp = 4
	Shr ShiftOp = 5
	Sar ShiftOp = 7
)

// Shift shifts dst by the number in CL, of which the processor takes the low
// six bits for W64, the low five otherwise.
func (a *Assembler) Shift(op ShiftOp, w Width, dst Reg) {
	a.digitForm(w, sized(0xd2, w), byte(op), dst)
}

// ShiftImm shifts dst by n, of which the processor takes as many bits as of CL.
func (a *Assembler) ShiftImm(op ShiftOp, w Width, dst Reg, n uint8) {
	if n == 1 {
		a.digitForm(w, sized(0xd0, w), byte(op), dst)
		return
	}
	a.digitForm(w, sized(0xc0, w), byte(op), dst)
	a.imm(W8, int32(n))
}

// Shlx does dst = src << count, with any register as count, and leaves the flags
// alone. w is W32 or W64. It and the next two need BMI2.
func (a *Assembler) Shlx(w Width, dst, src, count Reg) {
	a.vexForm(w, vex66, 0xf7, dst, count, src)
}

// Shrx does dst = src >> count, shifting zeroes in.
func (a *Assembler) Shrx(w Width, dst, src, count Reg) {
	a.vexForm(w, vexF2, 0xf7, dst, count, src)
}

// Sarx does dst = src >> count, shifting copies of the sign in.
func (a *Assembler) Sarx(w Width, dst, src, count Reg) {
	a.vexForm(w, vexF3, 0xf7, dst, count, src)
}

// Bswap reverses the bytes of r; w is W32 or W64.
func (a *Assembler) Bswap(w Width, r Reg) {
	if w < W32 {
		panic("amd64: bswap knows 32 and 64 bits only")
	}
	a.opcodeReg(w, 0x0fc8, r)
}
