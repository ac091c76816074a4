package vm

// An op is an instruction as the interpreter wants it: one dense number to
// switch on, immediates already extended to 64 bits, jump targets absolute.
// There is one op a slot, so the index of an op is that of its instruction.
type op struct {
	code opcode
	dst  uint8
	src  uint8
	off  int32  // memory offset, or the index of the op to jump to
	imm  uint64 // or the index of a helper in Machine.calls
}

// An opcode is a number of the dense range that the interpreter's switch, a
// jump table, runs over. Arithmetic and jumps come in four forms: with the
// second operand a register or an immediate, on 64 or on 32 bits.
type opcode uint8

const (
	immediate opcode = 1
	narrow    opcode = 2
)

const (
	opAdd opcode = 4 * iota
	opSub
	opMul
	opOr
	opAnd
	opXor
	opLsh
	opRsh
	opArsh
	opMov
	opDiv
	opMod
	opSDiv
	opSMod
	opJeq
	opJne
	opJgt
	opJge
	opJlt
	opJle
	opJset
	opJsgt
	opJsge
	opJslt
	opJsle
	endOfForms
)

// Loads and stores come in one code a width: add log2 of the width in bytes.
// Plain ones are not checked when they run: those whose base is the frame
// pointer are when the program is loaded, because R10 never changes within a
// frame, and those of a program that comes with a proof have been by the
// verifier.
const (
	opLoad          = endOfForms + 4*iota // zero-extending
	opLoadSigned                          // sign-extending, width up to 4
	opStore                               // a register
	opStoreImm                            // an immediate
	opLoadPlain                           // unchecked, zero-extending
	opStorePlain                          // unchecked, a register
	opStoreImmPlain                       // unchecked, an immediate
	opLoadPacket                          // legacy packet load (LD_ABS, LD_IND), width up to 4
	opAtomic                              // width 4 or 8, but for load-acquire and store-release
	endOfWidths
)

const (
	opInvalid   = endOfWidths + iota // second slot of a 64-bit immediate; end of the program
	opLoadImm64                      // skips its second slot
	opNeg
	opNeg32
	opSignExtend   // imm = bits
	opSignExtend32 // imm = bits
	opSwap         // imm = bits, the rest cleared
	opTruncate     // imm = mask
	opJump
	opMayGoto
	opCall
	opMapLookup // opCall of map_lookup_elem, with a short way for the usual case
	opCallLocal
	opCallRegister
	opExit
)
