package ebpf

// An Instruction is one 8-byte slot of an eBPF program, the decoded form of
// the kernel's struct bpf_insn. A program is a []Instruction, and the index of
// a slot is the one number that jump offsets, the kernel's verifier log, the
// verifier, the engines, coverage and provenance all count in.
//
// A 64-bit immediate load (opcode [LoadImm64], "r1 = 0x… ll") takes two slots
// as in the kernel: the second has opcode 0, registers and offset 0, and holds
// the upper 32 bits in Imm.
type Instruction struct {
	Op  Opcode
	Dst Register
	Src Register
	Off int16
	Imm int32
}

// A Register is one of the ten general registers R0 to R9 or the read-only
// frame pointer R10. The encoding has four bits, so 11 to 15 can be written
// down but are invalid everywhere; R11 (the kernel's hidden BPF_REG_AX) too.
type Register uint8

// The registers and their use in the calling convention of RFC 9669 §2.1: R0
// the return value, R1 to R5 the arguments (lost by a call), R6 to R9 kept
// across calls, R10 the address just above the frame's 512 bytes of stack.
const (
	R0 Register = iota
	R1
	R2
	R3
	R4
	R5
	R6
	R7
	R8
	R9
	R10
	FP = R10
)

// An Opcode is the first byte of an instruction: class in the low three bits;
// for arithmetic and jumps the source bit and the operation above them, for
// loads and stores the size and the mode (RFC 9669 §3).
type Opcode uint8

// Classes (RFC 9669 §3.1).
const (
	ClassLD    Opcode = 0x00 // 64-bit immediate and legacy packet loads
	ClassLDX   Opcode = 0x01 // load into a register
	ClassST    Opcode = 0x02 // store an immediate
	ClassSTX   Opcode = 0x03 // store a register, atomics
	ClassALU   Opcode = 0x04 // 32-bit arithmetic
	ClassJMP   Opcode = 0x05 // 64-bit jumps, call and exit
	ClassJMP32 Opcode = 0x06 // 32-bit jumps
	ClassALU64 Opcode = 0x07 // 64-bit arithmetic
)

// Source bit of arithmetic and jumps: the second operand is Imm or Src.
const (
	SourceK Opcode = 0x00
	SourceX Opcode = 0x08
)

// Arithmetic operations (RFC 9669 §4.1).
const (
	Add    Opcode = 0x00
	Sub    Opcode = 0x10
	Mul    Opcode = 0x20
	Div    Opcode = 0x30 // signed when Off is 1
	Or     Opcode = 0x40
	And    Opcode = 0x50
	Lsh    Opcode = 0x60
	Rsh    Opcode = 0x70
	Neg    Opcode = 0x80
	Mod    Opcode = 0x90 // signed when Off is 1
	Xor    Opcode = 0xa0
	Mov    Opcode = 0xb0 // sign-extending when Off is 8, 16 or 32
	Arsh   Opcode = 0xc0
	Endian Opcode = 0xd0 // byte swaps, width in Imm
)

// Jump operations (RFC 9669 §4.3).
const (
	Ja    Opcode = 0x00 // in class JMP32 the offset is Imm ("gotol")
	Jeq   Opcode = 0x10
	Jgt   Opcode = 0x20
	Jge   Opcode = 0x30
	Jset  Opcode = 0x40
	Jne   Opcode = 0x50
	Jsgt  Opcode = 0x60
	Jsge  Opcode = 0x70
	Call  Opcode = 0x80
	Exit  Opcode = 0x90
	Jlt   Opcode = 0xa0
	Jle   Opcode = 0xb0
	Jslt  Opcode = 0xc0
	Jsle  Opcode = 0xd0
	Jcond Opcode = 0xe0 // may_goto, a Linux extension outside RFC 9669
)

// Sizes of loads and stores (RFC 9669 §5).
const (
	SizeW  Opcode = 0x00 // 4 bytes
	SizeH  Opcode = 0x08 // 2 bytes
	SizeB  Opcode = 0x10 // 1 byte
	SizeDW Opcode = 0x18 // 8 bytes
)

// Modes of loads and stores (RFC 9669 §5).
const (
	ModeIMM    Opcode = 0x00
	ModeABS    Opcode = 0x20 // legacy packet load at Imm
	ModeIND    Opcode = 0x40 // legacy packet load at Src + Imm
	ModeMEM    Opcode = 0x60
	ModeMEMSX  Opcode = 0x80 // sign-extending load
	ModeATOMIC Opcode = 0xc0 // operation in Imm
)

// LoadImm64 is the opcode of the only two-slot instruction.
const LoadImm64 = ClassLD | ModeIMM | SizeDW

// Atomic operations, in Imm (RFC 9669 §5.3); AtomicFetch is or-ed in where the
// old value is wanted. Load-acquire and store-release are Linux extensions.
const (
	AtomicAdd     int32 = 0x00
	AtomicOr      int32 = 0x40
	AtomicAnd     int32 = 0x50
	AtomicXor     int32 = 0xa0
	AtomicFetch   int32 = 0x01
	AtomicXchg    int32 = 0xe0 | AtomicFetch
	AtomicCmpXchg int32 = 0xf0 | AtomicFetch
	LoadAcquire   int32 = 0x100
	StoreRelease  int32 = 0x110
)

// Kinds of call, in Src of a Call instruction (RFC 9669 §4.3.1).
const (
	CallHelper Register = 0 // Imm is the number of a helper function
	CallLocal  Register = 1 // Imm is the distance to a function of the program
	CallKfunc  Register = 2 // Imm is a BTF id: a kernel function
)

// CallX is the opcode of a call by register: Dst holds the address of the
// function. RFC 9669 does not have it; clang from 19 on and GCC emit it so for
// calls through pointers, and older clangs with the register in Imm, which
// package object rewrites.
const CallX = ClassJMP | Call | SourceX

// Kinds of 64-bit immediate, in Src of a [LoadImm64] (RFC 9669 §5.4): what a
// loader puts in place of the two immediates.
const (
	WideValue         Register = 0 // the value itself
	WideMapFD         Register = 1 // address of the map with file descriptor Imm
	WideMapValue      Register = 2 // that of its value, plus the second Imm
	WideBTFID         Register = 3 // address of the kernel variable with BTF id Imm, in the module with BTF descriptor second Imm
	WideFunc          Register = 4 // address of the function of the program at distance Imm, for callbacks
	WideMapIndex      Register = 5 // as WideMapFD, with an index into the loader's descriptor array
	WideMapIndexValue Register = 6 // as WideMapValue, likewise
)

// Class returns the instruction class.
func (op Opcode) Class() Opcode { return op & 0x07 }

// Size returns the size bits of a load or store.
func (op Opcode) Size() Opcode { return op & 0x18 }

// Mode returns the mode bits of a load or store.
func (op Opcode) Mode() Opcode { return op & 0xe0 }

// Source returns SourceK or SourceX for an arithmetic instruction or a jump.
func (op Opcode) Source() Opcode { return op & 0x08 }

// Operation returns the operation bits of an arithmetic instruction or a jump.
func (op Opcode) Operation() Opcode { return op & 0xf0 }

// Bytes returns the width in bytes of a load or store.
func (op Opcode) Bytes() int { return [4]int{4, 2, 1, 8}[op.Size()>>3] }
