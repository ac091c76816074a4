package abi

import (
	"sort"
	"strconv"

	"github.com/bpflab/bpflab/ebpf"
)

// A Helper is the prototype of a helper function: a kernel function that a
// program calls by number, with arguments in R1 to R5 and the result in R0.
type Helper struct {
	ID          int32      // the Imm of the call
	Args        []ArgKind  // R1, R2, …
	Types       TypeSet    // program types that may call it
	MovesPacket bool       // packet pointers loaded before the call are invalid after it
	Returns     ReturnKind // what is in R0 after the call
	Min, Max    int64      // of the number in R0; both 0 if it may be any of 64 bits
	Calls       MapCalls   // what the map among the arguments must be good for
	PacketArgs  bool       // memory that it reads may be in the packet
	Releases    bool       // it takes back what its ArgSocket or ArgRecord stands for
	GPLOnly     bool       // only for programs whose license is compatible with the GPL
}

// MaxErrno is the largest error number; the results from -MaxErrno to -1 of
// helper functions that can fail stand for errors (MAX_ERRNO).
const MaxErrno = 4095

// minErrno is the lowest result that stands for an error.
const minErrno = -MaxErrno

// MaxLoops is how often [Loop] calls at most (BPF_MAX_LOOPS).
const MaxLoops = 8 << 20

// An ArgKind says what a helper takes in a register.
type ArgKind uint8

const (
	ArgContext        ArgKind = iota // the program's context
	ArgScalar                        // any number
	ArgReadMem                       // initialised memory, as many bytes as the next argument says
	ArgReadMemOrNull                 // likewise, or NULL if the size is 0
	ArgWriteMem                      // memory that the helper fills, as many bytes as the next argument says
	ArgWriteMemOrNull                // likewise, or NULL if the size is 0
	ArgSize                          // a size in bytes, at least 1
	ArgSizeOrZero                    // a size in bytes
	ArgMap                           // a map, by a load of its address
	ArgMapKey                        // a key of the map in R1
	ArgMapValue                      // a value of the map in R1, which the helper reads
	ArgMapValueOut                   // room for a value of the map in R1, which the helper fills
	ArgFunc                          // a function of the program, by a load of its address
	ArgPointerOrNull                 // pointer for a callback, which the helper passes on
	ArgSpinLock                      // a struct bpf_spin_lock in a map's value
	ArgSocket                        // what a helper that returns a socket has returned, not NULL
	ArgRecord                        // what RingbufReserve has returned, not NULL
	ArgWriteLong                     // 8 bytes that the helper fills
	ArgReadWriteWord                 // 4 bytes that the helper reads and fills
	ArgString                        // a string that ends with a 0 byte, in a read-only map
	ArgFormat                        // likewise, a format for numbers in a read-only map
	ArgRecordSize                    // the size of a record, a constant
	ArgOptional                      // any number, or a register that was never set
)

// A ReturnKind says what a helper returns. A number is the result, or 0 for
// success, or a negative errno; pointers may be NULL.
type ReturnKind uint8

const (
	ReturnsScalar     ReturnKind = iota
	ReturnsNothing               // R0 is undefined
	ReturnsValue                 // pointer to a value of the map in R1
	ReturnsRecord                // pointer to as many bytes as R2 says, of the ring buffer in R1
	ReturnsSocket                // pointer to a socket, which the program must release
	ReturnsSockCommon            // likewise, of any state: only struct sock_common is there
	ReturnsLength                // a number of bytes up to the size among the arguments, or an error
)

// Name returns the helper's name with its prefix, such as "bpf_skb_load_bytes";
// "helper 7777" if the number is none of the kernel's.
func (h *Helper) Name() string {
	if name := ebpf.HelperName(h.ID); name != "" {
		return name
	}
	return "helper " + strconv.Itoa(int(h.ID))
}

// HelperByID returns the helper function with the given number, or nil if it
// is not in the table.
func HelperByID(id int32) *Helper {
	i := sort.Search(len(Helpers), func(i int) bool { return Helpers[i].ID >= id })
	if i == len(Helpers) || Helpers[i].ID != id {
		return nil
	}
	return &Helpers[i]
}
