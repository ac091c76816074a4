package vm

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/arena"
)

// A state is the state of a run: plain memory without pointers of Go's, so that
// machine code can have it, too (native.go). It lies in the arena behind the
// context, where that does not move.
type state struct {
	reg       [16]uint64 // R0 to R10; 16, so that a masked index is in range
	pc        int
	left      uint64 // of the budget
	loops     uint32 // of may_goto, in this frame
	stackLow  uint32 // start of the stack of the active function
	tails     int    // tail calls made
	depth     int    // frames in use below the current one
	processor int    // that the packet's metadata names, among those that the machine has
	dirty     bool   // the packet may have changed
	frames    [maxFrames]frame
	exchange  Exchange
}

// stateOffset is how far the state lies behind the context.
const stateOffset = 4096

// allocateContext makes the memory of the context and of the state.
func (m *Machine) allocateContext() (err error) {
	size := stateOffset + uint64(unsafe.Sizeof(state{}))
	if m.ctxMemory, err = m.mem.Alloc(max(size, uint64(abi.SKBuff.Size))); err != nil {
		return err
	}
	if arena.Moves {
		m.state = new(state)
	} else {
		m.state = (*state)(unsafe.Add(m.mem.Base(), m.ctxMemory+stateOffset))
	}
	return nil
}
