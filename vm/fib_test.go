package vm_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

var router = vm.Network{
	Interfaces: []vm.Interface{{Index: 1, Address: [6]byte{1, 1, 1, 1, 1, 1}}, {Index: 2, MTU: 1400, Address: [6]byte{2, 2, 2, 2, 2, 2}}, {Index: 3, NoForward: true}},
	Routes: []vm.Route{
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Interface: 2, Gateway: netip.MustParseAddr("10.0.0.1"), Metric: 100},
		{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Interface: 2, Source: netip.MustParseAddr("10.9.9.9"), Metric: 7},
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Interface: 1, Metric: 9},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Type: vm.Blackhole},
		{Prefix: netip.MustParsePrefix("10.3.0.0/16"), Type: vm.Unreachable},
		{Prefix: netip.MustParsePrefix("10.4.0.0/16"), Type: vm.Prohibit},
		{Prefix: netip.MustParsePrefix("10.5.0.0/16"), Type: vm.Local},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), Interface: 2, Gateway: netip.MustParseAddr("fe80::1")},
	},
	Neighbours: []vm.Neighbour{
		{Interface: 2, IP: netip.MustParseAddr("10.0.0.1"), Address: [6]byte{0xa, 0, 0, 0, 0, 1}},
		{Interface: 2, IP: netip.MustParseAddr("10.7.7.7"), Address: [6]byte{0xa, 7, 7, 7, 7, 7}},
		{Interface: 2, IP: netip.MustParseAddr("fe80::1"), Address: [6]byte{0xf, 0xe, 8, 0, 0, 1}},
	},
}

// TestFibLookup runs a program whose packet is a struct bpf_fib_lookup.
func TestFibLookup(t *testing.T) {
	for _, tt := range []struct {
		name, dst string
		from      uint32
		total     uint16
		flags     string
		want      int32
		next      string // address after the lookup
		out       uint32
		mac       byte // first of the destination
	}{
		{"gateway", "8.8.8.8", 1, 0, "0", 0, "10.0.0.1", 2, 0xa},
		{"neighbour", "10.7.7.7", 1, 0, "0", 0, "10.7.7.7", 2, 0xa},
		{"no neighbour", "10.7.7.8", 1, 0, "0", 7, "10.7.7.8", 2, 0},
		{"without neighbour", "10.7.7.8", 1, 0, "4", 0, "10.7.7.8", 2, 0},
		{"longest prefix", "10.1.7.8", 2, 0, "4", 0, "10.1.7.8", 1, 0},
		{"output", "10.1.7.8", 2, 0, "6", 0, "10.1.7.8", 2, 0},
		{"blackhole", "10.2.0.0", 1, 0, "0", 1, "10.2.0.0", 1, 0},
		{"unreachable", "10.3.0.0", 1, 0, "0", 2, "10.3.0.0", 1, 0},
		{"prohibit", "10.4.0.0", 1, 0, "0", 3, "10.4.0.0", 1, 0},
		{"local", "10.5.0.0", 1, 0, "0", 4, "10.5.0.0", 1, 0},
		{"not forwarding", "8.8.8.8", 3, 0, "0", 5, "8.8.8.8", 3, 0},
		{"too long", "8.8.8.8", 1, 1401, "0", 8, "8.8.8.8", 1, 0},
		{"no interface", "8.8.8.8", 4, 0, "0", -19, "8.8.8.8", 4, 0},
		{"flags", "8.8.8.8", 1, 0, "64", -22, "8.8.8.8", 1, 0},
		{"no source", "8.8.8.8", 1, 0, "16", 9, "8.8.8.8", 2, 0},
		{"IPv6", "2001:db8::5", 1, 0, "0", 0, "fe80::1", 2, 0xf},
		{"no IPv6 route", "2001:db9::5", 1, 0, "0", 4, "2001:db9::5", 1, 0},
		{"link local", "fe80::5", 1, 0, "0", 4, "fe80::5", 1, 0},
	} {
		dst := netip.MustParseAddr(tt.dst)
		p := make([]byte, 64)
		p[0] = 2
		if dst.Is6() {
			p[0] = 10
		}
		binary.LittleEndian.PutUint16(p[6:], tt.total)
		binary.LittleEndian.PutUint32(p[8:], tt.from)
		copy(p[32:], dst.AsSlice())
		text := "r2 = *(u32 *)(r1 + 0)\nr3 = 64\nr4 = " + tt.flags + "\ncall bpf_fib_lookup\nexit"
		res := runPacket(t, abi.XDP, text, packetOf(p), vm.Options{Network: router})
		after, _ := netip.AddrFromSlice(res.Data[32:][:len(dst.AsSlice())])
		if int32(res.Return) != tt.want || after.String() != tt.next || binary.LittleEndian.Uint32(res.Data[8:]) != tt.out || res.Data[58] != tt.mac || res.Fault != nil {
			t.Errorf("%s: %d, %v, next %v by %d, to %x", tt.name, int32(res.Return), res.Fault, after, res.Data[8], res.Data[58:64])
		}
	}
}

