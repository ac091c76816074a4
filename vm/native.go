package vm

import (
	"math/bits"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// This file is what machine code, made by package jit, needs to take the
// interpreter's place: where things lie, and how Go goes on where the code
// cannot. An instruction that the code cannot do it leaves to the interpreter,
// which has the same state at hand. A slot is the index of an instruction,
// counted through all programs of the machine.

// A Stop says why a run ended.
type Stop = stop

// The reasons for which runs end.
const (
	StopExit   = stopExit   // the program returned; R0 is its value
	StopBudget = stopBudget // the instruction budget is used up
	StopFault  = stopFault  // the instruction must not run
)

// A Native is a machine as machine code sees it.
type Native struct{ m *Machine }

// An Exchange is memory through which machine code and Go speak of where a run
// stands. It has no meaning for the interpreter.
type Exchange struct {
	Why     uint64    // the reason for which the code left, one of package jit's
	Slot    uint64    // of the instruction at which it left
	Resume  uint64    // address of the code to go on at
	Slice   int64     // instructions until the code must leave, so that others get the processor
	Packet  uintptr   // the processor's address of the packet's first byte
	Length  uint64    // of the packet
	Saved   [4]uint64 // the code's own: registers put aside during an instruction
	Batch   [4]uint64 // the code's own: where in a batch it is
	Outside uint64    // by Native.Load: 1 if the load was outside of the packet
	CPU     uint64    // that the packet's metadata names
	Shared  bool      // other machines use the maps at the same time
}

// A Layout tells the addresses, in the arena, that machine code needs.
type Layout struct {
	Registers uint32 // 8 bytes for each of R0 to R10
	Loops     uint32 // 4 bytes: what is left of may_goto in the active frame
	StackLow  uint32 // 4 bytes: start of the stack of the active function
	Depth     uint32 // 8 bytes: frames in use
	Processor uint32 // 8 bytes: the one whose values in per-CPU maps count
	Dirty     uint32 // 1 byte: set before the packet is written to
	Frames    uint32 // MaxFrames of FrameSize bytes each
	Exchange  uint32 // an Exchange
	Context   uint32 // what R1 points to
	StackTop  uint32 // R10 of the program
	Packet    uint32 // where packets start when a run does
	Room      int    // bytes for packets there
	Headers   uint32 // of the maps, as package maps lays them out
	Clock     uint32 // 8 bytes: the time, to which ClockTick is added before it is read; 0 if Go has the clock
	Random    uint32 // 8 bytes: how many of RandomNumbers numbers of 4 bytes, which follow, are used; 0 if Go has them
}

// A frame is what a call to a function saves of its caller: its size, and the
// offsets in it. Then how much there is of what code counts down itself.
const (
	FrameSize   = unsafe.Sizeof(frame{})
	FrameReturn = unsafe.Offsetof(frame{}.ret)   // address of the code to return to
	FrameSlot   = unsafe.Offsetof(frame{}.pc)    // slot to return to
	FrameSaved  = unsafe.Offsetof(frame{}.saved) // R6 to R9
	FrameLoops  = unsafe.Offsetof(frame{}.loops) // what is left of may_goto

	ClockTick     = tickClock           // nanoseconds that pass each time that the clock is asked
	RandomNumbers = len(numbers{}.made) // made in advance

	MaxFrames = maxFrames // functions active at once
	MaxLoops  = maxLoops  // rounds of may_goto in a frame
	StackSize = stackSize // bytes in a frame
)

// Native returns the machine as machine code sees it. Where its memory moves
// ([arena.Moves]) code can be made, but not run.
func (m *Machine) Native() *Native {
	m.exchange.Shared = m.shared
	m.watchMaps()
	return &Native{m}
}

// Watch takes notice of maps that have been made since the last run, for code
// that runs without [Machine.Run] around it.
func (n *Native) Watch() { n.m.watchMaps() }

// Install makes every run call a function in place of the interpreter. That
// returns why the run has ended. leave is the address of code that leaves by
// [Native.Return]: it becomes the return address of functions that Go calls, as
// callbacks are.
func (n *Native) Install(run func() Stop, leave uint64) { n.m.run, n.m.leaveCode = run, leave }

// Base returns the pointer to address 0 of the arena.
func (n *Native) Base() unsafe.Pointer { return n.m.base }

// Exchange returns the memory that the machine and its code speak through.
func (n *Native) Exchange() *Exchange { return &n.m.exchange }

// Layout returns where things lie. The place of packets changes when a longer
// one comes than there was room for.
func (n *Native) Layout() Layout {
	m := n.m
	at := func(offset uintptr) uint32 { return m.ctxMemory + stateOffset + uint32(offset) }
	l := Layout{
		Registers: at(unsafe.Offsetof(m.state.reg)), Loops: at(unsafe.Offsetof(m.state.loops)),
		StackLow: at(unsafe.Offsetof(m.state.stackLow)), Depth: at(unsafe.Offsetof(m.state.depth)),
		Processor: at(unsafe.Offsetof(m.state.processor)), Dirty: at(unsafe.Offsetof(m.state.dirty)),
		Frames: at(unsafe.Offsetof(m.state.frames)), Exchange: at(unsafe.Offsetof(m.state.exchange)),
		Context: m.ctxMemory, StackTop: m.stackTop,
		Packet: m.packet.start + headRoom, Room: int(m.packet.end-m.packet.start) - headRoom,
		Headers: uint32(m.headers),
	}
	if m.o.Clock == nil {
		l.Clock = at(unsafe.Offsetof(m.state.clock))
	}
	if m.o.Random == nil {
		l.Random = at(unsafe.Offsetof(m.state.random))
	}
	return l
}

// Programs returns the slots at which the programs start and end, counted
// through all of them in order.
func (n *Native) Programs() (bounds [][2]int) {
	for i := range n.m.programs {
		bounds = append(bounds, [2]int{n.m.programs[i].start, n.m.programs[i].end})
	}
	return bounds
}

// Entry returns the index of the program that runs start with.
func (n *Native) Entry() int {
	for i := range n.m.programs {
		if n.m.entry == &n.m.programs[i] {
			return i
		}
	}
	return 0
}

// Immediate returns what the 64-bit immediate load in a slot gives: addresses
// of maps, of values and of functions are those of this machine.
func (n *Native) Immediate(slot int) uint64 { return n.m.ops[slot].imm }

// Helper returns the prototype of the helper function that is called in a slot,
// nil for other instructions, and whether the function is the machine's own and
// not one of Options.Helpers.
func (n *Native) Helper(slot int) (proto *abi.Helper, own bool) {
	switch o := &n.m.ops[slot]; o.code {
	case opCall, opMapLookup:
		proto = n.m.calls[o.imm].proto
		return proto, abi.HelperByID(proto.ID) == proto
	}
	return nil, false
}

// MapAt returns the map whose header is at an address, or nil.
func (n *Native) MapAt(addr uint64) *maps.Map { return n.m.mapAt(addr) }

// Start returns the slot that a run starts at, and notes where the packet lies.
func (n *Native) Start() int {
	n.locate()
	n.m.exchange.CPU = uint64(n.m.in.Meta.CPU)
	return n.m.pc
}

// UseProcessor says whose values in per-CPU maps count for code that runs without
// [Machine.Run] around it; cpu is the number in the packets' metadata.
func (n *Native) UseProcessor(cpu uint32) { n.m.processor = int(cpu % uint32(n.m.o.CPUs)) }

func (n *Native) locate() {
	m := n.m
	m.exchange.Packet = uintptr(m.base) + uintptr(m.packet.data)
	m.exchange.Length = uint64(m.packet.dataEnd - m.packet.data)
}

// Budget gives the code a slice of what is left of the run's budget, and says
// no if nothing is left. Used is what it has used of the last one.
func (n *Native) Budget(used int64, slice int64) bool {
	m := n.m
	m.left -= min(m.left, uint64(used))
	m.exchange.Slice = min(slice, int64(min(m.left, 1<<62)))
	return m.left > 0
}

// Call calls the helper function of the call in a slot. Its arguments are as the
// proof says, in the registers; the result goes to R0. It says no if the program
// must not go on.
func (n *Native) Call(slot int) bool {
	m := n.m
	c := &m.calls[m.ops[slot].imm]
	a := (*[5]uint64)(m.reg[1:6])
	for set := c.maps; set != 0; set &= set - 1 {
		m.argMap = m.mapAt(a[bits.TrailingZeros8(set)])
	}
	for set := c.writes; set != 0; set &= set - 1 {
		m.mayDirty(a[bits.TrailingZeros8(set)])
	}
	m.refusal, m.pc = "", slot+1
	m.reg[0] = c.fn(m, a)
	if c.proto.MovesPacket {
		n.locate()
	}
	if m.refusal != "" {
		m.pc = slot
		return false
	}
	return true
}

// Load does the legacy packet load in a slot, into R0. Where the packet does not
// hold so much, it says so in the exchange, and the code does what follows from
// that: only it knows what is in the frames. Load says no if the program must not
// go on.
func (n *Native) Load(slot int) bool {
	m := n.m
	m.pc = slot
	how := m.loadPacket(&m.ops[slot])
	m.exchange.Outside = 0
	if how == packetOutside {
		m.exchange.Outside = 1
	}
	return how != packetWrongContext
}

// Step lets the interpreter do the instruction in a slot, whatever it is, and
// returns the slot to go on at. More says no if the run has ended with it.
func (n *Native) Step(slot int) (next int, why Stop, more bool) {
	m := n.m
	left := m.left
	m.pc, m.left = slot, 1
	why = m.interpret()
	m.left = left
	n.locate()
	return m.pc, why, why == stopBudget
}

// Return returns from a function that Go has called, and gives the slot to go on
// at.
func (n *Native) Return() int {
	n.m.pc = n.m.leave()
	return n.m.pc
}
