package lift_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
)

func needKernel(t testing.TB) {
	t.Helper()
	if err := kernel.Available(); err != nil {
		require.Skip(t, "eBPF in the kernel: %v", err)
	}
}

// TestKernelFilters loads every filter of the corpus at every hook in every
// access mode and compares the verdicts on packets.
func TestKernelFilters(t *testing.T) {
	needKernel(t)
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			for _, f := range readFilters(t) {
				var data [][]byte
				for _, p := range packets.Generate(f.link, 1, v.thorough(60, 20)) {
					data = append(data, p.Data)
				}
				compareInKernel(t, v, f.name, f.prog, nil, data)
			}
		})
	}
}

// TestKernelRandom does the same for random programs, with the hook's own
// returns and with the classic return value: 2000 at each hook in the access
// mode to prefer there, fewer in the others.
func TestKernelRandom(t *testing.T) {
	needKernel(t)
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 7))
			for i, prog := range randomPrograms(v.hook, 1, v.thorough(2000, 400)) {
				returns := lengths
				if i%2 == 0 || v.hook == abi.HookCGroupSKB {
					returns = nil
				}
				data := [][]byte{programs.Packet(r), programs.Packet(r)}
				compareInKernel(t, v, "random", prog, returns, data)
			}
		})
	}
}

// TestKernelLong has the verifier walk through programs of the greatest length.
func TestKernelLong(t *testing.T) {
	needKernel(t)
	for name, prog := range longPrograms() {
		for _, v := range variants() {
			if v.thorough(1, 0) == 0 && v.hook != abi.HookTC || name == "loads by header" && v.hook == abi.HookXDP {
				continue
			}
			compareInKernel(t, v, name, prog, nil, [][]byte{make([]byte, 60)})
		}
	}
}

// compareInKernel loads a translated program and runs it on packets.
func compareInKernel(t *testing.T, v variant, name string, prog []bpf.RawInstruction, returns *lift.Returns, data [][]byte) {
	t.Helper()
	lifted, err := lift.Lift(prog, lift.Options{Hook: v.hook, Access: v.access, Returns: returns})
	if err != nil {
		t.Fatalf("%v: %s: %v", v, name, err)
	}
	p, err := kernel.Load("lift", lifted.Type, lifted.Insns)
	if err != nil {
		t.Fatalf("%v: %s: %+v\n%s", v, name, err, listing(prog, lifted))
	}
	defer p.Close()
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range data {
		in, meta := testRunInput(v.hook, d)
		got, _, err := p.TestRun(in)
		var refused *kernel.PacketError
		switch {
		case errors.As(err, &refused):
			continue
		case err != nil:
			t.Fatal(err)
		}
		want := classicVerdict(t, m, returnsOf(v, returns), d, uint32(len(d)), meta)
		if got != want {
			t.Fatalf("%v: %s: kernel %d, classic machine %d for\n%x\n%s", v, name, got, want, d, listing(prog, lifted))
		}
	}
}

// testRunInput returns the packet to hand to BPF_PROG_TEST_RUN so that the
// program sees d, and what the kernel knows of it then. The kernel takes an
// Ethernet header off for hooks that it regards as above the link layer.
func testRunInput(h abi.Hook, d []byte) ([]byte, *cbpf.Metadata) {
	meta := &cbpf.Metadata{HasDevice: true, IfIndex: 1, HasLink: true, NetworkOffset: 14}
	if h == abi.HookSocket || h == abi.HookCGroupSKB {
		meta.NetworkOffset, meta.LinkOffset = 0, -14
		// A header that makes no demands on the length of the rest.
		d = append(make([]byte, 14), d...)
	}
	if len(d) >= 14 {
		meta.Protocol, meta.PacketType = etherProtocol(d), packetType(d)
	}
	return d, meta
}

// etherProtocol and packetType are what eth_type_trans makes of a frame that
// arrives on the loopback device, whose address is 0.
func etherProtocol(d []byte) uint16 {
	switch p := binary.BigEndian.Uint16(d[12:]); {
	case p >= 1536:
		return p
	case len(d) >= 16 && d[14] == 0xff && d[15] == 0xff:
		return 1 // ETH_P_802_3
	}
	return 4 // ETH_P_802_2
}

func packetType(d []byte) uint8 {
	switch string(d[:6]) {
	case "\xff\xff\xff\xff\xff\xff":
		return 1 // PACKET_BROADCAST
	case "\x00\x00\x00\x00\x00\x00":
		return 0 // PACKET_HOST
	}
	if d[0]&1 != 0 {
		return 2 // PACKET_MULTICAST
	}
	return 3 // PACKET_OTHERHOST
}