func TestCheckMTU(t *testing.T) {
	for _, tt := range []struct {
		index, given, diff, want int32
	}{{2, 0, 0, 0}, {2, 1400, 0, 0}, {2, 1401, 0, 1}, {2, 1401, -1, 0}, {2, 0, 1400, 1}, {9, 0, 0, -19}} {
		text := "*(u32 *)(r10 - 4) = " + fmt.Sprint(tt.given) + "\nr2 = " + fmt.Sprint(tt.index) + "\nr3 = r10\nr3 += -4\nr4 = " + fmt.Sprint(tt.diff) + "\nr5 = 0\ncall bpf_check_mtu\nexit"
		if res := runPacket(t, abi.XDP, text, packetOf(make([]byte, 60)), vm.Options{Network: router}); int32(res.Return) != tt.want || res.Fault != nil {
			t.Errorf("%+v: %d, %v", tt, int32(res.Return), res.Fault)
		}
	}
}

// TestUserHelper registers a helper that upper-cases memory, tells about it
// and has a number of its own.
func TestUserHelper(t *testing.T) {
	upper := vm.Helper{
		Proto: abi.Helper{ID: 7000, Args: []abi.ArgKind{abi.ArgWriteMem, abi.ArgSize}, Types: abi.Types(abi.XDP)},
		Func: func(c *vm.Caller, args [5]uint64) uint64 {
			b, ok := c.Bytes(args[0], args[1], true)
			if !ok {
				t.Error("the prototype was not checked")
			}
			for i := range b {
				b[i] &^= 0x20
			}
			c.Emit(engine.Event{Source: "upper", Index: len(b), Data: b})
			_, outside := c.Bytes(args[0], 1<<20, false)
			if outside {
				t.Error("a megabyte of packet")
			}
			return args[1]
		},
	}
	o := vm.Options{Helpers: []vm.Helper{upper}}
	res := runPacket(t, abi.XDP, "r1 = *(u32 *)(r1 + 0)\nr2 = 5\ncall 7000\nexit", packetOf([]byte("hello world")), o)
	if res.Return != 5 || string(res.Data) != "HELLO world" || len(res.Events) != 1 || string(res.Events[0].Data) != "HELLO" {
		t.Error(res)
	}
	if res = runPacket(t, abi.XDP, "r1 = *(u32 *)(r1 + 0)\nr2 = 50\ncall 7000\nexit", packetOf([]byte("hello world")), o); res.Fault == nil {
		t.Error("a helper was called with too much memory")
	}
	prog, _ := ebpf.Assemble("r1 = *(u32 *)(r1 + 0)\nr2 = 5\ncall 7000\nexit")
	if _, err := vm.New(abi.SchedCLS, prog, o); err == nil {
		t.Error("a program of another type calls the helper")
	}
}
