package vm

import "fmt"

const (
	// maxFrames is how many functions may be active at once, the main
	// program included (MAX_CALL_FRAMES in the kernel).
	maxFrames = 8

	// stackSize is what one frame has of stack (MAX_BPF_STACK). The
	// kernel's verifier allows that much for all frames of a call chain
	// together; the machine gives it to each.
	stackSize = 512

	// maxLoops is how often may_goto falls through in one frame before it
	// jumps (BPF_MAX_LOOPS). Kernels from 6.15 on count time instead, which
	// a machine whose runs are repeatable cannot.
	maxLoops = 8 << 20
)

var tooDeep = fmt.Sprintf("more than %d functions are active", maxFrames)

// A frame is what a call to a function saves of its caller, which is a local
// function call or a helper that calls back.
type frame struct {
	pc    int
	ret   uint64    // address of the machine code to return to
	saved [4]uint64 // R6 to R9
	loops uint32
	_     [8]byte // a frame has 64 bytes, so that machine code finds one with a shift
}

// enter begins a call to a function: a new stack frame below the caller's,
// whose stack stays accessible, because pointers to it may be passed. R6 to R9
// are kept for the caller; the callee finds its values in them, as with the
// kernel's JIT compilers. It says no if all frames are used.
func (m *Machine) enter(pc int) bool {
	if m.depth == maxFrames-1 {
		return false
	}
	f := &m.frames[m.depth]
	f.pc, f.ret, f.loops = pc, m.leaveCode, m.loops
	m.iterations[m.depth].kind = notAgain
	copy(f.saved[:], m.reg[6:10])
	m.depth++
	m.loops = maxLoops
	m.reg[10] -= stackSize
	m.stackLow -= stackSize
	m.clearFrame()
	return true
}

// clearFrame zeroes the stack of the active function.
func (m *Machine) clearFrame() {
	if m.usesStack {
		clear(m.bytes(uint64(m.stackLow), stackSize))
	}
}

// leave returns to the caller and gives the index to go on at; from a callback
// to its next call, if there is one.
func (m *Machine) leave() int {
	f := &m.frames[m.depth-1]
	if again := &m.iterations[m.depth-1]; again.kind != notAgain && m.callAgain(again) {
		return again.fn
	}
	m.depth--
	copy(m.reg[6:10], f.saved[:])
	m.loops = f.loops
	m.reg[10] += stackSize
	m.stackLow += stackSize
	return f.pc
}
