package jit

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// An Engine runs proved programs as machine code: it is the engine "jit". What it
// gives is what the machine gives that it is made of ([Engine.Machine]), down to
// the addresses in registers. Executed is 0: machine code does not count.
// It is not safe for concurrent use; [Engine.Share] makes another one.
type Engine struct {
	machine  *vm.Machine
	native   *vm.Native
	exchange *vm.Exchange
	proofs   []*verifier.Proof
	code     *compiled // of all programs, made when first needed
	lean     *compiled // of the one that runs start with, nil if it does more than look
	tried    bool      // to make lean
	frames   []engine.Frame
	results  []uint32
	batch    batchArgs // in memory that does not move, as stacks do
	fault    error     // of Verdicts, for Run to tell
	options  vm.Options
	tuning   tuning
	ctx      context.Context // of the run
	closed   bool
}

var _ engine.Filter = (*Engine)(nil)

// slice is how many instructions machine code may run before it must come back
// to Go, which takes less than a millisecond.
const slice = 1 << 20

// callback is how many instructions a call by Go counts as: functions without
// loops count none themselves.
const callback = 8

// New makes an engine of programs that have been proved safe, as
// [vm.LoadProved] does. The code itself is made when a run first needs it. The
// error wraps [ErrUnsupported] where machine code cannot run. Options.Trace is for
// the interpreter, and an error here.
func New(o vm.Options, proofs ...*verifier.Proof) (*Engine, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if o.Trace != nil {
		return nil, errors.New("machine code cannot be traced: use the interpreter")
	}
	m, err := vm.LoadProved(o, proofs...)
	if err != nil {
		return nil, err
	}
	return newEngine(m, o, proofs), nil
}

func newEngine(m *vm.Machine, o vm.Options, proofs []*verifier.Proof) *Engine {
	n := m.Native()
	return &Engine{machine: m, native: n, exchange: n.Exchange(), proofs: proofs, options: o, tuning: tuning{host: hostFeatures()}, ctx: context.Background()}
}

// Name returns "jit".
func (e *Engine) Name() string { return "jit" }

// Machine returns the machine behind the code, for its maps. Its own Run and
// Select are not to be called: they know neither lean code nor the guard against
// faults.
func (e *Engine) Machine() *vm.Machine { return e.machine }

// Maps returns the maps of the machine.
func (e *Engine) Maps() *maps.Set { return e.machine.Maps() }

// Select makes runs start with the program of that name.
func (e *Engine) Select(name string) error {
	if err := e.machine.Select(name); err != nil {
		return err
	}
	return e.dropLean()
}

// dropLean throws lean code away that is not that of the next packet any more.
func (e *Engine) dropLean() error {
	err := e.lean.close()
	e.lean, e.tried = nil, false
	return err
}

// Close frees the code and closes the machine.
func (e *Engine) Close() error {
	err := errors.Join(e.code.close(), e.lean.close(), e.machine.Close())
	e.closed, e.code, e.lean = true, nil, nil
	return err
}

// Share makes an engine that uses the maps of e, to run at the same time in
// another goroutine, as [vm.Machine.Share] does. It is an error if the maps take
// so much of the arena that the state of another machine is not in its first
// 2 GiB.
func (e *Engine) Share(o vm.Options) (*Engine, error) {
	m, err := e.machine.Share(o)
	if err != nil {
		return nil, err
	}
	o.CPUs = e.options.CPUs
	other := newEngine(m, o, e.proofs)
	if !inReach(other.native.Layout()) {
		return nil, errors.Join(errors.New("the maps fill the part of memory that machine code reaches directly: engines cannot share them"), m.Close())
	}
	// Lookups now have to expect that elements move.
	err = errors.Join(e.code.close(), e.dropLean())
	e.code = nil
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	e.native = e.machine.Native()
	other.tuning = e.tuning
	return other, nil
}

var errClosedEngine = errors.New("the engine is closed")

// Run runs the program over each packet; see [engine.Engine] and
// [vm.Machine.Run]. An error is a [*Fault] if machine code did what it must not,
// which may have been in a call of Verdicts before.
func (e *Engine) Run(in []engine.Packet, out []engine.Result) error {
	if err := e.fault; err != nil {
		e.fault = nil
		return err
	}
	err := e.run(in, out)
	if fault := (*Fault)(nil); err != nil && errors.As(err, &fault) {
		e.findCause(fault, in)
	}
	return err
}

