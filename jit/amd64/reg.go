package amd64

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

// A Width is the size of an operand in bytes.
type Width uint8

// The widths of general-purpose operands.
const (
	W8  Width = 1
	W16 Width = 2
	W32 Width = 4
	W64 Width = 8
)

var regNames = [16]string{
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
}

// String returns the name of the whole register.
func (r Reg) String() string {
	if r > R15 {
		return "none"
	}
	return regNames[r]
}
