package vm

import (
	"errors"
	"math/rand/v2"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// Options are what a machine can be told; the zero value is good.
type Options struct {
	// Budget is how many instructions one run may take before it is
	// stopped with [ErrBudget]; 0 stands for [DefaultBudget]. Machine code
	// (package jit) keeps to it roughly: it counts at loops and callbacks only.
	Budget uint64

	// Random is what the helper get_prandom_u32 and the classic random
	// extension ask. By default it is a generator with a fixed seed, new
	// in each machine, so that runs are repeatable.
	Random func() uint32

	// CPUs is how many processors per-CPU maps have values for; 0 stands
	// for 1. The number of the one that runs the program is in the packet's
	// metadata: the helper get_smp_processor_id gives it as it is, as classic
	// programs get it, maps take it modulo CPUs.
	CPUs int

	// Network is what fib_lookup and check_mtu ask.
	Network Network

	// Helpers are helper functions beside or in place of the machine's own.
	Helpers []Helper

	// Trace, if it is not nil, is called before each instruction. The step is
	// valid during the call. A run is slower by far then.
	Trace func(*Step)

	// Clock is what the helper ktime_get_ns asks. By default time starts
	// at one second and goes on by a microsecond each time it is asked.
	Clock func() uint64
}

// DefaultBudget is the budget of a run if none is given: enough for the
// longest loops that the kernel's verifier admits in practice, and less than a
// second.
const DefaultBudget = 1 << 28

// ErrBudget is the fault of a program stopped for using up its budget.
var ErrBudget = errors.New("instruction budget used up")

func (o Options) withDefaults() Options {
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.CPUs == 0 {
		o.CPUs = 1
	}
	return o
}

// A Machine runs eBPF programs: it is the engine "interp". It is not safe for
// concurrent use.
type Machine struct {
	o          Options
	collection Collection
	programs   []program
	entry      *program // where a run starts; see Select

	// All programs one behind the other, and their memory.
	prog    []ebpf.Instruction
	ops     []op
	calls   []call
	targets map[int]bool // indexes of functions whose address is taken
	mem     *arena.Arena
	base    unsafe.Pointer // address 0
	shared  bool           // others use mem at the same time
	guest   bool           // mem belongs to another machine; see Share

	// The maps; see values.go.
	set      *maps.Set
	mapsOf   []*maps.Map // those of the collection, by index
	maps     []*maps.Map // all, by id-1
	headers  uint64      // address of the header of the first map
	valuesOf []*values   // for each of maps, nil where programs look nothing up
	values   []*values
	owner    []uint16   // for each granule of the arena, as far as used, an index in values plus 1
	argMap   *maps.Map  // the map of the helper being called
	indirect call       // the helper that the last callx called
	noting   *iteration // whose elements noteElement notes
	note     func(key []byte, value uint32) bool
	keys     uint32 // where keys for callbacks are put
	keyRoom  uint64 // for the key of one frame
	flowKeys uint32 // where flow dissectors put their result; 0 without one

	*state                          // of a run
	iterations [maxFrames]iteration // of callbacks, by frame
	generator  *rand.Rand           // of random numbers, where Options.Random does not say
	run        func() stop          // machine code in place of the interpreter, nil for none
	leaveCode  uint64               // address of code that returns to Go

	// What the program may touch; see memory.go.
	window         [2]window // the packet, to read and to write
	value          *values   // of a map, that were last looked up or touched
	valueAt        uint64    // which of them
	stackTop       uint32
	usesStack      bool
	refusal        string // why the helper being called cannot go on
	ctx, ctxMemory uint32 // the context, and where one lies that is a structure
	ctxAccess      []uint8
	skb            bool // the context is a __sk_buff, else an xdp_md
	fromNetwork    bool // the program does not see the link header

	packet packet
	buffer buffer         // what else there is of the packet; see skbuff.go
	tunnel tunnel         // what the program has set for a tunnel device
	wire   uint32         // its length on the wire
	in     *engine.Packet // what this run was given
	out    []byte         // packets after the program, of one batch

	// What the program sends out; see redirect.go and output.go.
	redirect  uint32
	events    []engine.Event // of one batch
	eventData []byte
	outputs   []*maps.Map // ring buffers and perf event arrays
	draining  *maps.Map
	drainOne  func(cpu int, data []byte)
	reserved  []reserved
	lockIn    *maps.Map // in whose value the program holds a lock, nil for none
	lockValue uint32    // the value's address
}

// Name returns "interp".
func (m *Machine) Name() string { return "interp" }

// Close gives the machine's memory back at once, that of its maps and packets
// included; a second call does nothing. Run then returns an error, and so do the
// maps. Results stay good: they are not in that memory. A machine that is
// dropped without Close keeps its address range and what was touched of it for
// ever. Of machines that share memory ([Machine.Share]) the first has it: close
// that one last.
func (m *Machine) Close() error {
	m.base, m.state = nil, new(state)
	if m.guest {
		return nil
	}
	return m.mem.Close()
}

// Run runs the program over each packet; see [engine.Engine]. A program that
// was stopped has a [*Fault], with the machine's state at that moment, or
// [ErrBudget] in its result.
func (m *Machine) Run(in []engine.Packet, out []engine.Result) error {
	if m.base == nil || m.mem.Base() == nil {
		return errors.New("the machine is closed")
	}
	m.base = m.mem.Base()
	m.watchMaps()
	m.out, m.events, m.eventData = m.out[:0], m.events[:0], m.eventData[:0]
	for i := range in {
		m.runOne(i, &in[i], &out[i])
	}
	return nil
}

func (m *Machine) runOne(packet int, in *engine.Packet, out *engine.Result) {
	if err := m.receive(in); err != nil {
		*out = engine.Result{Fault: err}
		return
	}
	m.start()
	first := len(m.events)
	var why stop
	switch {
	case m.o.Trace != nil:
		why = m.traced(packet)
	case m.run != nil:
		why = m.run()
	default:
		why = m.interpret()
	}
	out.Return, out.R0, out.Data = uint32(m.reg[0]), m.reg[0], m.packetAfter()
	out.Redirect, out.Events, out.Executed, out.Fault = 0, nil, 0, nil
	if m.run == nil { // machine code does not count
		out.Executed = m.o.Budget - m.left
	}
	switch why {
	case stopExit:
		out.Redirect = m.redirected()
		if m.entry.typ == abi.FlowDissector {
			m.finishFlowKeys()
		}
	case stopBudget:
		out.Return, out.R0, out.Fault = 0, 0, ErrBudget
	case stopFault:
		out.Return, out.R0, out.Fault = 0, 0, m.diagnose()
	}
	m.releaseLock()
	if len(m.outputs)+len(m.reserved) > 0 {
		m.drain()
	}
	if n := len(m.events); n > first {
		out.Events = m.events[first:n:n]
	}
}

// start sets the registers and the stack for a run: R1 is the context, R10
// the frame pointer, and R2 the length of a context that is bytes. The others
// are undefined in eBPF and 0 here, as is the stack, so that even a program that
// reads what it never wrote does the same on every run and machine.
func (m *Machine) start() {
	m.reg = [16]uint64{1: uint64(m.ctx), 10: uint64(m.stackTop)}
	if m.bytesContext() {
		m.reg[1], m.reg[2] = uint64(m.packet.data), uint64(m.packet.dataEnd-m.packet.data)
	}
	m.pc, m.left, m.loops, m.depth, m.tails = m.entry.start, m.o.Budget, maxLoops, 0, 0
	m.value, m.valueAt, m.redirect = &nowhere, 0, 0
	m.processor = int(m.in.Meta.CPU % uint32(m.o.CPUs))
	m.stackLow = m.stackTop - stackSize
	if m.run == nil { // machine code knows what it needs to be zero
		m.clearFrame()
	}
}
