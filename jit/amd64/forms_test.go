package amd64_test

import (
	"fmt"
	"math"
	"strings"

	. "github.com/bpflab/bpflab/jit/amd64"
)

// A form is one instruction among many: where its bytes end in their code and
// the text that must mean them.
type form struct {
	end  Pos
	text string
}

// forms is the product of all methods with registers, memory, widths and
// immediates, in one assembler.
type forms struct {
	Assembler
	rows []form
}

// is says what the bytes since the last call must mean.
func (f *forms) is(format string, args ...any) {
	f.rows = append(f.rows, form{f.Pos(), fmt.Sprintf(format, args...)})
}

// allForms writes every method × registers × memory × widths × immediates.
func allForms() *forms {
	f := new(forms)
	f.addressing()
	f.moves()
	f.memoryMoves()
	f.alu()
	f.aluMemory()
	f.shifts()
	f.products()
	f.atomics()
	f.rest()
	return f
}

var (
	anyWidth  = []Width{W8, W16, W32, W64}
	notByte   = []Width{W16, W32, W64}
	wide      = []Width{W32, W64}
	imm8Edges = []int32{0, 1, -1, 0x7f, -0x80}
	immEdges  = append([]int32{0x80, -0x81, 0x1234, 0x7fff, -0x8000, 0xffff, 0x12345678, math.MaxInt32, math.MinInt32}, imm8Edges...)
	aluNames  = [8]string{"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"}
	condNames = [16]string{"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"}
)

// regs ranges over all registers.
func regs(yield func(Reg) bool) {
	for r := RAX; r <= R15 && yield(r); r++ {
	}
}

// pairs ranges over all pairs of registers.
func pairs(yield func(x, y Reg) bool) {
	for x := range regs {
		for y := range regs {
			if !yield(x, y) {
				return
			}
		}
	}
}

// name is the name of the low w bytes of a register.
func name(r Reg, w Width) string {
	s := r.String()
	switch {
	case r >= R8:
		return s + map[Width]string{W8: "b", W16: "w", W32: "d"}[w]
	case w == W8:
		return strings.TrimSuffix(s[1:], "x") + "l"
	}
	return map[Width]string{W32: "e", W64: "r"}[w] + s[1:]
}

// mem is the text of a memory operand.
func mem(m Mem, w Width) string {
	var terms []string
	if m.Base != NoReg {
		terms = append(terms, m.Base.String())
	}
	switch {
	case m.Index == NoReg:
	case m.Scale <= 1:
		terms = append(terms, m.Index.String())
	default:
		terms = append(terms, fmt.Sprintf("%d*%v", m.Scale, m.Index))
	}
	s := strings.Join(terms, "+")
	switch {
	case s == "":
		s = fmt.Sprintf("%#x", m.Disp)
	case m.Disp != 0:
		s += fmt.Sprintf("%+#x", m.Disp)
	}
	size := map[Width]string{W8: "byte ptr ", W16: "word ptr ", W32: "dword ptr ", W64: "qword ptr "}[w]
	return size + "[" + s + "]"
}

// fits says whether imm is a signed number of w bytes.
func fits(imm int32, w Width) bool { return imm>>(8*min(w, W32)-1) == imm>>31 }

// immediate is the text of an immediate of w bytes.
func immediate(imm int32, w Width) string {
	if w == W8 {
		return fmt.Sprintf("%#x", uint8(imm))
	}
	return fmt.Sprintf("%#x", imm)
}

// places are memory operands of every shape, with the registers that are
// special in some place.
var places = []Mem{
	At(RAX, 0), At(RSP, 0), At(RBP, 0), At(RSI, 0), At(R8, 0), At(R12, 0), At(R13, 0),
	At(RCX, 127), At(RSP, -128), At(R12, 64), At(R13, 1), At(RBX, 128), At(RSP, -129), At(R12, 0x12345678), At(R13, math.MinInt32),
	AtIndex(RAX, RBP, 0), AtIndex(RBP, RAX, 0), AtIndex(R13, R12, 0), AtIndex(RSP, R15, 8), AtIndex(R14, RDX, 1000),
	{Base: RDI, Index: R9, Scale: 8, Disp: 16}, {Base: R10, Index: RCX, Scale: 4}, {Base: R12, Index: R13, Scale: 2, Disp: -4},
	{Base: NoReg, Index: RBX, Scale: 8}, {Base: NoReg, Index: R12, Scale: 4, Disp: 0x1000}, {Base: NoReg, Index: R13, Scale: 1, Disp: 4},
	{Base: NoReg, Index: NoReg, Disp: 0x7fff0000},
}

