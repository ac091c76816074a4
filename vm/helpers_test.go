package vm_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestContextFields reads every field that a packet's metadata fills.
func TestContextFields(t *testing.T) {
	p := engine.Packet{
		Data: make([]byte, 60), WireLen: 1500,
		Meta: cbpf.Metadata{
			Protocol: 0x0800, PacketType: 3, HasDevice: true, IfIndex: 7, IngressIfIndex: 6, Mark: 0xdeadbeef, Queue: 5, RxHash: 0x12345678, CPU: 2,
			VLANPresent: true, VLANTCI: 0x6064, VLANProto: 0x8100,
		},
	}
	tests := []struct {
		typ  abi.ProgType
		load string
		want uint32
	}{
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 0)", 1500},          // len
		{abi.SchedCLS, "r0 = *(u8 *)(r1 + 1)", 1500 >> 8},      // a part of it
		{abi.SocketFilter, "r0 = *(u32 *)(r1 + 4)", 3},         // pkt_type
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 8)", 0xdeadbeef},    // mark
		{abi.SchedCLS, "r0 = *(u16 *)(r1 + 10)", 0xdead},       // its upper half
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 12)", 5},            // queue_mapping
		{abi.CGroupSKB, "r0 = *(u32 *)(r1 + 16)", 0x0008},      // protocol, in network order
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 20)", 1},            // vlan_present
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 24)", 0x6064},       // vlan_tci
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 28)", 0x0081},       // vlan_proto, in network order
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 36)", 6},            // ingress_ifindex
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 40)", 7},            // ifindex
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 68)", 0x12345678},   // hash
		{abi.SchedCLS, "call bpf_get_hash_recalc", 0x12345678}, //
		{abi.SchedCLS, "r0 = *(u64 *)(r1 + 168)", 0},           // sk
		{abi.SchedCLS, "r0 = *(u32 *)(r1 + 160)", 1500},        // wire_len
		{abi.SchedCLS, "call bpf_get_smp_processor_id", 2},     //
		{abi.SchedCLS, span(76, 80), 60},                       // data, data_end
		{abi.SchedCLS, span(140, 76), 0},                       // data_meta
		{abi.XDP, span(0, 4), 60},                              // data, data_end
		{abi.XDP, span(8, 0), 0},                               // data_meta
		{abi.XDP, "r0 = *(u32 *)(r1 + 12)", 7},                 // ingress_ifindex
		{abi.XDP, "r0 = *(u32 *)(r1 + 16)", 4},                 // rx_queue_index
		{abi.XDP, "call bpf_xdp_get_buff_len", 60},             //
		{abi.SchedCLS, "*(u32 *)(r1 + 8) = 5\nr0 = *(u32 *)(r1 + 8)", 5},
		{abi.SocketFilter, "*(u64 *)(r1 + 48) = 5\nr0 = *(u8 *)(r1 + 48)", 5}, // cb
	}
	for _, tt := range tests {
		if res := runPacket(t, tt.typ, tt.load+"\nexit", p, vm.Options{}); res.Return != tt.want || res.Fault != nil {
			t.Errorf("%v %s: %#x, %v, want %#x", tt.typ, tt.load, res.Return, res.Fault, tt.want)
		}
	}
}

// span is code for the distance between two pointers of the context.
func span(from, to int) string {
	return fmt.Sprintf("r2 = *(u32 *)(r1 + %d)\nr0 = *(u32 *)(r1 + %d)\nr0 -= r2", from, to)
}

// TestContextStartsAnew checks that what a program wrote into its context is
// gone for the next packet.
func TestContextStartsAnew(t *testing.T) {
	m := machine(t, abi.SchedCLS, `
		r0 = *(u32 *)(r1 + 48)
		r2 = *(u32 *)(r1 + 8)
		r0 += r2
		*(u32 *)(r1 + 48) = 1
		*(u32 *)(r1 + 8) = 1
		exit`, vm.Options{})
	out := make([]engine.Result, 2)
	if err := m.Run(make([]engine.Packet, 2), out); err != nil || out[0].Return != 0 || out[1].Return != 0 {
		t.Error(out[0], out[1], err)
	}
}

