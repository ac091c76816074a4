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

// JmpMem jumps to the address that lies at m.
func (a *Assembler) JmpMem(m Mem) { a.memDigitForm(W32, 0xff, 4, m) }

// Ret jumps to the address on the stack, and takes it off.
func (a *Assembler) Ret() { a.buf = append(a.buf, 0xc3) }