// addressing is the product of bases, indices, scales and displacements.
func (f *forms) addressing() {
	for base := RAX; base <= R15+1; base++ {
		for index := RAX; index <= R15+1; index++ {
			for _, scale := range []uint8{0, 1, 2, 4, 8} {
				for _, disp := range []int32{0, 1, 127, -128, 128, -129, math.MaxInt32} {
					m := Mem{base, index, scale, disp}
					if base > R15 {
						m.Base = NoReg
					}
					if index > R15 {
						m.Index = NoReg
					}
					if index == RSP || m.Base == NoReg && m.Index == NoReg && disp < 0 {
						continue // no such form; a disassembler shows 32 bits only
					}
					f.Load(W64, R9, m)
					f.is("mov r9, %s", mem(m, W64))
					f.Store(W8, m, RDI)
					f.is("mov %s, dil", mem(m, W8))
				}
			}
		}
	}
}

func (f *forms) moves() {
	for x, y := range pairs {
		for _, w := range anyWidth {
			f.MovRR(w, x, y)
			f.is("mov %s, %s", name(x, w), name(y, w))
		}
		for _, w := range []Width{W8, W16} {
			f.MovZX(w, x, y)
			f.is("movzx %s, %s", name(x, W32), name(y, w))
			for _, to := range wide {
				f.MovSX(w, to, x, y)
				f.is("movsx %s, %s", name(x, to), name(y, w))
			}
		}
		f.MovSX(W32, W64, x, y)
		f.is("movsxd %s, %s", name(x, W64), name(y, W32))
		for _, w := range wide {
			f.MovZX(w, x, y)
			f.is("mov %s, %s", name(x, w), name(y, w))
			f.MovSX(w, w, x, y)
			f.is("mov %s, %s", name(x, w), name(y, w))
		}
	}
	for r := range regs {
		f.Zero(r)
		f.is("xor %s, %[1]s", name(r, W32))
		for _, imm := range []uint64{0, 1, 0x7fffffff, 0x80000000, 0xffffffff} {
			f.MovRI(r, imm)
			f.is("mov %s, %#x", name(r, W32), int32(uint32(imm)))
		}
		for _, imm := range []int64{-1, -128, math.MinInt32} {
			f.MovRI(r, uint64(imm))
			f.is("mov %v, %#x", r, imm)
		}
		for _, imm := range []int64{math.MinInt32 - 1, 1 << 32, math.MaxInt64, math.MinInt64, 0x123456789abcdef} {
			f.MovRI(r, uint64(imm))
			f.is("mov %v, %#x", r, uint64(imm))
		}
	}
}

func (f *forms) memoryMoves() {
	for r := range regs {
		for _, m := range places {
			for i, w := range anyWidth {
				f.Load(w, r, m)
				f.is([]string{"movzx", "movzx", "mov", "mov"}[i]+" %s, %s", name(r, max(w, W32)), mem(m, w))
				f.Store(w, m, r)
				f.is("mov %s, %s", mem(m, w), name(r, w))
			}
			for _, w := range []Width{W8, W16} {
				for _, to := range wide {
					f.LoadSX(w, to, r, m)
					f.is("movsx %s, %s", name(r, to), mem(m, w))
				}
			}
			f.LoadSX(W32, W64, r, m)
			f.is("movsxd %s, %s", name(r, W64), mem(m, W32))
			f.LoadSX(W32, W32, r, m)
			f.is("mov %s, %s", name(r, W32), mem(m, W32))
			for _, w := range notByte {
				f.LoadBE(w, r, m)
				f.is("movbe %s, %s", name(r, w), mem(m, w))
				f.Lea(w, r, m)
				f.is("lea %s, %s", name(r, w), mem(m, 0))
			}
		}
	}
	for _, m := range places {
		for _, w := range anyWidth {
			for _, imm := range immEdges {
				if fits(imm, w) {
					f.StoreImm(w, m, imm)
					f.is("mov %s, %s", mem(m, w), immediate(imm, w))
				}
			}
		}
	}
}

func (f *forms) alu() {
	for x, y := range pairs {
		for _, w := range anyWidth {
			for op, mnemonic := range aluNames {
				f.ALU(ALUOp(op), w, x, y)
				f.is("%s %s, %s", mnemonic, name(x, w), name(y, w))
			}
			f.TestRR(w, x, y)
			f.is("test %s, %s", name(x, w), name(y, w))
		}
	}
	for r := range regs {
		for _, w := range anyWidth {
			f.Neg(w, r)
			f.is("neg %s", name(r, w))
			f.Not(w, r)
			f.is("not %s", name(r, w))
			for _, imm := range immEdges {
				if fits(imm, w) {
					f.immediates(w, r, imm)
				}
			}
		}
	}
}

