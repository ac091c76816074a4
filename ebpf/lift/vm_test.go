package lift_test

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestMachineFilters runs the corpus in every variant on the interpreter, on
// whole and on truncated packets.
func TestMachineFilters(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			for _, f := range readFilters(t) {
				var in []engine.Packet
				for _, p := range packets.Generate(f.link, 2, v.thorough(250, 100)) {
					in = append(in, engine.Packet{Data: p.Data, WireLen: p.WireLen, Meta: metadata})
				}
				compareInMachine(t, v, f.name, f.prog, nil, in)
			}
		})
	}
}

// metadata is of an ordinary Ethernet packet.
var metadata = cbpf.Metadata{
	Protocol: 0x0800, HasDevice: true, IfIndex: 2, HasLink: true, NetworkOffset: 14,
}

// TestMachineRandom does the same for random programs and metadata.
func TestMachineRandom(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 3))
			extensions := append(extensionsOf(v.hook), cbpf.AdCPU, cbpf.AdRandom)
			for i, prog := range randomPrograms(2, v.thorough(1000, 250), extensions) {
				returns := v.someReturns(i)
				in := make([]engine.Packet, 4)
				for i := range in {
					in[i] = randomPacket(r)
				}
				compareInMachine(t, v, "random", prog, returns, in)
			}
		})
	}
}

func randomPacket(r *rand.Rand) engine.Packet {
	p := engine.Packet{Data: programs.Packet(r)}
	p.WireLen = uint32(len(p.Data) + r.IntN(2)*r.IntN(2000))
	p.Meta = cbpf.Metadata{
		Protocol: uint16(r.Uint32()), PacketType: uint8(r.IntN(5)), Mark: r.Uint32(),
		Queue: uint16(r.IntN(9)), RxHash: r.Uint32(), CPU: uint32(r.IntN(4)),
		HasLink: true, NetworkOffset: 14,
	}
	if r.IntN(2) == 0 {
		p.Meta.HasDevice, p.Meta.IfIndex = true, 1+uint32(r.IntN(100))
	}
	if r.IntN(2) == 0 {
		p.Meta.VLANPresent, p.Meta.VLANTCI, p.Meta.VLANProto = true, uint16(r.Uint32()), 0x8100
	}
	return p
}

// compareInMachine runs a translated program on packets and compares what it
// returns with what the classic machine does.
func compareInMachine(t *testing.T, v variant, name string, prog []bpf.RawInstruction, returns *lift.Returns, in []engine.Packet) {
	t.Helper()
	lifted, err := lift.Lift(prog, lift.Options{Hook: v.hook, Access: v.access, Returns: returns})
	if err != nil {
		t.Fatalf("%v: %s: %v", v, name, err)
	}
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	m.Random = notRandom
	out := runInMachine(t, v, returnsOf(v, returns).NoMatch, lifted, in)
	for i, p := range in {
		want := classicVerdict(t, m, returnsOf(v, returns), p.Data, p.WireLen, &p.Meta)
		if out[i].Fault != nil || out[i].Return != want {
			t.Fatalf("%v: %s: machine %d (%v), classic machine %d for\n%x\n%s",
				v, name, out[i].Return, out[i].Fault, want, p.Data, listing(prog, lifted))
		}
	}
}

// notRandom stands for the source of random numbers in both machines. It has no
// state, because dead calls are removed from translated programs.
func notRandom() uint32 { return 0x9e3779b1 }

// runInMachine runs a program on packets, which it adapts to the variant.
func runInMachine(t *testing.T, v variant, noMatch uint32, p *lift.Program, in []engine.Packet) []engine.Result {
	t.Helper()
	e, err := vm.New(p.Type, p.Insns, vm.Options{Random: notRandom})
	if err != nil {
		t.Fatalf("%v: %v", v, err)
	}
	defer e.Close()
	for i := range in {
		adapt(v, noMatch, &in[i])
	}
	out := make([]engine.Result, len(in))
	if err := e.Run(in, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// adapt makes a packet one that the hook can have, given what the program
// returns for no match.
func adapt(v variant, noMatch uint32, p *engine.Packet) {
	switch v.hook {
	case abi.HookXDP:
		p.WireLen = uint32(len(p.Data)) // all that XDP knows
		p.Meta.Queue = 0                // an sk_buff has the queue plus one
		fallthrough
	case abi.HookTC:
		if !p.Meta.HasDevice {
			p.Meta.HasDevice, p.Meta.IfIndex = true, 1
		}
	case abi.HookCGroupSKB:
		p.Meta.NetworkOffset = 0 // the packet starts there
	}
	if v.access == lift.Abs && noMatch != 0 {
		// The kernel has all bytes that skb->len counts; what is checked
		// against it then loads. A truncated packet has not.
		p.WireLen = uint32(len(p.Data))
	}
}
