package jit

import (
	"context"
	"errors"

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
	fault    error     // of lean code, that Run is to tell
	options  vm.Options
	tuning   tuning
	ctx      context.Context // of the run
	closed   bool
}

var _ engine.Filter = (*Engine)(nil)

// slice is how many instructions machine code may run before it must come back
// to Go, which takes less than a millisecond.
const slice = 1 << 20

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
	if err := e.takeFault(); err != nil {
		return err
	}
	err := e.run(in, out)
	if fault := (*Fault)(nil); err != nil && errors.As(err, &fault) {
		e.findCause(fault, in)
	}
	return err
}

// takeFault returns the fault of lean code that nobody has been told of, nil for
// none.
func (e *Engine) takeFault() error {
	err := e.fault
	e.fault = nil
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
