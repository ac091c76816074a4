// Package engine is the small interface that everything able to run a program
// over packets answers: the classic interpreter, the eBPF interpreter, machine
// code, the kernel. Replaying captures, comparing engines and measuring them
// (package replay, the command bpflab) is written once over it.
//
// The interface takes packets in batches, because entering an engine has a
// cost (a system call for the kernel, a change of registers for machine code)
// and because a batch is the unit over which results stay valid.
package engine

import (
	"errors"

	"github.com/bpflab/bpflab/cbpf"
)

// A Packet is one input of a program.
type Packet struct {
	Data    []byte        // captured bytes from the link header on; engines do not change them
	WireLen uint32        // length on the wire, at least len(Data) in a sound capture
	Meta    cbpf.Metadata // what the kernel would know beside the bytes
}

// A Result is what a program did with one packet. The slices belong to the
// engine and stay valid until its next Run.
type Result struct {
	Return   uint32  // the verdict: the classic return value, or the lower half of r0
	R0       uint64  // all of r0; 0 where the engine knows only Return
	Data     []byte  // the packet after the program; nil where the engine cannot change packets
	Redirect int     // interface index or map slot of a redirect, 0 for none
	Events   []Event // what the program sent out, in order
	Executed uint64  // instructions executed; 0 where the engine cannot count
	Fault    error   // why the program was stopped, nil if it returned by itself
}

// ErrPacket is in the chain of a Result's Fault where the engine cannot run
// programs on such a packet at all, because of its length, say. It says
// nothing about the program: cross-checks pass over the packet.
var ErrPacket = errors.New("the engine does not take such a packet")

// An Event is a message from a program to the outside: a trace line, a perf
// event or a ring buffer record.
type Event struct {
	Source string // "trace_printk", "clone_redirect", or the name of the map
	Index  int    // the interface that a copy of the packet goes to, or the CPU of a perf event
	Data   []byte
}

// An Engine runs one program. It is not safe for concurrent use.
type Engine interface {
	// Name is what --engine calls it: cbpf, interp, jit or kernel. The
	// interpreter is interp with a proof and without one, where --engine
	// tells checked and interp apart.
	Name() string
	// Run runs the program once over each packet, in order, and fills
	// out[i] for in[i]; out is at least as long as in. An error means that
	// the engine itself failed; what a program did wrong is in its Result.
	Run(in []Packet, out []Result) error
	// Close releases what the engine holds (memory, kernel objects).
	Close() error
}
