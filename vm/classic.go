package vm

import (
	"math/rand/v2"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/engine"
)

// A Classic runs one classic program: it is the engine "cbpf". The machine is
// that of package cbpf, where programs are as the kernel has them; nothing is
// translated. It is not safe for concurrent use.
type Classic struct {
	machine *cbpf.Machine
}

// NewClassic makes an engine of a classic program. The error is that of
// [cbpf.New] for an invalid one. Classic programs always end, so of the
// options only Random and a Budget that was given matter.
func NewClassic(prog []bpf.RawInstruction, o Options) (*Classic, error) {
	machine, err := cbpf.New(prog)
	if err != nil {
		return nil, err
	}
	machine.Budget = o.Budget
	if machine.Random = o.Random; o.Random == nil {
		machine.Random = rand.New(rand.NewPCG(0, 0)).Uint32
	}
	return &Classic{machine}, nil
}

// Name returns "cbpf".
func (c *Classic) Name() string { return "cbpf" }

// Close does nothing.
func (c *Classic) Close() error { return nil }

// Run runs the program over each packet; see [engine.Engine]. Classic
// programs cannot change packets.
func (c *Classic) Run(in []engine.Packet, out []engine.Result) error {
	for i := range in {
		p := &in[i]
		ret, err := c.machine.Run(p.Data, p.WireLen, &p.Meta)
		out[i] = engine.Result{Return: ret, Executed: c.machine.Executed(), Fault: err}
	}
	return nil
}

// Verdicts runs the program over each frame; see [engine.Filter].
func (c *Classic) Verdicts(frames []engine.Frame, verdicts []uint32) (judged int) {
	for i := range frames {
		ret, ok := c.machine.RunBytes(frames[i].Data, frames[i].WireLen)
		if !ok {
			return i
		}
		verdicts[i] = ret
	}
	return len(frames)
}
