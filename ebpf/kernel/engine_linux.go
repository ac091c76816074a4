package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm/engine"
)

// An Engine runs a program in the kernel, packet by packet, without attaching
// it: the engine "kernel".
type Engine struct {
	collection *Collection
	prog       *Program
	thread     *thread
	form       *packetForm
	sources    []source
	countsCPU  bool   // the program can tell on which processor it runs
	flowKeys   bool   // its output is not the packet, but a struct bpf_flow_keys
	scratch    []byte // the kernel's output of one run
	packets    []byte // the outputs of a batch
}

var _ engine.Engine = (*Engine)(nil)

// NewEngine makes an engine of one program without maps; see [NewObjectEngine].
func NewEngine(name string, t abi.ProgType, prog []ebpf.Instruction) (*Engine, error) {
	return NewObjectEngine(&object.Linked{Programs: []object.LinkedProgram{{
		Program: &object.Program{Name: name, Type: t, License: license}, Insns: prog,
	}}}, nil)
}

// NewObjectEngine makes the maps of linked programs and loads the programs, of
// which the first one runs, the others when it calls them by tail calls. types
// is [object.Object.Types], or nil.
//
// The types are those of programs that see packets. A socket filter is loaded
// as SchedCLS, because the kernel would start it behind the link header; both
// see the same context and packet loads. The error is a [*VerifierError] if the
// kernel's verifier refuses a program.
//
// Programs that look at devices or send packets of their own do so in a network
// namespace that the engine has for itself. Without the privilege to make one
// (CAP_SYS_ADMIN) those are refused.
func NewObjectEngine(l *object.Linked, types []byte) (_ *Engine, err error) {
	programs, err := testable(l.Programs)
	if err != nil {
		return nil, err
	}
	e := &Engine{scratch: make([]byte, maxOutput), flowKeys: programs[0].Type == abi.FlowDissector}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.collection, err = NewCollection(l.Maps, types); err != nil {
		return nil, err
	}
	for i := range programs {
		p, _, err := e.collection.Load(&programs[i])
		if err != nil {
			return nil, err
		}
		if i == 0 {
			e.prog = p
		}
	}
	if err := e.collection.FillProgramArrays(); err != nil {
		return nil, err
	}
	if e.sources, err = openSources(e.collection); err != nil {
		return nil, err
	}
	return e, e.prepare(programs)
}

