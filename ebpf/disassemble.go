package ebpf

import (
	"encoding/binary"
	"fmt"
)

// Spelling of operations, as in the kernel's disassembler (kernel/bpf/disasm.c).
// The assembler reads the same tables the other way round.
var (
	arithmeticText = map[Opcode]string{
		Add: "+=", Sub: "-=", Mul: "*=", Div: "/=", Or: "|=", And: "&=", Lsh: "<<=",
		Rsh: ">>=", Mod: "%=", Xor: "^=", Mov: "=", Arsh: "s>>=",
	}
	signedText = map[Opcode]string{Div: "s/=", Mod: "s%="}
	branchText = map[Opcode]string{
		Jeq: "==", Jgt: ">", Jge: ">=", Jset: "&", Jne: "!=", Jsgt: "s>", Jsge: "s>=",
		Jlt: "<", Jle: "<=", Jslt: "s<", Jsle: "s<=",
	}
	sizeText   = map[Opcode]string{SizeB: "u8", SizeH: "u16", SizeW: "u32", SizeDW: "u64"}
	atomicText = map[int32]string{AtomicAdd: "add", AtomicOr: "or", AtomicAnd: "and", AtomicXor: "xor"}
)

// Disassemble returns the text of each slot of a program, in the style of the
// kernel's verifier log: "r0 = *(u32 *)(r1 +4)", "if r1 == 0x5 goto pc+3". The
// second slot of a 64-bit immediate load has the text "". [Assemble] makes the
// same program of the lines.
//
// It departs from the kernel's text where that does not say what the
// instruction is: a 64-bit immediate ends in "ll" as in clang's assembler, and
// one that stands for a map, a variable or a function is written as such. What
// [Validate] refuses as an instruction is shown as "invalid" and its eight
// bytes, which no assembler takes.
func Disassemble(prog []Instruction) []string { return Names{}.Disassemble(prog) }

// Names are what a text calls maps and functions by. A name that the assembler
// would not take ([IsName]), and "", leave the number.
type Names struct {
	Map      func(index int32) string // of the map that a [WideMapFD] or [WideMapValue] load has as its Imm
	Function func(slot int) string    // of the function that starts there
}

// Disassemble is the function of that name with names in place of numbers:
// "r1 = map[hits]", "r2 = subprog[visit]", "call visit". The assembler takes
// that back where the maps are declared in the order of their numbers, and
// the functions are labels.
func (n Names) Disassemble(prog []Instruction) []string {
	text := make([]string, len(prog))
	for i := 0; i < len(prog); i++ {
		if err := validateAt(prog, i); err != nil {
			text[i] = invalidText(prog[i])
			continue
		}
		switch name := n.of(prog, i); {
		case prog[i].Width() == 2:
			text[i] = wideText(prog[i], prog[i+1].Imm, name)
			i++
		case name != "":
			text[i] = "call " + name
		default:
			text[i] = prog[i].text()
		}
	}
	return text
}

// of returns the name of the map or the function that an instruction refers to.
func (n Names) of(prog []Instruction, i int) (name string) {
	ins := prog[i]
	switch form := forms[ins.Op]; {
	case form == formWide && (ins.Src == WideMapFD || ins.Src == WideMapValue):
		if n.Map != nil {
			name = n.Map(ins.Imm)
		}
	case form == formWide, form == formCall:
		if target, ok := ins.Target(i); ok && n.Function != nil {
			name = n.Function(target)
		}
	}
	if !IsName(name) {
		return ""
	}
	return name
}

// invalidText shows the slot as the bytes of its little-endian encoding.
func invalidText(ins Instruction) string {
	return fmt.Sprintf("invalid % x", Append(nil, []Instruction{ins}, binary.LittleEndian))
}

// String returns the instruction in the kernel's style; see [Disassemble]. The
// upper half of a 64-bit immediate, which is in the next slot, is left out.
func (ins Instruction) String() string {
	if _, msg := ins.fault(); msg != "" {
		return invalidText(ins)
	}
	if ins.Op == LoadImm64 {
		return wideText(ins, 0, "")
	}
	return ins.text()
}

// text is the text of a valid one-slot instruction.
func (ins Instruction) text() string {
	switch forms[ins.Op] {
	case formArithmetic, formDivide, formMove, formNegate, formSwap:
		return ins.arithmetic()
	case formJump:
		return fmt.Sprintf("goto pc%+d", ins.Off)
	case formLongJump:
		return fmt.Sprintf("gotol pc%+d", ins.Imm)
	case formMayGoto:
		return fmt.Sprintf("may_goto pc%+d", ins.Off)
	case formBranch:
		return ins.branch()
	case formCall:
		return ins.call()
	case formCallRegister:
		return fmt.Sprintf("callx r%d", ins.Dst)
	case formExit:
		return "exit"
	case formAtomic:
		return ins.atomic()
	}
	return ins.memory()
}

// reg names a register as the instruction's width has it: w for 32 bits.
func (ins Instruction) reg(r Register) string {
	switch ins.Op.Class() {
	case ClassALU, ClassJMP32:
		return fmt.Sprintf("w%d", r)
	}
	return fmt.Sprintf("r%d", r)
}

