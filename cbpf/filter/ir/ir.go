// Package ir is the intermediate representation of the filter compiler: a
// control-flow graph of basic blocks whose conditions compare values that are
// computed from the packet. It knows nothing of link types and nothing of
// accumulators, scratch memory or jump widths, so that one filter can be
// emitted for different machines.
//
// # Values
//
// A packet does not change while a filter looks at it, so a [Value] is a pure
// function of the packet: equal values are one value (they are hash-consed),
// and they belong to no block. The one exception is a [Phi], which depends on
// the way taken to its block.
//
// # Faults
//
// Computing a value can fault: a load runs past the captured bytes, a divisor
// is zero. A fault ends the filter, and the packet is rejected, whatever the
// surrounding "not" and "or" would make of it. So a pass may skip evaluating
// a value only where it cannot fault, or has been evaluated on every way
// before. Within a block the order of evaluation does not matter, because
// each of its faults has the same effect.
//
// A block evaluates the values in Evals and the operands of its condition,
// each with all its arguments down to phis and constants. Taking an edge
// evaluates the arguments that the phis of its target have for that edge.
//
// # Addresses
//
// A load's address is base + displacement without wrapping: a sum that does
// not fit 32 bits faults. Machines that wrap are the emitter's and the
// lowering's concern. No packet has 2^31 bytes or more, so an address beyond
// that always faults.
package ir

import "github.com/bpflab/bpflab/cbpf/origin"

// A Func is the graph of one filter. Blocks[0] is the entry; all graphs are
// free of loops.
type Func struct {
	Blocks []*Block

	nextBlock int
	nextValue int
	values    map[key]*Value
	order     []*Block // what ReversePostorder returned last, nil if edges have changed since
	slab      []Block  // memory for blocks to come
}

// A Block evaluates some values and then branches or returns.
type Block struct {
	ID     int
	Kind   Kind
	Phis   []*Value   // one argument per entry of Preds, in the same order
	Evals  []*Value   // evaluated for their faults even where nobody uses them
	Cond   Cond       // of an If
	Succs  []*Block   // If: true, false; Jump: one; returns: none
	Preds  []Edge     // all edges into the block; kept up to date by the methods of Func
	Origin origin.Set // the part of the expression that the branch stands for

	at    [2]int    // Succs[i] has the edge at Preds[at[i]]
	succs [2]*Block // memory of Succs
	pred  [1]Edge   // memory of the first of Preds
}

// An Edge is one way out of a block: From.Succs[Index].
type Edge struct {
	From  *Block
	Index int
}

// Kind says how a block ends.
type Kind uint8

// The kinds of block.
const (
	If     Kind = iota // go to Succs[0] if Cond holds, else to Succs[1]
	Jump               // go to Succs[0]
	Accept             // the packet matches
	Reject             // the packet does not match
)

// A Cond compares two values as unsigned 32-bit numbers.
type Cond struct {
	Op   CondOp
	X, Y *Value
}

// CondOp is a comparison. The missing ones are these with the two successors
// swapped.
type CondOp uint8

// The comparisons.
const (
	Eq  CondOp = iota // X == Y
	Gt                // X > Y
	Ge                // X >= Y
	Set               // X & Y != 0
)

// A Value is a 32-bit number computed from the packet.
type Value struct {
	ID     int
	Op     Op
	Size   uint8    // Load: 1, 2 or 4 bytes, in network byte order
	Const  uint32   // Const: the number; Load: the displacement; Meta: a Field
	Args   []*Value // Load: the base, or none; Neg: one; binary: two; Phi: one per predecessor
	Block  *Block   // Phi: its block; nil for all others
	Origin origin.Set

	max     uint32 // see MaxOf
	faults  bool   // see CanFault
	ownsSet bool   // nobody else appends to the array under Origin
}

// Op says how a value is computed.
type Op uint8

// The operations. Arithmetic wraps to 32 bits. Div and Mod fault if the second
// argument is zero. The second argument of Shl and Shr is below 32: lowering
// sees to that, because machines differ in what a larger one does.
const (
	Const Op = iota
	Load     // Size bytes of the packet at Args[0] + Const, or at Const
	Len      // length of the packet on the wire
	Meta     // metadata that came with the packet: see Field
	Add
	Sub
	Mul
	Div
	Mod
	And
	Or
	Xor
	Shl
	Shr
	Neg
	Phi // Args[i] if the block was entered by Preds[i]
)

// A Field is a piece of packet metadata that a Meta value reads.
type Field uint32

// The metadata that filters use.
const (
	VLANPresent Field = iota // 1 if a VLAN tag came beside the packet, else 0
	VLANTag                  // its TCI
	PacketType               // PACKET_HOST, …, PACKET_OUTGOING
	IfIndex                  // interface index
	Protocol                 // EtherType
)
