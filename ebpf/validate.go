package ebpf

import "fmt"

// An Error says what is wrong with an instruction.
type Error struct {
	Index  int // of the slot in the program
	Offset int // of the offending byte in the encoded program
	Msg    string
}

func (e *Error) Error() string {
	return fmt.Sprintf("instruction %d (byte offset %d): %s", e.Index, e.Offset, e.Msg)
}

// Offsets of the fields in an encoded instruction.
const (
	atOp        = 0
	atRegisters = 1
	atOff       = 2
	atImm       = 4
)

// Validate checks that a program is well formed: every opcode known, every
// operand in range, reserved fields 0, wide loads whole, jumps to the first
// slot of an instruction of the program, R10 never written, the last
// instruction one that does not fall through. The error is an [*Error].
//
// These are the rules that need one instruction at a time and that the kernel
// spreads over its verifier (resolve_pseudo_ldimm64, check_subprogs, and the
// "reserved fields" checks of do_check). Two differ: the kernel looks at
// reserved fields in reachable code only and ignores Off of an exit, and it
// refuses constant division by 0 and constant shifts beyond the width, which
// RFC 9669 defines; those two are left to a verifier.
func Validate(prog []Instruction) error {
	if len(prog) == 0 {
		return &Error{Msg: "empty program"}
	}
	last := 0
	for i := 0; i < len(prog); i += prog[i].Width() {
		if err := validateAt(prog, i); err != nil {
			return err
		}
		last = i
	}
	switch forms[prog[last].Op] {
	case formExit, formJump, formLongJump:
	default:
		return problem(last, atOp, "the program runs past its end: the last instruction must be exit or an unconditional jump")
	}
	return validateTargets(prog)
}

func problem(index, field int, format string, args ...any) *Error {
	return &Error{Index: index, Offset: index*InstructionSize + field, Msg: fmt.Sprintf(format, args...)}
}

// validateAt checks the instruction at index i by itself.
func validateAt(prog []Instruction, i int) *Error {
	ins := prog[i]
	if field, msg := ins.fault(); msg != "" {
		return problem(i, field, "%s", msg)
	}
	if forms[ins.Op] != formWide {
		return nil
	}
	if i+1 == len(prog) {
		return problem(i, atOp, "second slot of the 64-bit immediate load is missing")
	}
	next := prog[i+1]
	switch {
	case next.Op != 0:
		return problem(i+1, atOp, "second slot of a 64-bit immediate load has opcode 0x%02x, must be 0", uint8(next.Op))
	case next.Dst != 0 || next.Src != 0:
		return problem(i+1, atRegisters, "second slot of a 64-bit immediate load has registers, must be 0")
	case next.Off != 0:
		return problem(i+1, atOff, "second slot of a 64-bit immediate load has offset %d, must be 0", next.Off)
	}
	switch ins.Src {
	case WideMapFD, WideMapIndex, WideFunc:
		if next.Imm != 0 {
			return problem(i+1, atImm, "second immediate of a 64-bit load of kind %d is %d, must be 0", ins.Src, next.Imm)
		}
	}
	return nil
}

// fault returns what is wrong with the instruction by itself and which field
// has it, or "" if nothing is.
func (ins Instruction) fault() (field int, msg string) {
	if forms[ins.Op] == formUnknown {
		return atOp, fmt.Sprintf("unknown opcode 0x%02x", uint8(ins.Op))
	}
	use := ins.used()
	switch {
	case ins.Dst > R10 || ins.Src > R10:
		return atRegisters, fmt.Sprintf("no register r%d", max(ins.Dst, ins.Src))
	case !use.dst && ins.Dst != 0:
		return atRegisters, fmt.Sprintf("reserved destination register is %d, must be 0", ins.Dst)
	case !use.src && ins.Src != 0:
		return atRegisters, fmt.Sprintf("reserved source register is %d, must be 0", ins.Src)
	case !use.off && ins.Off != 0:
		return atOff, fmt.Sprintf("reserved offset is %d, must be 0", ins.Off)
	case !use.imm && ins.Imm != 0:
		return atImm, fmt.Sprintf("reserved immediate is %d, must be 0", ins.Imm)
	}
	if field, msg := ins.variantFault(); msg != "" {
		return field, msg
	}
	if r, ok := ins.writes(); ok && r == R10 {
		return atRegisters, "r10, the frame pointer, is read-only"
	}
	return 0, ""
}

// variantFault checks the fields that choose between variants of an opcode.
func (ins Instruction) variantFault() (field int, msg string) {
	switch forms[ins.Op] {
	case formDivide:
		if ins.Off != 0 && ins.Off != 1 {
			return atOff, fmt.Sprintf("offset of a division is %d, must be 0 (unsigned) or 1 (signed)", ins.Off)
		}
	case formMove:
		wide := ins.Op.Class() == ClassALU64
		if ins.Off != 0 && ins.Off != 8 && ins.Off != 16 && (ins.Off != 32 || !wide) {
			return atOff, fmt.Sprintf("cannot sign-extend from %d bits here", ins.Off)
		}
	case formSwap:
		if ins.Imm != 16 && ins.Imm != 32 && ins.Imm != 64 {
			return atImm, fmt.Sprintf("cannot swap the bytes of %d bits, only of 16, 32 or 64", ins.Imm)
		}
	case formCall:
		if ins.Src > CallKfunc {
			return atRegisters, fmt.Sprintf("unknown kind of call %d", ins.Src)
		}
	case formWide:
		if ins.Src > WideMapIndexValue {
			return atRegisters, fmt.Sprintf("unknown kind of 64-bit immediate %d", ins.Src)
		}
	case formAtomic:
		return ins.atomicFault()
	}
	return 0, ""
}

// atomicFault checks operation and size: all sizes can be loaded and stored
// with ordering, only words and double words modified.
func (ins Instruction) atomicFault() (field int, msg string) {
	switch ins.Imm {
	case LoadAcquire, StoreRelease:
		return 0, ""
	case AtomicXchg, AtomicCmpXchg:
	default:
		switch ins.Imm &^ AtomicFetch {
		case AtomicAdd, AtomicOr, AtomicAnd, AtomicXor:
		default:
			return atImm, fmt.Sprintf("unknown atomic operation 0x%x", uint32(ins.Imm))
		}
	}
	if ins.Op.Bytes() < 4 {
		return atOp, fmt.Sprintf("no atomic operation on %d bits", 8*ins.Op.Bytes())
	}
	return 0, ""
}

// validateTargets checks that jumps and local calls stay in the program and
// hit no second slot.
func validateTargets(prog []Instruction) error {
	second := make([]bool, len(prog))
	for i := 0; i < len(prog); i += prog[i].Width() {
		if prog[i].Width() == 2 {
			second[i+1] = true
		}
	}
	for i := 0; i < len(prog); i += prog[i].Width() {
		target, ok := prog[i].Target(i)
		if !ok {
			continue
		}
		field := atImm
		if prog[i].shortDistance() {
			field = atOff
		}
		if target < 0 || target >= len(prog) {
			return problem(i, field, "target %d is outside the program of %d slots", target, len(prog))
		}
		if second[target] {
			return problem(i, field, "target %d is the second slot of a 64-bit immediate load", target)
		}
	}
	return nil
}
