package verifier

import (
	"github.com/bpflab/bpflab/verifier/num"
)

// A kind says what a register or a spilled register holds.
type kind uint8

const (
	unset       kind = iota // never written, or made unusable by a call
	scalar                  // a number
	contextPtr              // the context; num is the offset in it
	mapPtr                  // a map itself; obj is its index
	mapValue                // into a value of map obj
	mapKey                  // into a key of map obj, given to a callback; read-only
	stackPtr                // into the stack of frame; num is ≤ 0, from the frame pointer
	packetPtr               // into the packet; see reg.id
	metaPtr                 // into the metadata before the packet, from data_meta
	packetEnd               // data_end
	recordPtr               // into a ring buffer's record of size bytes
	socketPtr               // a struct bpf_sock
	flowKeysPtr             // into struct bpf_flow_keys
	funcPtr                 // a function of the program; obj is its first slot
	endOfKinds
)

// A reg is what is known of a register. It is a plain value of 64 bytes, equal
// facts are equal values: states are compared and hashed by it.
//
// A number is num, a pointer an object and the offset in it, num. Offsets are
// signed: a pointer moved back before its object is one as long as nothing is
// accessed there.
type reg struct {
	num num.Scalar

	// id ties registers together. Numbers with the same id differ by a
	// constant: r - r.off is the same for all. Pointers that may be NULL with
	// the same id are NULL together. Packet pointers with the same id come
	// from the same place, at which a variable was last added (0 stands for
	// data): they are off bytes behind it, and what is proved about one
	// holds for all. Maps found in maps have it as their identity.
	id  uint32
	ref uint32 // the reference that the pointer stands for, 0 for none
	off int32
	obj int32 // index of a map, size of a record, slot of a function

	kind  kind
	flags flags
	frame uint8 // of a stackPtr

	// span is how many bytes from the place of id on are in the packet;
	// as with id, all pointers from that place have the same. It is in the
	// register because places that no register comes from do not matter.
	span uint16
}

type flags uint8

const (
	nullable  flags = 1 << iota // the pointer may be NULL
	length                      // the number is data_end minus the place of id, minus off
	stale                       // an unset register was a packet pointer before the packet moved
	clobbered                   // an unset register was lost in a call
)

func known(v uint64) reg        { return reg{kind: scalar, num: num.Const(v)} }
func number(s num.Scalar) reg   { return reg{kind: scalar, num: s} }
func anyNumber() reg            { return reg{kind: scalar, num: num.Unknown()} }
func pointer(k kind) reg        { return reg{kind: k, num: num.Const(0)} }
func (r *reg) isPointer() bool  { return r.kind > scalar }
func (r *reg) has(f flags) bool { return r.flags&f != 0 }

// constant returns the number that the register is known to hold.
func (r *reg) constant() (uint64, bool) {
	if r.kind != scalar {
		return 0, false
	}
	return r.num.IsConst()
}

// offset returns the constant offset of a pointer.
func (r *reg) offset() (int64, bool) {
	v, ok := r.num.IsConst()
	return int64(v), ok
}

var kindNames = [endOfKinds]string{
	unset: "not set", scalar: "a number", contextPtr: "the context", mapPtr: "a map", mapValue: "a pointer into a map's value",
	mapKey: "a pointer into a map's key", stackPtr: "a pointer to the stack", packetPtr: "a pointer into the packet",
	metaPtr: "a pointer to the packet's metadata", packetEnd: "the end of the packet", recordPtr: "a pointer into a ring buffer's record",
	socketPtr: "a socket", flowKeysPtr: "the flow keys", funcPtr: "a function",
}

func (k kind) String() string { return kindNames[k] }