// TestSources checks that random numbers and time come from the options, and
// are the same in every new machine if the options say nothing.
func TestSources(t *testing.T) {
	const random, clock = "call bpf_get_prandom_u32\nexit", "call bpf_ktime_get_ns\nr6 = r0\ncall bpf_ktime_get_ns\nr0 -= r6\nexit"
	o := vm.Options{Random: func() uint32 { return 42 }, Clock: func() uint64 { return 43 }}
	if res := runPacket(t, abi.XDP, random, engine.Packet{}, o); res.Return != 42 {
		t.Error(res)
	}
	if res := runPacket(t, abi.XDP, clock, engine.Packet{}, o); res.Return != 0 {
		t.Error(res)
	}
	a, b := run(t, abi.XDP, random, nil), run(t, abi.SocketFilter, random, nil)
	if a.Return != b.Return || a.Return == 0 {
		t.Error(a, b)
	}
	if res := run(t, abi.XDP, clock, nil); res.Return != 1000 {
		t.Error(res)
	}
}

// TestTruncatedPacket checks that the context tells the length on the wire,
// while only the captured bytes can be had.
func TestTruncatedPacket(t *testing.T) {
	p := engine.Packet{Data: make([]byte, 20), WireLen: 100}
	for _, tt := range []struct {
		text string
		want int32
	}{
		{span(76, 80), 20},
		{"r2 = 20\ncall bpf_skb_pull_data", 0},
		{"r2 = 0\ncall bpf_skb_pull_data", 0},
		{"r2 = 21\ncall bpf_skb_pull_data", -12},
		{"r2 = 18\nr3 = r10\nr3 += -4\nr4 = 4\ncall bpf_skb_load_bytes", -14},
		{"r6 = r1\nr0 = *(u32 *)skb[17]\nr0 += 1", 0},
	} {
		if res := runPacket(t, abi.SchedCLS, tt.text+"\nexit", p, vm.Options{}); int32(res.Return) != tt.want || res.Fault != nil {
			t.Errorf("%s: %d, %v, want %d", tt.text, int32(res.Return), res.Fault, tt.want)
		}
	}
}

// TestUnchangedPacketIsTheInput checks that nothing is copied for a program
// that changes nothing, and the input stays as it is for one that does.
func TestUnchangedPacketIsTheInput(t *testing.T) {
	data := []byte("0123456789abcdef")
	res := run(t, abi.XDP, "r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 15)\n*(u8 *)(r10 - 1) = r0\nexit", data)
	if res.Return != 'f' || &res.Data[0] != &data[0] {
		t.Error(res)
	}
	res = run(t, abi.XDP, "r2 = *(u32 *)(r1 + 0)\n*(u8 *)(r2 + 0) = 65\nexit", data)
	if string(res.Data) != "A123456789abcdef" || data[0] != '0' {
		t.Errorf("%q from %q", res.Data, data)
	}
}

// TestHelpersAgainstKernel runs random sequences of helper calls here and in
// the kernel. Results are mixed into the return value.
func TestHelpersAgainstKernel(t *testing.T) {
	needKernel(t)
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 44))}
	for i := range 1200 {
		typ, text := abi.XDP, g.xdpCalls()
		if i%2 == 0 {
			typ, text = abi.SchedCLS, g.skbCalls()
		}
		prog, err := ebpf.Assemble(text)
		if err != nil {
			t.Fatal(err, text)
		}
		p, err := kernel.Load("helpers", typ, prog)
		if err != nil {
			t.Fatalf("%+v\n%s", err, text)
		}
		packet := g.packet()
		packet.Meta.HasLink, packet.Meta.NetworkOffset = true, 14
		ret, data, err := p.TestRun(packet.Data)
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
		res := runPacket(t, typ, text, packet, vm.Options{})
		if res.Return != ret || res.Fault != nil || !bytes.Equal(res.Data, data) {
			t.Fatalf("program %d: %#x, %v, in the kernel %#x\nbefore %x\nafter  %x\nkernel %x\n%s", i, res.Return, res.Fault, ret, packet.Data, res.Data, data, text)
		}
	}
}

