//go:build !linux

package kernel

import (
	"context"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// A Program is a program in the kernel; there is none on this system.
type Program struct{}

// Load returns ErrNotSupported.
func Load(name string, t abi.ProgType, prog []ebpf.Instruction) (*Program, error) {
	return nil, ErrNotSupported
}

// LoadVerbose returns ErrNotSupported.
func LoadVerbose(name string, t abi.ProgType, prog []ebpf.Instruction) (*Program, []string, error) {
	return nil, nil, ErrNotSupported
}

// Close returns ErrNotSupported.
func (p *Program) Close() error { return ErrNotSupported }

// Info returns ErrNotSupported.
func (p *Program) Info() (Info, error) { return Info{}, ErrNotSupported }

// Log returns nil.
func (p *Program) Log() []string { return nil }

// Code returns ErrNotSupported.
func (p *Program) Code() (*Code, error) { return nil, ErrNotSupported }

// TestRun returns ErrNotSupported.
func (p *Program) TestRun(in []byte) (ret uint32, out []byte, err error) {
	return 0, nil, ErrNotSupported
}

// Attach returns ErrNotSupported.
func (p *Program) Attach(h Hook, o AttachOptions) (*Attachment, error) { return nil, ErrNotSupported }

// An Attachment is a program that the kernel runs; there is none on this
// system.
type Attachment struct {
	Hook Hook
	Mode XDPMode
	Note string
}

// Close returns ErrNotSupported.
func (a *Attachment) Close() error { return ErrNotSupported }

// Unpin returns ErrNotSupported.
func (a *Attachment) Unpin() error { return ErrNotSupported }

// A Collection is maps and programs in the kernel; there is none on this
// system.
type Collection struct {
	Log bool
}

// NewCollection returns ErrNotSupported.
func NewCollection(maps []abi.MapSpec, types []byte) (*Collection, error) {
	return nil, ErrNotSupported
}

// Load returns ErrNotSupported.
func (c *Collection) Load(p *object.LinkedProgram) (*Program, Stats, error) {
	return nil, Stats{}, ErrNotSupported
}

// Map returns ErrNotSupported.
func (c *Collection) Map(name string) (*Map, error) { return nil, ErrNotSupported }

// Maps returns nil.
func (c *Collection) Maps() []*Map { return nil }

// PossibleCPUs returns ErrNotSupported.
func PossibleCPUs() (int, error) { return 0, ErrNotSupported }

// A Map is a map in the kernel; there is none on this system.
type Map struct{}

// Spec returns nil.
func (m *Map) Spec() *abi.MapSpec { return nil }

// Update returns ErrNotSupported.
func (m *Map) Update(key []byte, values ...[]byte) error { return ErrNotSupported }

// Pop returns ErrNotSupported.
func (m *Map) Pop() ([]byte, error) { return nil, ErrNotSupported }

// Lookup returns ErrNotSupported.
func (m *Map) Lookup(key []byte) ([][]byte, error) { return nil, ErrNotSupported }

// Elements returns ErrNotSupported.
func (m *Map) Elements() ([]Element, error) { return nil, ErrNotSupported }

// Records returns ErrNotSupported.
func (m *Map) Records() (*Records, error) { return nil, ErrNotSupported }

// Records reads records of programs; there are none on this system.
type Records struct{}

// Next returns ErrNotSupported.
func (r *Records) Next() (data []byte, lost uint64, err error) { return nil, 0, ErrNotSupported }

// Stop returns ErrNotSupported.
func (r *Records) Stop() error { return ErrNotSupported }

// Close returns ErrNotSupported.
func (r *Records) Close() error { return ErrNotSupported }

// NewPackets returns ErrNotSupported.
func (c *Collection) NewPackets(link cbpf.LinkType) (*Packets, error) { return nil, ErrNotSupported }

// Packets reads packets that programs copy; there are none on this system.
type Packets struct{}

// Next returns ErrNotSupported.
func (p *Packets) Next() (*capture.Packet, error) { return nil, ErrNotSupported }

// Buffered returns false.
func (p *Packets) Buffered() bool { return false }

// Stop returns ErrNotSupported.
func (p *Packets) Stop() error { return ErrNotSupported }

// Stats returns ErrNotSupported.
func (p *Packets) Stats() (FilterStats, error) { return FilterStats{}, ErrNotSupported }

// Close returns ErrNotSupported.
func (p *Packets) Close() error { return ErrNotSupported }

// FillProgramArrays returns ErrNotSupported.
func (c *Collection) FillProgramArrays() error { return ErrNotSupported }

// Close returns ErrNotSupported.
func (c *Collection) Close() error { return ErrNotSupported }

// Available returns ErrNotSupported.
func Available() error { return ErrNotSupported }

// An Engine runs a program in the kernel; there is none on this system.
type Engine struct{}

// NewEngine returns ErrNotSupported.
func NewEngine(name string, t abi.ProgType, prog []ebpf.Instruction) (*Engine, error) {
	return nil, ErrNotSupported
}

// NewObjectEngine returns ErrNotSupported.
func NewObjectEngine(l *object.Linked, types []byte) (*Engine, error) { return nil, ErrNotSupported }

// Collection returns nil.
func (e *Engine) Collection() *Collection { return nil }

// Takes returns ErrNotSupported.
func (e *Engine) Takes(p *engine.Packet) error { return ErrNotSupported }

// RunContext returns ErrNotSupported.
func (e *Engine) RunContext(ctx context.Context, in []engine.Packet, out []engine.Result) error {
	return ErrNotSupported
}

// Name returns "kernel".
func (e *Engine) Name() string { return "kernel" }

// Run returns ErrNotSupported.
func (e *Engine) Run(in []engine.Packet, out []engine.Result) error { return ErrNotSupported }

// Close returns ErrNotSupported.
func (e *Engine) Close() error { return ErrNotSupported }

// A Classic runs a classic program in the kernel; there is none on this system.
type Classic struct{}

// NewClassic returns ErrNotSupported.
func NewClassic(prog []bpf.RawInstruction) (*Classic, error) { return nil, ErrNotSupported }

// Name returns "kernel".
func (c *Classic) Name() string { return "kernel" }

// Run returns ErrNotSupported.
func (c *Classic) Run(in []engine.Packet, out []engine.Result) error { return ErrNotSupported }

// Close returns ErrNotSupported.
func (c *Classic) Close() error { return ErrNotSupported }

// Probe returns one failed check: the kernel path is Linux only.
func Probe() []Check {
	return []Check{{
		Name:   "eBPF in the kernel",
		Detail: ErrNotSupported.Error(),
		Hint:   "filters and programs run here in userspace; for the kernel's word use Linux",
	}}
}