func (ins Instruction) arithmetic() string {
	dst, op := ins.reg(ins.Dst), ins.Op.Operation()
	switch op {
	case Neg:
		return fmt.Sprintf("%s = -%s", dst, dst)
	case Endian: // the kernel says r, although the class is ALU
		return fmt.Sprintf("r%d = %s%d r%d", ins.Dst, ins.swap(), ins.Imm, ins.Dst)
	}
	text := arithmeticText[op]
	if forms[ins.Op] == formDivide && ins.Off == 1 {
		text = signedText[op]
	}
	switch {
	case ins.Op.Source() == SourceK:
		return fmt.Sprintf("%s %s %d", dst, text, ins.Imm)
	case forms[ins.Op] == formMove && ins.Off != 0:
		return fmt.Sprintf("%s = (s%d)%s", dst, ins.Off, ins.reg(ins.Src))
	}
	return fmt.Sprintf("%s %s %s", dst, text, ins.reg(ins.Src))
}

// swap names a byte swap: to big or little endian, or unconditional.
func (ins Instruction) swap() string {
	switch {
	case ins.Op.Class() == ClassALU64:
		return "bswap"
	case ins.Op.Source() == SourceX:
		return "be"
	}
	return "le"
}

// branch shows an immediate as the kernel does, as 32 bits in hexadecimal:
// 0xffffffff is -1, also in a comparison on 64 bits.
func (ins Instruction) branch() string {
	right := fmt.Sprintf("0x%x", uint32(ins.Imm))
	if ins.Op.Source() == SourceX {
		right = ins.reg(ins.Src)
	}
	return fmt.Sprintf("if %s %s %s goto pc%+d", ins.reg(ins.Dst), branchText[ins.Op.Operation()], right, ins.Off)
}

func (ins Instruction) call() string {
	switch {
	case ins.Src == CallLocal:
		return fmt.Sprintf("call pc%+d", ins.Imm)
	case ins.Src == CallKfunc && ins.Off != 0: // the index of the module's BTF, ours
		return fmt.Sprintf("call kernel-function#%d[%d]", ins.Imm, ins.Off)
	case ins.Src == CallKfunc:
		return fmt.Sprintf("call kernel-function#%d", ins.Imm)
	}
	name := HelperName(ins.Imm)
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("call %s#%d", name, ins.Imm)
}

func (ins Instruction) memory() string {
	size := sizeText[ins.Op.Size()]
	switch forms[ins.Op] {
	case formLoad:
		if ins.Op.Mode() == ModeMEMSX {
			size = "s" + size[1:]
		}
		return fmt.Sprintf("r%d = *(%s *)(r%d %+d)", ins.Dst, size, ins.Src, ins.Off)
	case formStore:
		return fmt.Sprintf("*(%s *)(r%d %+d) = r%d", size, ins.Dst, ins.Off, ins.Src)
	case formStoreImm:
		return fmt.Sprintf("*(%s *)(r%d %+d) = %d", size, ins.Dst, ins.Off, ins.Imm)
	case formPacketAbs:
		return fmt.Sprintf("r0 = *(%s *)skb[%d]", size, ins.Imm)
	}
	return fmt.Sprintf("r0 = *(%s *)skb[r%d + %d]", size, ins.Src, ins.Imm) // formPacketInd
}

func (ins Instruction) atomic() string {
	size, name := sizeText[ins.Op.Size()], "atomic"
	if ins.Op.Size() == SizeDW {
		name = "atomic64"
	}
	place := fmt.Sprintf("(%s *)(r%d %+d)", size, ins.Dst, ins.Off)
	switch ins.Imm {
	case LoadAcquire:
		return fmt.Sprintf("r%d = load_acquire((%s *)(r%d %+d))", ins.Dst, size, ins.Src, ins.Off)
	case StoreRelease:
		return fmt.Sprintf("store_release(%s, r%d)", place, ins.Src)
	case AtomicXchg:
		return fmt.Sprintf("r%d = %s_xchg(%s, r%d)", ins.Src, name, place, ins.Src)
	case AtomicCmpXchg:
		return fmt.Sprintf("r0 = %s_cmpxchg(%s, r0, r%d)", name, place, ins.Src)
	}
	if ins.Imm&AtomicFetch != 0 {
		return fmt.Sprintf("r%d = %s_fetch_%s(%s, r%d)", ins.Src, name, atomicText[ins.Imm&^AtomicFetch], place, ins.Src)
	}
	return fmt.Sprintf("lock *%s %s r%d", place, arithmeticText[Opcode(ins.Imm)], ins.Src)
}

// wideText is the text of a 64-bit immediate load whose upper half is high.
// Map references are written as bpftool does, with what identifies the map
// before it is loaded, or its name, in place of the id that it has afterwards.
func wideText(ins Instruction, high int32, name string) string {
	dst := fmt.Sprintf("r%d = ", ins.Dst)
	or := func(number string) string {
		if name != "" {
			return name
		}
		return fmt.Sprintf(number, ins.Imm)
	}
	switch ins.Src {
	case WideMapFD:
		return dst + fmt.Sprintf("map[%s]", or("fd:%d"))
	case WideMapValue:
		return dst + fmt.Sprintf("map[%s][0]%+d", or("fd:%d"), high)
	case WideMapIndex:
		return dst + fmt.Sprintf("map[idx:%d]", ins.Imm)
	case WideMapIndexValue:
		return dst + fmt.Sprintf("map[idx:%d][0]%+d", ins.Imm, high)
	case WideFunc:
		return dst + fmt.Sprintf("subprog[%s]", or("%+d"))
	case WideBTFID:
		return dst + fmt.Sprintf("btf[id:%d fd:%d]", ins.Imm, high)
	}
	return dst + fmt.Sprintf("0x%x ll", uint64(uint32(high))<<32|uint64(uint32(ins.Imm)))
}
