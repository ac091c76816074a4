package verifier

// A Code names the rule that a program breaks. Codes are stable: a number
// never changes its meaning and is not used again.
type Code uint16

// The shape of a program and the ways through it.
const (
	Malformed    Code = 1 // an instruction that ebpf.Validate refuses
	Unreachable  Code = 2 // instructions that no path reaches
	LeavesFunc   Code = 3 // a jump into another function, or falling through into it
	InfiniteLoop Code = 4 // a loop that comes back to the same state
	TooDeep      Code = 5 // more than eight frames
	StackDepth   Code = 6 // the frames of a chain of calls need more than 512 bytes
)

// Memory.
const (
	PacketBounds    Code = 101 // beyond what the program has checked against data_end
	PacketReadOnly  Code = 102 // a store to the packet where programs may not
	StalePointer    Code = 104 // a packet pointer from before the packet may have moved
	NotPointer      Code = 105 // an address that is a number
	MaybeNull       Code = 106 // a pointer that has not been compared with NULL
	Misaligned      Code = 107 // an address that is not a multiple of the width
	StackBounds     Code = 110 // outside of the frame
	StackUnset      Code = 111 // stack bytes that have not been written
	StackVariable   Code = 112 // a variable offset where it must be constant
	MapBounds       Code = 120 // outside of a map's value
	MapReadOnly     Code = 121 // a store to a map that programs may only read
	MapWriteOnly    Code = 122 // a load from a map that programs may only write
	LockedBytes     Code = 123 // the bytes of a spin lock
	RecordBounds    Code = 125 // outside of a ring buffer's record
	SocketField     Code = 126 // no field of the socket
	FlowKeysBounds  Code = 127 // outside of the flow keys
	ContextField    Code = 130 // no such field of the context, not in this width, not for this type
	ContextModified Code = 131 // the context by a pointer that was moved
	ContextStore    Code = 132 // a field that programs of this type may not write
	WrongPointer    Code = 140 // memory behind a pointer that has none for programs
	AtomicMemory    Code = 141 // an atomic operation on memory that has none
)

// Registers and arithmetic.
const (
	Unset            Code = 201 // a register that has not been written
	PointerOperation Code = 202 // arithmetic that pointers do not have
	NullArithmetic   Code = 203 // arithmetic on a pointer that may be NULL
	PointerRange     Code = 204 // an offset beyond what pointers may have
	DivisionByZero   Code = 205 // a constant divisor 0
	ShiftRange       Code = 206 // a constant shift by the width or more
	Pointer32        Code = 207 // 32-bit arithmetic on a pointer
	PointerCut       Code = 208 // a part of a pointer stored or loaded
	MixedPointers    Code = 211 // one instruction, pointers of different kinds
	PointerCompare   Code = 212 // a comparison that pointers do not have
	PointerLeak      Code = 213 // a pointer's value where others can see it
)

// Calls.
const (
	UnknownHelper   Code = 301 // no such helper function here
	HelperType      Code = 302 // not for programs of this type
	HelperGPL       Code = 303 // only for programs under the GPL
	ArgumentKind    Code = 304 // not what the helper takes in that register
	ArgumentMemory  Code = 305 // memory too small, or not set
	ArgumentSize    Code = 306 // a size that may be 0, negative or too large
	MapCall         Code = 307 // a helper that this kind of map does not have
	ArgumentConst   Code = 309 // a number that must be constant
	KernelFunction  Code = 310 // a kernel function, none of which exist here
	AbsentFunction  Code = 311 // a call of what the program should have found absent
	CallbackReturn  Code = 312 // a callback's result out of range
	CallbackContext Code = 313 // a callback where none may be
)

// References and locks.
const (
	Unreleased    Code = 401 // a reference still held at the end
	NotAcquired   Code = 402 // the release of what is not held
	LockTwice     Code = 404 // a second lock
	LockHeld      Code = 405 // a lock still held at the end
	LockedCall    Code = 406 // a call under a lock
	UnlockedWrong Code = 407 // an unlock of what is not locked
)

// What programs return, and legacy packet loads.
const (
	ReturnUnset   Code = 501 // R0 has not been written at the end
	ReturnRange   Code = 502 // a return value that the hook does not have
	LegacyType    Code = 601 // not for programs of this type
	LegacyContext Code = 602 // R6 is not the context
	LegacyHeld    Code = 603 // with a reference or lock held, which the implicit exit would leak
)

// Limits.
const (
	TooComplex Code = 901 // the step budget is used up
	TooLarge   Code = 902 // too many instructions, functions or maps
)
