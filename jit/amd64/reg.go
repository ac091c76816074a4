package amd64

import "strconv"

// A Reg is a general-purpose register. Its number is the one of the encoding:
// the low three bits stand in the instruction, the fourth in its REX prefix.
type Reg uint8

// The general-purpose registers.
const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15

	// NoReg stands for the base or the index that a [Mem] does not have.
	NoReg Reg = 0xff
)

// An XReg is one of the sixteen vector registers XMM0 to XMM15.
type XReg uint8

// A Width is the size of an operand in bytes.
type Width uint8

// The widths of general-purpose operands.
const (
	W8  Width = 1
	W16 Width = 2
	W32 Width = 4
	W64 Width = 8
)

var legacyNames = [8]string{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"}

// String returns the name of the whole register, as rax or r8.
func (r Reg) String() string { return r.Name(W64) }

// Name returns the name of the low w bytes of the register: al, ax, eax, rax.
func (r Reg) Name(w Width) string {
	switch {
	case r == NoReg:
		return "none"
	case r > R15:
		return "reg" + strconv.Itoa(int(r))
	case r >= R8:
		return "r" + strconv.Itoa(int(r)) + map[Width]string{W8: "b", W16: "w", W32: "d"}[w]
	case w == W8 && r < RSP:
		return legacyNames[r][:1] + "l"
	case w == W8:
		return legacyNames[r] + "l"
	}
	return map[Width]string{W32: "e", W64: "r"}[w] + legacyNames[r]
}