func (e *Engine) run(in []engine.Packet, out []engine.Result) error {
	if e.closed {
		return errClosedEngine
	}
	if err := e.prepare(); err != nil {
		return err
	}
	for len(in) > 0 && e.lean != nil {
		n, err := e.look(in, out)
		if n == 0 && err == nil {
			n, err = 1, e.runBailed(in[:1], out[:1])
		}
		if err != nil {
			return err
		}
		in, out = in[n:], out[n:]
	}
	if len(in) == 0 {
		return nil
	}
	return e.runAll(in, out)
}

// runBailed runs a packet that lean code cannot judge. One for which there was no
// room makes the machine put all packets elsewhere from then on, and programs see
// where.
func (e *Engine) runBailed(in []engine.Packet, out []engine.Result) error {
	if err := e.runAll(in, out); err != nil || e.native.Layout().Packet == e.lean.packet {
		return err
	}
	return errors.Join(e.dropLean(), e.prepare())
}

// RunContext is Run with an end: when the context is done, the program that is
// running is stopped within a millisecond, and with it the run, whose error is
// the context's.
func (e *Engine) RunContext(ctx context.Context, in []engine.Packet, out []engine.Result) error {
	defer func(old context.Context) { e.ctx = old }(e.ctx)
	e.ctx = ctx
	if err := e.Run(in, out); err != nil {
		return err
	}
	return ctx.Err()
}

// prepare makes the code that is needed.
func (e *Engine) prepare() (err error) {
	if !e.tried {
		e.tried = true
		if c := emitLean(e.native, e.tuning, e.proofs); c != nil {
			e.lean, err = c.finish()
		}
	}
	if err == nil && e.lean == nil && e.code == nil {
		err = e.compile()
	}
	return err
}

func (e *Engine) compile() (err error) {
	c := newCompiler(e.native, e.tuning)
	c.addPrograms(e.proofs)
	c.emitGeneral()
	if e.code, err = c.finish(); err == nil {
		e.native.Install(e.execute, uint64(e.code.leave))
	}
	return err
}

// runAll lets the machine run the programs, which calls execute for each packet.
func (e *Engine) runAll(in []engine.Packet, out []engine.Result) (err error) {
	if e.code == nil {
		if err := e.compile(); err != nil {
			return err
		}
	}
	panicOnFault, done := debug.SetPanicOnFault(true), false
	defer func() {
		if !done {
			debug.SetPanicOnFault(panicOnFault)
			err = faultOf(recover())
		}
	}()
	err = e.machine.Run(in, out)
	debug.SetPanicOnFault(panicOnFault)
	done = true
	return err
}

// execute runs machine code from where the machine stands to the end of the run,
// and does for it what it leaves to Go.
func (e *Engine) execute() vm.Stop {
	if e.code == nil && e.compile() != nil { // thrown away by Share
		return vm.StopFault
	}
	n, x := e.native, e.native.Exchange()
	if e.ctx.Err() != nil || !n.Budget(0, slice) {
		return vm.StopBudget
	}
	given := x.Slice
	at := e.code.entry(n.Start())
	base := uintptr(n.Base())
	for {
		enter(at, base, nil)
		switch x.Why {
		case whyExit:
			return vm.StopExit
		case whyCall:
			if !n.Call(int(x.Slot)) {
				return vm.StopFault
			}
			at = uintptr(x.Resume)
		case whyStep:
			slot := int(x.Slot)
			next, why, more := n.Step(slot)
			if !more {
				return why
			}
			at = uintptr(x.Resume)
			if next != slot+1 {
				at = e.code.entry(next)
			}
		case whyLoad:
			if !n.Load(int(x.Slot)) {
				return vm.StopFault
			}
			at = uintptr(x.Resume)
		case whyNowhere:
			return vm.StopFault
		case whyReturn:
			at = e.code.entry(n.Return())
			if x.Slice -= callback; x.Slice < 0 && !e.nextSlice(&given) {
				return vm.StopBudget
			}
		case whySlice:
			if !e.nextSlice(&given) {
				return vm.StopBudget
			}
			at = uintptr(x.Resume)
		}
	}
}

// nextSlice lets others have the processor and gives the code another slice,
// unless the run is to end.
func (e *Engine) nextSlice(given *int64) bool {
	x := e.native.Exchange()
	if e.ctx.Err() != nil || !e.native.Budget(*given-x.Slice, slice) {
		return false
	}
	*given = x.Slice
	runtime.Gosched()
	return true
}