// xdpCalls returns a program that moves the packet's bounds about and loads
// and stores through helpers; at the end it drops the metadata, because the
// kernel counts that into the packet after the run.
func (g *generator) xdpCalls() string {
	var b strings.Builder
	b.WriteString("r6 = r1\nr7 = 0\n*(u64 *)(r10 - 8) = 0x1234567\n*(u64 *)(r10 - 16) = -1\n")
	for range 1 + g.IntN(8) {
		b.WriteString("r1 = r6\n")
		switch g.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "r2 = %d\ncall bpf_xdp_adjust_head\n", pick(g, -216, -217, -215, -100, -14, -4, 4, 14, 20, 60, 200, 1<<20, -1<<31, g.IntN(100)-50))
		case 1:
			fmt.Fprintf(&b, "r2 = %d\ncall bpf_xdp_adjust_tail\n", pick(g, -200, -60, -14, -1, 1, 4, 100, 3300, 3520, 1<<20, -1<<31, g.IntN(200)-100))
		case 2:
			fmt.Fprintf(&b, "r2 = %d\ncall bpf_xdp_adjust_meta\n", pick(g, -256, -252, -216, -32, -8, -4, -3, 4, 8, 1<<20, -1<<31, g.IntN(64)-48))
		case 3:
			b.WriteString("call bpf_xdp_get_buff_len\n")
		case 4:
			fmt.Fprintf(&b, "r2 = %d\nr3 = r10\nr3 += -16\nr4 = %d\ncall bpf_xdp_load_bytes\nr1 = *(u64 *)(r10 - 16)\nr7 += r1\n", g.IntN(250), 1+g.IntN(16))
		case 5:
			fmt.Fprintf(&b, "r2 = %d\nr3 = r10\nr3 += -16\nr4 = %d\ncall bpf_xdp_store_bytes\n", g.IntN(250), 1+g.IntN(16))
		}
		b.WriteString("r7 *= 31\nr7 += r0\n")
	}
	b.WriteString("r1 = r6\nr2 = *(u32 *)(r6 + 0)\nr3 = *(u32 *)(r6 + 8)\nr2 -= r3\ncall bpf_xdp_adjust_meta\nr7 += r0\nr0 = r7\nexit\n")
	return b.String()
}

// skbCalls returns a program that loads and stores through helpers.
func (g *generator) skbCalls() string {
	var b strings.Builder
	b.WriteString("r6 = r1\nr7 = 0\n*(u64 *)(r10 - 8) = 0x1234567\n*(u64 *)(r10 - 16) = -1\n")
	for range 1 + g.IntN(8) {
		off := pick(g, g.IntN(250), g.IntN(250), 0xffff, 0x10000, 1<<31-1, -1)
		fmt.Fprintf(&b, "r1 = r6\nr2 = %d\nr3 = r10\nr3 += -16\nr4 = %d\n", off, 1+g.IntN(16))
		switch g.IntN(4) {
		case 0:
			b.WriteString("call bpf_skb_load_bytes\n")
		case 1:
			fmt.Fprintf(&b, "r5 = %d\ncall bpf_skb_load_bytes_relative\n", pick(g, 0, 1, 1, 2))
		case 2:
			fmt.Fprintf(&b, "r5 = %d\ncall bpf_skb_store_bytes\n", pick(g, 0, 0, 0, 2, 4, 8))
		case 3:
			b.WriteString("call bpf_skb_pull_data\n")
		}
		b.WriteString("r7 *= 31\nr7 += r0\nr1 = *(u64 *)(r10 - 16)\nr7 += r1\nr1 = *(u64 *)(r10 - 8)\nr7 += r1\n")
	}
	b.WriteString("r0 = r7\nexit\n")
	return b.String()
}

