package vm

import (
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// Helpers that take a function of the program call it back: not by running a
// second interpreter, but by entering it like a local function, with a note in
// the frame of what to do when it returns. So a run can be stopped and looked
// at inside a callback as anywhere else.

// An iteration is the state of a helper that calls a function for each number
// or element.
type iteration struct {
	kind  iterationKind
	fn    int    // index of the function
	i, n  uint64 // numbers or elements done, and all of them
	calls uint64 // made
	ctx   uint64 // the pointer that the program passes through

	// Of elements of a map; the slices are kept for the next iteration.
	in       *maps.Map
	elements []element
	keys     []byte
}

type iterationKind uint8

const (
	notAgain iterationKind = iota
	againLoop
	againIndexes  // of an array
	againElements // noted in the iteration
)

// functionBase is where addresses of functions start, 8 bytes for each
// instruction: outside of the arena, so that nothing can be loaded there.
const functionBase = 1 << 40

func functionAddress(index int) uint64 { return functionBase + 8*uint64(index) }

// functionAt returns the index of the function with that address. It says no
// for an address that no instruction has taken.
func (m *Machine) functionAt(addr uint64) (index int, ok bool) {
	d := addr - functionBase
	if d%8 != 0 || d/8 >= uint64(len(m.ops)) {
		return 0, false
	}
	return int(d / 8), m.targets[int(d/8)]
}

// loop is bpf_loop: it calls a function with 0, 1, … and the context. Where the
// flags are a constant 0, as in nearly all programs, the kernel's verifier writes
// a loop in place of the call (inline_bpf_loop), and that is what is mirrored:
// unlike the function it looks at 64 bits of the number, and its -E2BIG has only
// the lower 32, so that it is a large positive number to who looks at 64.
func loop(m *Machine, a *[5]uint64) uint64 {
	n, fn, ctx, flags := a[0], a[1], a[2], a[3]
	switch {
	case flags != 0:
		return eINVAL.negative()
	case n > abi.MaxLoops:
		return uint64(uint32(e2BIG.negative()))
	}
	return m.callBack(iteration{kind: againLoop, n: n, ctx: ctx}, fn)
}

// callBack starts an iteration. The helper's caller goes on at m.pc: in the
// function now, behind the helper's call when all is done.
func (m *Machine) callBack(it iteration, fn uint64) uint64 {
	index, ok := m.functionAt(fn)
	if !ok {
		return m.refuse("the callback is not the address of a function of the program")
	}
	if it.n == 0 {
		return 0
	}
	it.fn = index
	if !m.enter(m.pc) {
		return m.refuse(tooDeep)
	}
	again := &m.iterations[m.depth-1]
	if it.elements == nil {
		it.elements, it.keys = again.elements, again.keys
	}
	*again = it
	if !m.arguments(again) {
		m.pc = m.leave()
		return again.calls
	}
	m.pc = index
	return m.reg[0]
}

// callAgain says whether the function of an iteration, which has returned, is
// to be called again, and prepares that. At the end R0 is the number of calls.
func (m *Machine) callAgain(it *iteration) bool {
	it.i++
	it.calls++
	if m.reg[0] != 0 || it.i == it.n || !m.arguments(it) {
		m.reg[0] = it.calls
		return false
	}
	m.loops = maxLoops
	m.clearFrame()
	return true
}

// arguments sets the registers for the next call of an iteration. It says no
// if there is nothing left to call for.
func (m *Machine) arguments(it *iteration) bool {
	if it.kind != againLoop {
		return m.elementArguments(it)
	}
	m.reg[1], m.reg[2] = it.i, it.ctx
	return true
}