// look judges packets with lean code and returns how many.
func (e *Engine) look(in []engine.Packet, out []engine.Result) (int, error) {
	e.frames = e.frames[:0]
	if e.lean.leaves {
		e.native.Watch()
	}
	if e.lean.perCPU && len(in) > 0 {
		in = in[:sameCPU(in)]
		e.native.UseProcessor(in[0].Meta.CPU)
	}
	for i := range in {
		e.frames = append(e.frames, engine.Frame{Data: in[i].Data, WireLen: in[i].WireLen})
	}
	e.results = append(e.results[:0], make([]uint32, len(in))...)
	n, err := e.verdicts(e.frames, e.results)
	clear(e.frames) // which hold packets of the caller
	for i := range n {
		out[i] = engine.Result{Return: e.results[i], R0: uint64(e.results[i]), Data: in[i].Data}
	}
	return n, err
}

// sameCPU returns how many of the packets, from the first on, came to the same
// processor.
func sameCPU(in []engine.Packet) int {
	n := 1
	for n < len(in) && in[n].Meta.CPU == in[0].Meta.CPU {
		n++
	}
	return n
}

// Verdicts judges packets by their bytes; see [engine.Filter].
func (e *Engine) Verdicts(frames []engine.Frame, verdicts []uint32) (judged int) {
	if e.lean == nil && (e.closed || e.prepare() != nil || e.lean == nil) || e.lean.perCPU {
		return 0
	}
	var err error
	if len(frames) <= e.lean.chunk { // as single packets are, for which a call more counts
		judged, err = e.judge(frames, verdicts)
	} else {
		judged, err = e.verdicts(frames, verdicts)
	}
	if err != nil {
		e.keepFault(err, frames[judged:])
	}
	return judged
}

// keepFault keeps a fault for Run, which would not find the same one again: what
// the program had done to maps before, it would do twice.
func (e *Engine) keepFault(err error, frames []engine.Frame) {
	e.fault = err
	if fault := (*Fault)(nil); errors.As(err, &fault) {
		in := make([]engine.Packet, min(len(frames), e.lean.chunk))
		for i := range in {
			in[i] = engine.Packet{Data: frames[i].Data, WireLen: frames[i].WireLen}
		}
		e.findCause(fault, in)
	}
}

// verdicts runs lean code over packets, as many at a time as it may without
// coming back to Go, and returns how many it has judged.
func (e *Engine) verdicts(frames []engine.Frame, verdicts []uint32) (judged int, err error) {
	for len(frames) > e.lean.chunk {
		n, err := e.judge(frames[:e.lean.chunk], verdicts)
		judged += n
		if n < e.lean.chunk {
			return judged, err
		}
		if err := e.ctx.Err(); err != nil {
			return judged, err
		}
		frames, verdicts = frames[n:], verdicts[n:]
	}
	n, err := e.judge(frames, verdicts)
	return judged + n, err
}

// judge enters lean code, under one guard, and does the calls that it leaves to
// Go.
func (e *Engine) judge(frames []engine.Frame, verdicts []uint32) (judged int, err error) {
	if len(frames) == 0 {
		return 0, nil
	}
	first := unsafe.Pointer(unsafe.SliceData(frames))
	e.batch = batchArgs{frames: first, verdicts: unsafe.Pointer(unsafe.SliceData(verdicts[:len(frames)])), last: uintptr(first) + uintptr(len(frames))*uintptr(frameSize)}
	x, base := e.exchange, uintptr(e.native.Base())
	x.Why = whyExit
	panicOnFault, done := debug.SetPanicOnFault(true), false
	defer func() {
		if !done {
			debug.SetPanicOnFault(panicOnFault)
			judged, err = 0, faultOf(recover())
		}
	}()
	enter(e.lean.start, base, unsafe.Pointer(&e.batch))
	for x.Why == whyCall {
		e.native.Call(int(x.Slot)) // such helper functions refuse nothing
		x.Why = whyExit
		enter(uintptr(x.Resume), base, nil)
	}
	debug.SetPanicOnFault(panicOnFault)
	done = true
	e.batch.frames = nil // the packets are the caller's
	if x.Why == whyBail {
		return int(x.Batch[0]-uint64(uintptr(first))) / int(frameSize), nil
	}
	return len(frames), nil
}
