package vm

import (
	"unsafe"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/arena"
)

// A state is the state of a run: plain memory without pointers of Go's, so that
// machine code can have it, too (native.go). It lies in the arena behind the
// context, unless this is a host on which the arena moves ([arena.Moves]).
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
	clock     uint64 // nanoseconds, where Options.Clock does not say
	random    numbers
	exchange  Exchange
}

// numbers are random numbers made in advance, the first used of which are gone.
type numbers struct {
	used uint64
	made [64]uint32
}

// tickClock is how many nanoseconds pass each time that the clock is asked.
const tickClock = 1000

// now asks the clock.
func (m *Machine) now() uint64 {
	if m.o.Clock != nil {
		return m.o.Clock()
	}
	m.clock += tickClock
	return m.clock
}

// number returns a random number.
func (m *Machine) number() uint32 {
	if m.o.Random != nil {
		return m.o.Random()
	}
	r := &m.random
	if r.used == uint64(len(r.made)) {
		for i := range r.made {
			r.made[i] = m.generator.Uint32()
		}
		r.used = 0
	}
	r.used++
	return r.made[r.used-1]
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
	m.clock, m.random.used = 1e9, uint64(len(m.random.made))
	return nil
}