// immediates writes the forms of a register and an immediate that fits it.
func (f *forms) immediates(w Width, r Reg, imm int32) {
	for op, mnemonic := range aluNames {
		f.ALUImm(ALUOp(op), w, r, imm)
		f.is("%s %s, %s", mnemonic, name(r, w), immediate(imm, w))
	}
	f.TestRI(w, r, imm)
	switch {
	case imm >= 0 && imm <= 0x7f:
		w = W8
	case imm >= 0:
		w = min(w, W32)
	}
	f.is("test %s, %s", name(r, w), immediate(imm, w))
}

func (f *forms) aluMemory() {
	for _, m := range places {
		for op, mnemonic := range aluNames {
			for _, w := range anyWidth {
				for r := range regs {
					f.ALULoad(ALUOp(op), w, r, m)
					f.is("%s %s, %s", mnemonic, name(r, w), mem(m, w))
				}
				for _, imm := range immEdges {
					if fits(imm, w) {
						f.ALUMemImm(ALUOp(op), w, m, imm)
						f.is("%s %s, %s", mnemonic, mem(m, w), immediate(imm, w))
					}
				}
			}
		}
		for _, w := range anyWidth {
			for _, imm := range immEdges {
				if fits(imm, w) {
					f.TestMI(w, m, imm)
					f.is("test %s, %s", mem(m, w), immediate(imm, w))
				}
			}
		}
	}
}

func (f *forms) shifts() {
	names := map[ShiftOp]string{Rol: "rol", Ror: "ror", Shl: "shl", Shr: "shr", Sar: "sar"}
	for _, op := range []ShiftOp{Rol, Ror, Shl, Shr, Sar} {
		for r := range regs {
			for _, w := range anyWidth {
				f.Shift(op, w, r)
				f.is("%s %s, cl", names[op], name(r, w))
				for _, n := range []uint8{1, 2, 7, 8, 31, 63} {
					f.ShiftImm(op, w, r, n)
					f.is("%s %s, %#x", names[op], name(r, w), n)
				}
			}
		}
	}
	for x, y := range pairs {
		for _, w := range wide {
			for z := range regs {
				f.Shlx(w, x, y, z)
				f.is("shlx %s, %s, %s", name(x, w), name(y, w), name(z, w))
				f.Shrx(w, x, y, z)
				f.is("shrx %s, %s, %s", name(x, w), name(y, w), name(z, w))
				f.Sarx(w, x, y, z)
				f.is("sarx %s, %s, %s", name(x, w), name(y, w), name(z, w))
			}
		}
	}
}

func (f *forms) products() {
	for x, y := range pairs {
		for _, w := range notByte {
			f.Imul(w, x, y)
			f.is("imul %s, %s", name(x, w), name(y, w))
			for _, imm := range immEdges {
				if fits(imm, w) {
					f.ImulImm(w, x, y, imm)
					f.is("imul %s, %s, %s", name(x, w), name(y, w), immediate(imm, w))
				}
			}
		}
	}
	for r := range regs {
		for _, w := range anyWidth {
			f.Mul(w, r)
			f.is("mul %s", name(r, w))
			f.Div(w, r)
			f.is("div %s", name(r, w))
			f.Idiv(w, r)
			f.is("idiv %s", name(r, w))
		}
		for _, w := range wide {
			f.Bswap(w, r)
			f.is("bswap %s", name(r, w))
		}
	}
	for i, w := range notByte {
		f.Cdq(w)
		f.is("%s", []string{"cwd", "cdq", "cqo"}[i])
	}
}

func (f *forms) atomics() {
	for _, m := range places {
		for r := range regs {
			for _, w := range anyWidth {
				f.Xadd(w, m, r)
				f.is("lock xadd %s, %s", mem(m, w), name(r, w))
				f.Cmpxchg(w, m, r)
				f.is("lock cmpxchg %s, %s", mem(m, w), name(r, w))
				f.Xchg(w, m, r)
				f.is("xchg %s, %s", mem(m, w), name(r, w))
				for op, mnemonic := range aluNames[:Cmp] {
					f.LockALU(ALUOp(op), w, m, r)
					f.is("lock %s %s, %s", mnemonic, mem(m, w), name(r, w))
				}
			}
		}
	}
}

func (f *forms) rest() {
	for _, m := range places {
		if m.Base == NoReg && m.Index == NoReg {
			continue // LLVM takes it for a jump to the address itself
		}
		f.JmpMem(m)
		f.is("jmp %s", mem(m, W64))
	}
	f.Ret()
	f.is("ret")
}
