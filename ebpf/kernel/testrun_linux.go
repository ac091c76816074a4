package kernel

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sort"
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

// The limits of bpf_prog_test_run_skb and bpf_test_init, and what there is to say
// of a packet beyond them.
const (
	tooShort   = "it wants a whole Ethernet header, 14 bytes"
	shortIPv4  = "it wants a whole IPv4 header, 34 bytes with that of Ethernet"
	shortIPv6  = "it wants a whole IPv6 header, 54 bytes with that of Ethernet"
	tooLong    = "with the kernel's own data it must fit in one page, which leaves room for %d bytes"
	notTheSize = "it is none that the program can be run on"
)

// skbLimit says why the kernel does not make an sk_buff of a frame, "" if it
// does.
func skbLimit(frame []byte, longest int) string {
	if len(frame) < etherHeader {
		return tooShort
	}
	switch proto := binary.BigEndian.Uint16(frame[12:]); {
	case proto == unix.ETH_P_IP && len(frame) < etherHeader+20:
		return shortIPv4
	case proto == unix.ETH_P_IPV6 && len(frame) < etherHeader+40:
		return shortIPv6
	case len(frame) > longest:
		return fmt.Sprintf(tooLong, longest)
	}
	return ""
}

func sizeLimit(in []byte) string {
	longest, err := skbLongest()
	if err != nil {
		return notTheSize
	}
	return cmp.Or(skbLimit(in, longest), notTheSize)
}

// skbLongest returns the length of the longest frame for which there is room in
// a test run of programs that get an sk_buff. It depends on the kernel's build,
// and is measured.
var skbLongest = sync.OnceValues(func() (int, error) {
	p, err := Load("longest", abi.SchedCLS, []ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return()})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	out := make([]byte, maxOutput)
	refused := sort.Search(os.Getpagesize(), func(n int) bool {
		_, err = p.prog.Run(&cilium.RunOptions{Data: make([]byte, etherHeader+n), DataOut: out})
		return err != nil
	})
	return etherHeader + refused - 1, nil
})

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
