package verifier

// A Rule is what a code stands for.
type Rule struct {
	Code   Code   `json:"code"`
	Title  string `json:"title"`
	Rule   string `json:"rule"`   // what programs must do
	Kernel string `json:"kernel"` // what the kernel's verifier (Linux 6.18) says of the same thing, for example
	Faults bool   `json:"faults"` // a run that breaks the rule can be stopped by the machine, so that there can be a witness
}

// Rules returns the rules, in the order of their codes.
func Rules() []Rule { return append([]Rule(nil), rules...) }

// rule returns the rule that the code stands for.
func (c Code) rule() Rule {
	for _, r := range rules {
		if r.Code == c {
			return r
		}
	}
	panic("verifier: a code without a rule")
}

// CanFault reports whether a run that breaks the rule can be stopped by a
// machine that checks every access, so that it makes sense to look for one.
func (c Code) CanFault() bool { return c.rule().Faults }

var rules = []Rule{
	{Malformed, "malformed program", "Every instruction is one of RFC 9669, with unused fields 0, and jumps go to the start of an instruction.",
		"frame pointer is read only / invalid atomic operand size", false},
	{Unreachable, "unreachable code", "Every instruction lies on some way from the start through the jumps.",
		"unreachable insn 2", false},
	{LeavesFunc, "jump out of a function", "Jumps stay in their function, which ends with an exit or a jump.",
		"jump out of range from insn 1 to 5 / last insn is not an exit or jmp", false},
	{InfiniteLoop, "endless loop", "Every loop changes something that ends it.",
		"infinite loop detected at insn 1", true},
	{TooDeep, "too many frames", "At most eight functions are in progress at once.",
		"the call stack of 9 frames is too deep", false},
	{StackDepth, "too much stack", "The frames of a chain of calls have 512 bytes together.",
		"combined stack size of 2 calls is 528. Too large", false},

	{PacketBounds, "packet bounds", "Only bytes of the packet that a comparison with data_end has shown to be there may be touched.",
		"invalid access to packet, off=14 size=1, R2(id=0,off=14,r=0)", true},
	{PacketReadOnly, "read-only packet", "Programs of this type may read the packet, not write it.",
		"cannot write into packet", true},
	{StalePointer, "stale packet pointer", "What may move the packet ends all pointers into it: they must be loaded and checked anew.",
		"R7 invalid mem access 'scalar'", true},
	{NotPointer, "number as address", "Addresses come from pointers; a number is none.",
		"R1 invalid mem access 'scalar'", true},
	{MaybeNull, "pointer may be NULL", "A pointer that may be NULL is compared with NULL before it is followed.",
		"R0 invalid mem access 'map_value_or_null'", true},
	{Misaligned, "misaligned access", "Accesses to the stack and atomic operations are at multiples of their width.",
		"misaligned stack access off 0+0+-12 size 8", false},
	{StackBounds, "stack bounds", "A function's stack is the 512 bytes below R10.",
		"invalid read from stack R2 off=84 size=1", true},
	{StackUnset, "unset stack", "Bytes of the stack are written before they are read.",
		"invalid read from stack off -8+0 size 8", false},
	{StackVariable, "variable stack offset", "Here the offset into the stack must be constant.",
		"R3 variable stack access prohibited for !root", false},
	{MapBounds, "map bounds", "Accesses to a key or value of a map stay within it.",
		"invalid access to map value, value_size=8 off=8 size=8", true},
	{MapReadOnly, "read-only map", "Keys, and values of maps with BPF_F_RDONLY_PROG, may be read, not written.",
		"write into map forbidden, value_size=8 off=0 size=8", true},
	{MapWriteOnly, "write-only map", "Values of maps with BPF_F_WRONLY_PROG may be written, not read.",
		"read from map forbidden, value_size=8 off=0 size=8", true},
	{LockedBytes, "bytes of a lock", "Nobody but spin_lock and spin_unlock touches a struct bpf_spin_lock.",
		"bpf_spin_lock cannot be accessed directly by load/store", false},
	{RecordBounds, "record bounds", "Accesses to a record of a ring buffer stay within the size that was reserved.",
		"invalid access to memory, mem_size=8 off=8 size=8", true},
	{SocketField, "socket field", "Loads from a socket are of one of its fields.",
		"R2 invalid sock_common access off=200 size=4", true},
	{FlowKeysBounds, "flow keys bounds", "Accesses to the flow keys stay within them.",
		"invalid access to flow keys off=64 size=8", true},
	{ContextField, "context field", "Accesses to the context are of its fields, in the widths that they have, and of those that programs of this type have.",
		"invalid bpf_context access off=72 size=4", true},
	{ContextModified, "moved context pointer", "The context is accessed through the pointer as the program got it, with the offset in the instruction.",
		"dereference of modified ctx ptr R1 off=8 disallowed", false},
	{ContextStore, "read-only context field", "Programs write only the fields that are for them to write.",
		"invalid bpf_context access off=0 size=4", true},
	{WrongPointer, "no memory behind pointer", "Only some pointers have memory that programs may touch.",
		"R3 invalid mem access 'pkt_end'", true},
	{AtomicMemory, "atomic operation", "Atomic operations are on the stack, on values of maps and on records.",
		"BPF_ATOMIC stores into R2 pkt is not allowed", true},

	{Unset, "unset register", "A register is written before it is read; calls leave R1 to R5 unset.",
		"R3 !read_ok", false},
	{PointerOperation, "pointer arithmetic", "A number may be added to a pointer or subtracted from it, nothing else.",
		"R3 pointer arithmetic on pkt_end prohibited", false},
	{NullArithmetic, "arithmetic before the NULL check", "A pointer that may be NULL is compared with NULL before something is added to it.",
		"R0 pointer arithmetic on map_value_or_null prohibited, null-check it first", true},
	{PointerRange, "unbounded pointer", "What is added to a pointer has bounds, below 1<<29.",
		"math between map_value pointer and register with unbounded min value is not allowed", true},
	{DivisionByZero, "division by zero", "The constant by which is divided is not 0.",
		"div by zero", false},
	{ShiftRange, "shift distance", "Constant shifts are by less than the width.",
		"invalid shift 64", false},
	{Pointer32, "32-bit pointer arithmetic", "Arithmetic on pointers is of 64 bits.",
		"R2 32-bit pointer arithmetic prohibited", false},
	{PointerCut, "part of a pointer", "Pointers are stored and loaded whole, in 8 bytes.",
		"invalid size of register spill", false},
	{MixedPointers, "mixed pointers", "An instruction that follows a pointer to the context or a socket follows none of another kind.",
		"same insn cannot be used with different pointers", false},
	{PointerCompare, "comparison of pointers", "For users without privileges pointers are compared with NULL, and those into the packet with its end.",
		"R1 pointer comparison prohibited", false},
	{PointerLeak, "leaked pointer", "For users without privileges the value of a pointer stays in the program.",
		"R0 leaks addr as return value", false},

	{UnknownHelper, "unknown function", "Calls are of helper functions that exist.",
		"invalid func unknown#9999", false},
	{HelperType, "function not for this type", "Each type of program has its helper functions.",
		"program of this type cannot use helper bpf_skb_pull_data#39", false},
	{HelperGPL, "function under the GPL", "Some helper functions are for programs under a license compatible with the GPL.",
		"cannot call GPL-restricted function from non-GPL compatible program", false},
	{ArgumentKind, "kind of argument", "Arguments are of the kind that the helper function takes.",
		"R1 type=scalar expected=ctx", true},
	{ArgumentMemory, "memory of argument", "The memory that a helper function gets is large enough.",
		"string is not zero-terminated", true},
	{ArgumentSize, "size argument", "Sizes of memory have bounds, are not negative and where the helper function wants it not 0.",
		"R4 min value is negative, either use unsigned or 'var &= const'", true},
	{MapCall, "map and function", "Helper functions are called on the kinds of map that they are for.",
		"cannot pass map_type 1 into func bpf_redirect_map#51", false},
	{ArgumentConst, "constant argument", "Here the argument must be constant.",
		"R2 is not a known constant'", false},
	{KernelFunction, "kernel function", "Functions and variables of the kernel do not exist here.",
		"kernel btf_id 1 is not a function", false},
	{AbsentFunction, "absent function", "A function that is not there is not called.",
		"invalid kernel function call not eliminated in verifier pass", true},
	{CallbackReturn, "callback's result", "A callback returns 0 to go on or 1 to stop.",
		"At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]", false},
	{CallbackContext, "callback", "A callback is a function of the program, not the program itself, and makes no tail calls.",
		"callback function not allowed / tail_calls are not allowed in programs with callbacks", false},

	{Unreleased, "unreleased reference", "What was acquired is given back on every path.",
		"Unreleased reference id=2 alloc_insn=5", false},
	{NotAcquired, "release of what is not held", "Only what the program has acquired is given back, once.",
		"R1 must be referenced when passed to release function", false},
	{LockTwice, "second lock", "A program holds one spin lock at a time.",
		"function calls are not allowed while holding a lock", false},
	{LockHeld, "lock held at the end", "A spin lock is unlocked on every path.",
		"BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region", false},
	{LockedCall, "call under a lock", "Nothing is called while a spin lock is held.",
		"function calls are not allowed while holding a lock", false},
	{UnlockedWrong, "unlock", "The lock that is unlocked is the one that is held.",
		"bpf_spin_unlock without taking a lock", false},

	{ReturnUnset, "no return value", "R0 is written before the program ends.",
		"R0 !read_ok", false},
	{ReturnRange, "return value", "The program returns what its hook has a meaning for.",
		"At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]", false},
	{LegacyType, "legacy load not for this type", "LD_ABS and LD_IND are for programs of socket filters, classifiers and actions.",
		"BPF_LD_[ABS|IND] instructions not allowed for this program type", false},
	{LegacyContext, "legacy load without context", "LD_ABS and LD_IND want the context in R6.",
		"at the time of BPF_LD_ABS|IND R6 != pointer to skb", false},
	{LegacyHeld, "legacy load with something held", "LD_ABS and LD_IND can end the program, so that nothing may be held.",
		"BPF_LD_[ABS|IND] would lead to reference leak", false},

	{TooComplex, "too complex", "The search through the paths ends within its steps.",
		"BPF program is too large. Processed 1000001 insn", false},
	{TooLarge, "too large", "Instructions, functions and maps are within the limits.",
		"too many subprograms / argument list too long", false},
}
