package ebpf

// A form is a group of opcodes that use the fields of an instruction in the
// same way. The table forms is the one place that says which opcodes exist;
// the validator and the disassembler both switch on it.
type form uint8

const (
	formUnknown      form = iota
	formArithmetic        // dst op= src|imm
	formDivide            // dst op= src|imm, signed by Off
	formMove              // dst = src|imm, sign-extending by Off
	formNegate            // dst = -dst
	formSwap              // dst = be16 dst and its kin, width in Imm
	formJump              // goto Off
	formLongJump          // gotol Imm
	formMayGoto           // may_goto Off
	formBranch            // if dst op src|imm goto Off
	formCall              // call, kind in Src
	formCallRegister      // callx dst
	formExit              // exit
	formLoad              // dst = *(size *)(src + Off)
	formStore             // *(size *)(dst + Off) = src
	formStoreImm          // *(size *)(dst + Off) = imm
	formAtomic            // operation in Imm
	formPacketAbs         // r0 = *(size *)skb[Imm]
	formPacketInd         // r0 = *(size *)skb[src + Imm]
	formWide              // dst = 64 bits, kind in Src, two slots
)

// forms gives the form of every opcode that RFC 9669 defines, that Linux
// accepts beside it (may_goto), or that compilers emit for a call through a
// pointer and no kernel up to 6.18 loads (callx). What is missing on purpose:
// goto by register (0x0d).
var forms = buildForms()

func buildForms() (t [256]form) {
	for _, class := range []Opcode{ClassALU, ClassALU64} {
		for _, source := range []Opcode{SourceK, SourceX} {
			for _, op := range []Opcode{Add, Sub, Mul, Or, And, Lsh, Rsh, Xor, Arsh} {
				t[class|source|op] = formArithmetic
			}
			t[class|source|Div] = formDivide
			t[class|source|Mod] = formDivide
			t[class|source|Mov] = formMove
		}
		t[class|Neg] = formNegate
	}
	t[ClassALU|Endian|SourceK] = formSwap // to little endian
	t[ClassALU|Endian|SourceX] = formSwap // to big endian
	t[ClassALU64|Endian|SourceK] = formSwap

	for _, class := range []Opcode{ClassJMP, ClassJMP32} {
		for _, source := range []Opcode{SourceK, SourceX} {
			for _, op := range []Opcode{Jeq, Jgt, Jge, Jset, Jne, Jsgt, Jsge, Jlt, Jle, Jslt, Jsle} {
				t[class|source|op] = formBranch
			}
		}
	}
	t[ClassJMP|Ja] = formJump
	t[ClassJMP32|Ja] = formLongJump
	t[ClassJMP|Jcond] = formMayGoto
	t[ClassJMP|Call] = formCall
	t[CallX] = formCallRegister
	t[ClassJMP|Exit] = formExit

	for _, size := range []Opcode{SizeB, SizeH, SizeW, SizeDW} {
		t[ClassLDX|ModeMEM|size] = formLoad
		t[ClassST|ModeMEM|size] = formStoreImm
		t[ClassSTX|ModeMEM|size] = formStore
		t[ClassSTX|ModeATOMIC|size] = formAtomic
	}
	for _, size := range []Opcode{SizeB, SizeH, SizeW} {
		t[ClassLDX|ModeMEMSX|size] = formLoad
		t[ClassLD|ModeABS|size] = formPacketAbs
		t[ClassLD|ModeIND|size] = formPacketInd
	}
	t[LoadImm64] = formWide
	return t
}

// fields says which fields of an instruction mean something; the others are
// reserved and must be 0 (RFC 9669 §3).
type fields struct{ dst, src, off, imm bool }

// used returns the fields that an instruction uses by its form and source bit.
func (ins Instruction) used() fields {
	x := ins.Op.Source() == SourceX
	switch forms[ins.Op] {
	case formArithmetic:
		return fields{dst: true, src: x, imm: !x}
	case formDivide:
		return fields{dst: true, src: x, imm: !x, off: true}
	case formMove:
		return fields{dst: true, src: x, imm: !x, off: x}
	case formNegate, formCallRegister:
		return fields{dst: true}
	case formSwap:
		return fields{dst: true, imm: true}
	case formJump, formMayGoto:
		return fields{off: true}
	case formLongJump, formPacketAbs:
		return fields{imm: true}
	case formBranch:
		return fields{dst: true, src: x, off: true, imm: !x}
	case formCall:
		return fields{src: true, imm: true, off: ins.Src == CallKfunc}
	case formLoad, formStore:
		return fields{dst: true, src: true, off: true}
	case formStoreImm:
		return fields{dst: true, off: true, imm: true}
	case formAtomic:
		return fields{dst: true, src: true, off: true, imm: true}
	case formPacketInd:
		return fields{src: true, imm: true}
	case formWide:
		return fields{dst: true, src: true, imm: true}
	}
	return fields{} // formExit, formUnknown
}

// Width returns the slots that the instruction takes: 2 for the first slot of
// a 64-bit immediate load, 1 otherwise.
func (ins Instruction) Width() int {
	if ins.Op == LoadImm64 {
		return 2
	}
	return 1
}

// writes returns the register that the instruction writes, if it writes one
// of its operands. What a call and a packet load do to R0 to R5 is not meant.
func (ins Instruction) writes() (Register, bool) {
	switch forms[ins.Op] {
	case formArithmetic, formDivide, formMove, formNegate, formSwap, formLoad, formWide:
		return ins.Dst, true
	case formAtomic:
		switch {
		case ins.Imm == LoadAcquire:
			return ins.Dst, true
		case ins.Imm == AtomicCmpXchg:
			return R0, true
		case ins.Imm&AtomicFetch != 0:
			return ins.Src, true
		}
	}
	return 0, false
}

// Target returns the index that the instruction at index may jump to or call,
// or name as a function (a jump, a branch, a local call, a function address).
// The result may lie outside the program.
func (ins Instruction) Target(index int) (target int, ok bool) {
	switch forms[ins.Op] {
	case formJump, formMayGoto, formBranch:
		return index + 1 + int(ins.Off), true
	case formLongJump:
		return index + 1 + int(ins.Imm), true
	case formCall:
		return index + 1 + int(ins.Imm), ins.Src == CallLocal
	case formWide:
		return index + 1 + int(ins.Imm), ins.Src == WideFunc
	}
	return 0, false
}

// shortDistance reports whether the distance to the target is in Off, with 16
// bits, and not in Imm.
func (ins Instruction) shortDistance() bool {
	switch forms[ins.Op] {
	case formJump, formBranch, formMayGoto:
		return true
	}
	return false
}
