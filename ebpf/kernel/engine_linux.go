package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
)

// An Engine runs a program in the kernel, packet by packet: the engine
// "kernel".
type Engine struct {
	prog    *Program
	context []byte // a struct __sk_buff to run on, nil for XDP
	longest int    // packets beyond are refused; see xdpLinear
	scratch []byte // the kernel's output of one run
	packets []byte // the outputs of a batch
}

var _ engine.Engine = (*Engine)(nil)

// NewEngine loads a program of type XDP, SchedCLS or SocketFilter. A socket
// filter is loaded as SchedCLS, because the kernel would start it behind the
// link header; both see the same context and packet loads.
func NewEngine(name string, t abi.ProgType, prog []ebpf.Instruction) (*Engine, error) {
	switch t {
	case abi.SocketFilter:
		t = abi.SchedCLS
	case abi.SchedCLS, abi.XDP:
	default:
		return nil, fmt.Errorf("the kernel engine runs programs of type socket_filter, sched_cls and xdp, not %v", t)
	}
	p, err := Load(name, t, prog)
	if err != nil {
		return nil, err
	}
	e := &Engine{prog: p, scratch: make([]byte, maxOutput), longest: math.MaxInt}
	if t == abi.SchedCLS {
		e.context = make([]byte, abi.SKBuff.Size)
		return e, nil
	}
	if e.longest, err = xdpLinear(); err != nil {
		p.Close()
		return nil, err
	}
	return e, nil
}

// Name returns "kernel".
func (e *Engine) Name() string { return "kernel" }

// Run implements [engine.Engine]. A packet that the kernel refuses to run has
// the [*PacketError] as its fault. Of the metadata the program sees the mark
// (sched_cls only); redirect targets and executed instructions are not to be
// had from the kernel.
func (e *Engine) Run(in []engine.Packet, out []engine.Result) error {
	e.packets = e.packets[:0]
	for i := range in {
		if len(in[i].Data) > e.longest {
			out[i] = engine.Result{Fault: &PacketError{Length: len(in[i].Data), Cause: unix.EMSGSIZE}}
			continue
		}
		ret, data, err := e.prog.testRun(in[i].Data, e.contextOf(&in[i]), e.scratch)
		var refused *PacketError
		switch {
		case errors.As(err, &refused):
			out[i] = engine.Result{Fault: refused}
			continue
		case err != nil:
			return fmt.Errorf("packet %d of the batch: %w", i, err)
		}
		start := len(e.packets)
		e.packets = append(e.packets, data...)
		out[i] = engine.Result{Return: ret, Data: e.packets[start:len(e.packets):len(e.packets)]}
	}
	return nil
}

// contextOf returns the context to run a packet on, or nil for the kernel's
// default.
func (e *Engine) contextOf(p *engine.Packet) []byte {
	if e.context == nil || p.Meta.Mark == 0 {
		return nil
	}
	binary.NativeEndian.PutUint32(e.context[abi.SKBuff.Field("mark").Offset:], p.Meta.Mark)
	return e.context
}

// Close removes the program from the kernel.
func (e *Engine) Close() error { return e.prog.Close() }