// testable returns the programs in the types that test runs want.
func testable(programs []object.LinkedProgram) ([]object.LinkedProgram, error) {
	var out []object.LinkedProgram
	for _, p := range programs {
		if abi.ContextOf(p.Type) == nil {
			return nil, fmt.Errorf("the kernel test-runs programs that see packets, not %q of type %v (%w)", p.Name, p.Type, errors.ErrUnsupported)
		}
		if p.Type == abi.SocketFilter {
			as := *p.Program
			as.Type = abi.SchedCLS
			p.Program = &as
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no program")
	}
	return out, nil
}

// prepare finds out what the programs look at, and starts the thread.
func (e *Engine) prepare(programs []object.LinkedProgram) error {
	reads := map[string]bool{}
	looksAround := false
	for i := range programs {
		insns := programs[i].Insns
		for name := range contextReads(abi.ContextOf(programs[i].Type), insns) {
			reads[name] = true
		}
		looksAround = looksAround || calls(insns, abi.CloneRedirect, abi.FibLookup, abi.CheckMTU, abi.SKLookupTCP, abi.SKLookupUDP, abi.SKCLookupTCP)
		e.countsCPU = e.countsCPU || calls(insns, abi.GetSMPProcessorID, abi.GetNUMANodeID, abi.PerfEventOutput)
	}
	for i := range e.collection.specs {
		info := e.collection.specs[i].Kind.Info()
		e.countsCPU = e.countsCPU || info != nil && info.PerCPU
	}
	room := skbLongest
	if programs[0].Type == abi.XDP {
		room = xdpLinear
	}
	longest, err := room()
	if err != nil {
		return err
	}
	e.form = newPacketForm(programs[0].Type, reads, longest)
	e.thread = startThread(looksAround)
	if err := e.thread.isolated; err != nil {
		return fmt.Errorf("program %q sends packets or looks at devices, and a network namespace to do that in cannot be made: %w", programs[0].Name, err)
	}
	return nil
}

// Name returns "kernel".
func (e *Engine) Name() string { return "kernel" }

// Collection returns the maps and programs behind the engine. The records of
// its ring buffers and perf event arrays become events.
func (e *Engine) Collection() *Collection { return e.collection }

// Takes returns nil if the engine can run the program on a packet, and otherwise
// the [*PacketError].
func (e *Engine) Takes(p *engine.Packet) error {
	if _, _, refused := e.form.input(p); refused != nil {
		return refused
	}
	return nil
}

// Run implements [engine.Engine]. A packet that the kernel refuses to run, or
// that it would show the program with another context, has a [*PacketError] as
// its fault. Redirect targets, executed instructions and what trace_printk
// prints are not to be had from the kernel; a perf event may have up to seven
// bytes behind its end.
func (e *Engine) Run(in []engine.Packet, out []engine.Result) error {
	return e.RunContext(context.Background(), in, out)
}

// RunContext is Run with an end: when the context is done, no further packet
// runs, and the error is the context's.
func (e *Engine) RunContext(ctx context.Context, in []engine.Packet, out []engine.Result) (err error) {
	if e.thread == nil {
		return errors.New("the kernel engine is closed")
	}
	e.thread.do(func() { err = e.run(ctx, in, out) })
	return err
}

func (e *Engine) run(ctx context.Context, in []engine.Packet, out []engine.Result) error {
	e.packets = e.packets[:0]
	for i := range in {
		if err := ctx.Err(); err != nil {
			return err
		}
		result, err := e.runOne(&in[i])
		if err != nil {
			return fmt.Errorf("packet %d of the batch: %w", i+1, err)
		}
		out[i] = result
	}
	return nil
}

func (e *Engine) runOne(p *engine.Packet) (engine.Result, error) {
	frame, context, limit := e.form.input(p)
	if limit == nil && e.countsCPU {
		if err := e.thread.stayOn(p.Meta.CPU); err != nil {
			limit = &PacketError{Length: len(p.Data), Limit: err.Error()}
		}
	}
	if limit != nil {
		return engine.Result{Fault: limit}, nil
	}
	ret, data, err := e.prog.testRun(frame, context, e.scratch)
	if errors.As(err, &limit) {
		limit.Length = len(p.Data)
		return engine.Result{Fault: limit}, nil
	}
	if err != nil {
		return engine.Result{}, err
	}
	result := engine.Result{Return: ret}
	for i := range e.sources {
		if result.Events, err = e.sources[i].takeEvents(result.Events); err != nil {
			return engine.Result{}, err
		}
	}
	e.after(p, data, &result)
	return result, nil
}

// after adds the packet after the program, or what the kernel gives in its
// place. A link header that the program has not seen stands before it again,
// for which the kernel gives zeros.
func (e *Engine) after(p *engine.Packet, data []byte, result *engine.Result) {
	start := len(e.packets)
	switch {
	case e.flowKeys:
		e.packets = append(e.packets, data...)
		keys := e.packets[start:len(e.packets):len(e.packets)]
		result.Events = append(result.Events, engine.Event{Source: "flow_keys", Data: keys})
		result.Data = p.Data
		return
	case e.form.fromNetwork && len(data) >= etherHeader:
		e.packets = append(e.packets, p.Data[:linkLength(p)]...)
		data = data[etherHeader:]
	}
	e.packets = append(e.packets, data...)
	result.Data = e.packets[start:len(e.packets):len(e.packets)]
}

// Close removes the programs and maps from the kernel.
func (e *Engine) Close() error {
	var errs []error
	if e.thread != nil {
		e.thread.stop()
		e.thread = nil
	}
	for _, s := range e.sources {
		errs = append(errs, s.records.Close())
	}
	e.sources = nil
	if e.collection != nil {
		errs = append(errs, e.collection.Close())
	}
	return errors.Join(errs...)
}
