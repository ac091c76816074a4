package amd64

// A jump to a label. It has two forms: an 8-bit displacement (2 bytes), or a
// 32-bit one (5 bytes, 6 with a condition). Which, Finish decides.
type jump struct {
	at    int32 // where its two bytes are reserved in Assembler.buf
	dist  int32 // from its end to the label, while Finish looks for the form
	shift int32 // by how much the jumps before it grew
	label Label
	op    byte // opcode of the short form
	long  bool
}

const (
	shortJmp  = 0xeb
	longJmp   = 0xe9
	shortJcc  = 0x70 // plus the condition
	longJcc   = 0x80 // behind 0x0f, plus the condition
	shortSize = 2
)

// growth is the difference in size of the two forms.
func (j *jump) growth() int32 {
	if j.op == shortJmp {
		return 3
	}
	return 4
}

// Jmp jumps to l.
func (a *Assembler) Jmp(l Label) { a.jump(shortJmp, l) }

// Jcc jumps to l if the condition holds.
func (a *Assembler) Jcc(c Cond, l Label) { a.jump(shortJcc|byte(c.bits()), l) }

func (a *Assembler) jump(op byte, l Label) {
	a.jumps = append(a.jumps, jump{at: int32(len(a.buf)), label: l, op: op})
	a.buf = append(a.buf, op, 0)
}

// JmpReg jumps to the address in r.
func (a *Assembler) JmpReg(r Reg) { a.digitForm(W32, 0xff, 4, r) }

// JmpMem jumps to the address that lies at m.
func (a *Assembler) JmpMem(m Mem) { a.memDigitForm(W32, 0xff, 4, m) }

// Ret jumps to the address on the stack, and takes it off.
func (a *Assembler) Ret() { a.buf = append(a.buf, 0xc3) }

// Ud2 is the instruction that is always invalid: it traps.
func (a *Assembler) Ud2() { a.buf = append(a.buf, 0x0f, 0x0b) }

// nops are the longest instructions without effect that all processors decode
// fast: nop, with prefixes and memory operands that are not read.
var nops = [...]string{
	"", "\x90", "\x66\x90", "\x0f\x1f\x00", "\x0f\x1f\x40\x00", "\x0f\x1f\x44\x00\x00",
	"\x66\x0f\x1f\x44\x00\x00", "\x0f\x1f\x80\x00\x00\x00\x00",
	"\x0f\x1f\x84\x00\x00\x00\x00\x00", "\x66\x0f\x1f\x84\x00\x00\x00\x00\x00",
}

// Nop fills n bytes with as few instructions without effect as possible.
func (a *Assembler) Nop(n int) {
	for n > 0 {
		k := min(n, len(nops)-1)
		a.buf = append(a.buf, nops[k]...)
		n -= k
	}
}
