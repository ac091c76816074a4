package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	cilium "github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// maxOutput holds any packet that a program can leave: test runs start with
// at most a page, and helpers grow a packet no further than 64 KiB.
const maxOutput = 1<<16 + 4096

// etherHeader is the length of an Ethernet header.
const etherHeader = 14

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
		return 0, nil, &PacketError{Limit: tooShort}
	}
	ret, err := p.prog.Run(&o)
	switch {
	case errors.Is(err, unix.EINVAL):
		return 0, nil, &PacketError{Length: len(in), Limit: sizeLimit(in), Cause: unix.EINVAL}
	case err != nil:
		return 0, nil, fmt.Errorf("test run of program %q: %w", p.name, err)
	}
	return ret, o.DataOut, nil
}

const tooShort = "it wants a whole Ethernet header, 14 bytes"

// sizeLimit says why the kernel found a packet invalid: the rules of
// bpf_prog_test_run_skb and bpf_test_init.
func sizeLimit(in []byte) string {
	if len(in) < etherHeader {
		return tooShort
	}
	switch proto := binary.BigEndian.Uint16(in[12:]); {
	case proto == unix.ETH_P_IP && len(in) < etherHeader+20:
		return "it wants a whole IPv4 header, 34 bytes with that of Ethernet"
	case proto == unix.ETH_P_IPV6 && len(in) < etherHeader+40:
		return "it wants a whole IPv6 header, 54 bytes with that of Ethernet"
	case len(in) > os.Getpagesize()*3/4:
		return "with the kernel's own data it must fit in one page, which leaves room for about 3700"
	}
	return "the program was made for another place than a packet's arrival, or wants a context"
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