// TestHeadRoomStartsAnew checks that what one packet's run left in the head
// room is not there for the next.
func TestHeadRoomStartsAnew(t *testing.T) {
	for _, helper := range []string{"bpf_xdp_adjust_head", "bpf_xdp_adjust_meta"} {
		m := machine(t, abi.XDP, `
			r6 = r1
			r2 = -4
			call `+helper+`
			r2 = *(u32 *)(r6 + 8)
			r0 = *(u32 *)(r2 + 0)
			*(u32 *)(r2 + 0) = 7
			exit`, vm.Options{})
		in := []engine.Packet{{Data: make([]byte, 60)}, {Data: make([]byte, 60)}}
		out := make([]engine.Result, 2)
		if err := m.Run(in, out); err != nil || out[0].Return != 0 || out[1].Return != 0 {
			t.Error(helper, out[0], out[1], err)
		}
	}
}

func TestStoreInvalidatesHash(t *testing.T) {
	for flags, want := range map[int]uint32{0: 5, 2: 0} {
		text := fmt.Sprintf(`
			r6 = r1
			r2 = 0
			r3 = r10
			r3 += -1
			r4 = 1
			r5 = %d
			call bpf_skb_store_bytes
			r0 = *(u32 *)(r6 + 68)
			exit`, flags)
		p := engine.Packet{Data: make([]byte, 60), Meta: cbpf.Metadata{RxHash: 5}}
		if res := runPacket(t, abi.SchedCLS, text, p, vm.Options{}); res.Return != want || res.Fault != nil {
			t.Errorf("flags %d: hash %d, %v, want %d", flags, res.Return, res.Fault, want)
		}
	}
}

// TestFromNetwork: programs of control groups and routes do not see the link
// header, but it is there again behind them; offsets count without it.
func TestFromNetwork(t *testing.T) {
	p := engine.Packet{Data: []byte("link-header...\x45network"), WireLen: 100}
	p.Meta.HasLink, p.Meta.NetworkOffset = true, 14
	const program = `
		r6 = r1
		r2 = *(u32 *)(r1 + 76)
		r7 = *(u8 *)(r2 + 0)
		r8 = *(u32 *)(r1 + 0)
		r2 = 1
		r3 = r10
		r3 += -8
		*(u64 *)(r10 - 8) = 0
		r4 = 1
		call bpf_skb_load_bytes
		r0 = *(u8 *)(r10 - 8)
		r0 <<= 8
		r0 |= r8
		r0 <<= 8
		r0 |= r7
		exit`
	for _, tt := range []struct {
		typ  abi.ProgType
		want uint32
	}{
		{abi.CGroupSKB, 'n'<<16 | 86<<8 | 0x45},
		{abi.LWTXmit, 'n'<<16 | 86<<8 | 0x45},
		{abi.SchedCLS, 'i'<<16 | 100<<8 | 'l'},
	} {
		res := runPacket(t, tt.typ, program, p, vm.Options{})
		if res.Return != tt.want || res.Fault != nil || !bytes.Equal(res.Data, p.Data) {
			t.Errorf("%v: %#x, %v, %q, want %#x", tt.typ, res.Return, res.Fault, res.Data, tt.want)
		}
	}
	const relative = `
		r2 = 1
		r3 = r10
		r3 += -8
		r4 = 1
		r5 = 1 ; BPF_HDR_START_NET
		call bpf_skb_load_bytes_relative
		r0 = *(u8 *)(r10 - 8)
		exit`
	if res := runPacket(t, abi.CGroupSKB, relative, p, vm.Options{}); res.Return != 'n' || res.Fault != nil {
		t.Errorf("relative to the network header: %q, %v", rune(res.Return), res.Fault)
	}
	const shorter = `
		*(u8 *)(r10 - 1) = 0x65
		r2 = *(u32 *)(r1 + 76)
		*(u8 *)(r2 + 1) = 0x4e
		r2 = 5
		r3 = 0
		call bpf_skb_change_tail
		exit`
	res := runPacket(t, abi.LWTXmit, shorter, p, vm.Options{})
	if res.Fault != nil || string(res.Data) != "link-header...\x45Netw" {
		t.Errorf("%q, %v", res.Data, res.Fault)
	}
	p.Meta.NetworkOffset = 1000
	if res := runPacket(t, abi.CGroupSKB, "r0 = *(u32 *)(r1 + 0)\nexit", p, vm.Options{}); res.Return != 100-22 || res.Fault != nil {
		t.Errorf("no network header: %d, %v", res.Return, res.Fault)
	}
}
