package kernel_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

func classic(t *testing.T, text string) *kernel.Classic {
	t.Helper()
	return classicOf(t, assembleClassic(t, text))
}

func assembleClassic(t *testing.T, text string) []bpf.RawInstruction {
	t.Helper()
	prog, _, err := cbpf.ParseAny([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

func classicOf(t *testing.T, prog []bpf.RawInstruction) *kernel.Classic {
	t.Helper()
	c, err := kernel.NewClassic(prog)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		require.Skip(t, "needs SO_ATTACH_FILTER: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestClassicLikeMachine compares random programs with the classic machine on
// packets with all that a capture tells of them. Those that ask for what a
// socket pair has not are refused, and no others.
func TestClassicLikeMachine(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 4))
	var in []engine.Packet
	for i, p := range packets.Generate(cbpf.LinkEthernet, 6, 60) {
		c := capture.Packet{Data: p.Data, WireLen: p.WireLen, LinkType: cbpf.LinkEthernet}
		packet := c.Engine()
		packet.Meta.HasLink, packet.Meta.NetworkOffset = false, 0 // see Classic about large X
		if i%3 == 0 {
			packet.Meta = cbpf.Metadata{}
		}
		in = append(in, packet)
	}
	extensions := []uint32{cbpf.AdProtocol, cbpf.AdPacketType, cbpf.AdIfIndex, cbpf.AdMark, cbpf.AdQueue, cbpf.AdRxHash, cbpf.AdVLANTag, cbpf.AdPayOffset, cbpf.AdXorX}
	ran, refused := 0, 0
	ours, theirs := make([]engine.Result, len(in)), make([]engine.Result, len(in))
	for range 300 {
		prog := programs.Random(r, programs.Options{Extensions: extensions, Headers: true})
		machine, err := vm.NewClassic(prog, vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		inKernel := classicOf(t, prog)
		if err := errors.Join(machine.Run(in, ours), inKernel.Run(in, theirs)); err != nil {
			t.Fatal(err)
		}
		for i := range in {
			if errors.Is(theirs[i].Fault, engine.ErrPacket) {
				refused++
				continue
			}
			ran++
			if want := min(ours[i].Return, uint32(max(len(in[i].Data), 1))); theirs[i].Return != want {
				t.Fatalf("packet %x: the kernel returns %d, we %d\n%v", in[i].Data, theirs[i].Return, want, prog)
			}
		}
		inKernel.Close()
	}
	t.Logf("%d runs, %d refused", ran, refused)
	if ran < 5000 || refused < 100 {
		t.Errorf("only %d runs, %d refused", ran, refused)
	}
}

// TestClassicLimits checks that what a socket pair has not is told by name.
func TestClassicLimits(t *testing.T) {
	device := engine.Packet{Data: packet(60), WireLen: 1500, Meta: cbpf.Metadata{
		Protocol: 0x800, PacketType: 1, HasDevice: true, Mark: 1, Queue: 1, RxHash: 1, VLANPresent: true,
		HasLink: true, NetworkOffset: 14,
	}}
	plain := engine.Packet{Data: packet(60), WireLen: 60}
	for _, name := range []string{"proto", "poff", "type", "ifidx", "hatype", "mark", "queue", "rxhash", "vlan_tci", "vlan_avail", "vlan_tpid", "len"} {
		c := classic(t, "ld #"+name+"\nret #1")
		out := make([]engine.Result, 2)
		if err := c.Run([]engine.Packet{device, plain}, out); err != nil {
			t.Fatal(err)
		}
		if want := "the extension " + name; name != "len" && (out[0].Fault == nil || !strings.Contains(out[0].Fault.Error(), want)) {
			t.Errorf("%s: %v", name, out[0].Fault)
		}
		if !errors.Is(out[0].Fault, engine.ErrPacket) || out[1].Fault != nil {
			t.Errorf("%s: %v, %v", name, out[0].Fault, out[1].Fault)
		}
	}
	for k, want := range map[string]string{"ld [0xfff00000]": "network header", "ld [0xffe00000]": "link header", "ld [x + 0xffe00001]": "network header"} {
		out := make([]engine.Result, 2)
		if err := classic(t, k+"\nret #1").Run([]engine.Packet{device, plain}, out); err != nil {
			t.Fatal(err)
		}
		if out[0].Fault == nil || !strings.Contains(out[0].Fault.Error(), want) || out[1].Fault != nil {
			t.Errorf("%s: %v, %v", k, out[0].Fault, out[1].Fault)
		}
	}
	for _, name := range []string{"cpu", "rand"} {
		if _, err := kernel.NewClassic(assembleClassic(t, "ld #"+name+"\nret a")); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	c := classic(t, "ret #-1")
	out := make([]engine.Result, 3)
	long := engine.Packet{Data: make([]byte, 1<<23)}
	if err := c.Run([]engine.Packet{{}, long, {Data: packet(100000)}}, out); err != nil {
		t.Fatal(err)
	}
	if out[0].Return != 1 || !errors.Is(out[1].Fault, engine.ErrPacket) || out[2].Return != 100000 {
		t.Errorf("empty %+v, long %v, jumbo %+v", out[0], out[1].Fault, out[2])
	}
}
