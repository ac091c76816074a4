package kernel

import (
	"errors"
	"fmt"
	"os"
	"sync"

	cilium "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
)

// maxOutput holds any packet that a program can leave: test runs start with
// at most a page, and helpers grow a packet no further than 64 KiB.
const maxOutput = 1<<16 + 4096

// A PacketError says that the kernel does not test-run programs on such a
// packet; see the package documentation for its rules.
type PacketError struct {
	Length int
	Cause  error
}

func (e *PacketError) Unwrap() error { return e.Cause }

// Is makes the error an [engine.ErrPacket].
func (e *PacketError) Is(target error) bool { return target == engine.ErrPacket }

func (e *PacketError) Error() string {
	return fmt.Sprintf("the kernel does not test-run a packet of %d bytes (%v): it takes about 14 to 3500, IPv4 from 34, IPv6 from 54", e.Length, e.Cause)
}

// TestRun runs the program once on a packet that starts with its Ethernet
// header, and returns what the program returned and the packet after it. The
// error is a [*PacketError] for a packet that the kernel refuses.
func (p *Program) TestRun(in []byte) (ret uint32, out []byte, err error) {
	return p.testRun(in, nil, make([]byte, maxOutput))
}

// testRun runs on a context, or nil for none, and puts the packet into out.
func (p *Program) testRun(in, context, out []byte) (uint32, []byte, error) {
	o := cilium.RunOptions{Data: in, DataOut: out}
	if context != nil {
		o.Context = context
	}
	if len(in) == 0 { // bpf() would take this as a run without a packet
		return 0, nil, &PacketError{Cause: unix.EINVAL}
	}
	ret, err := p.prog.Run(&o)
	switch {
	case errors.Is(err, unix.EINVAL):
		return 0, nil, &PacketError{Length: len(in), Cause: unix.EINVAL}
	case err != nil:
		return 0, nil, fmt.Errorf("test run of program %q: %w", p.name, err)
	}
	return ret, o.DataOut, nil
}

// xdpLinear returns how many bytes of a packet an XDP program sees in a test
// run: the rest of one page behind the headroom and in front of the kernel's
// own bookkeeping, whose size depends on its build. It is measured.
//
// The kernel runs longer packets, but shows the program only the first part
// and hides the rest in fragments, as for a driver with multi-buffer packets.
// To no other engine would that be the same packet.
var xdpLinear = sync.OnceValues(func() (int, error) {
	p, err := Load("linear", abi.XDP, []ebpf.Instruction{
		ebpf.Load(ebpf.SizeW, ebpf.R0, ebpf.R1, int16(abi.XDPMD.Field("data_end").Offset)),
		ebpf.Load(ebpf.SizeW, ebpf.R2, ebpf.R1, int16(abi.XDPMD.Field("data").Offset)),
		ebpf.ALU64(ebpf.Sub, ebpf.R0, ebpf.R2),
		ebpf.Return(),
	})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	n, _, err := p.testRun(make([]byte, os.Getpagesize()), nil, make([]byte, maxOutput))
	return int(n), err
})
