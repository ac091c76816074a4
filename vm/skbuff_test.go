package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestBufferHelpersAgainstKernel runs random sequences of the helpers that
// change an sk_buff here and in the kernel, on packets of several protocols,
// and looks at context and packet after each.
func TestBufferHelpersAgainstKernel(t *testing.T) {
	needKernel(t)
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 1122))}
	for i := range 1200 {
		text := g.bufferCalls()
		prog, err := ebpf.Assemble(text)
		if err != nil {
			t.Fatal(err, text)
		}
		p, err := kernel.Load("buffer", abi.SchedCLS, prog)
		if err != nil {
			t.Fatalf("%+v\n%s", err, text)
		}
		packet := g.protocolPacket()
		ret, data, err := p.TestRun(packet.Data)
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
		res := runPacket(t, abi.SchedCLS, text, packet, vm.Options{})
		got := res.Data
		if len(got) == len(data)+4 { // with the VLAN tag, which the kernel keeps beside the bytes
			got = slices.Delete(slices.Clone(got), 12, 16)
		}
		if res.Return != ret || res.Fault != nil || !bytes.Equal(got, data) {
			t.Fatalf("program %d: %#x, %v, in the kernel %#x\nbefore %x\nafter  %x\nkernel %x\n%s", i, res.Return, res.Fault, ret, packet.Data, got, data, text)
		}
	}
}

// protocolPacket returns a packet with an EtherType that helpers look at.
func (g *generator) protocolPacket() engine.Packet {
	p := g.packet()
	proto := pick[uint16](g, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x8100, 0x88a8, 0x88b5)
	binary.BigEndian.PutUint16(p.Data[12:], proto)
	if proto == 0x8100 || proto == 0x88a8 {
		binary.BigEndian.PutUint16(p.Data[16:], pick[uint16](g, 0x0800, 0x8100, 0x86dd, 46))
	}
	p.Meta.PacketType = 3 // to another host: no device has such an address
	if p.Data[0]&1 != 0 {
		p.Meta.PacketType = 2 // to a group
	}
	p.Meta.Protocol, p.Meta.HasLink, p.Meta.NetworkOffset = proto, true, 14
	return p
}

// bufferCalls returns a program that calls helpers and mixes what they return,
// and what can be seen after each, into what it returns.
func (g *generator) bufferCalls() string {
	var b strings.Builder
	b.WriteString("r6 = r1\nr7 = 0\n*(u64 *)(r10 - 8) = 0x1234567\n*(u64 *)(r10 - 16) = -1\n*(u64 *)(r10 - 24) = 0x7654321\n")
	b.WriteString(g.stackBytes(64))
	for i := range 1 + g.IntN(6) {
		b.WriteString("r1 = r6\n")
		b.WriteString(g.bufferCall(i == 0))
		b.WriteString("r7 *= 31\nr7 += r0\n")
		for _, off := range []int{0, 4, 16, 20, 24, 28} { // len, pkt_type, protocol, vlan_…
			fmt.Fprintf(&b, "r7 *= 31\nr1 = *(u32 *)(r6 + %d)\nr7 += r1\n", off)
		}
		b.WriteString("r1 = r6\nr2 = 2\nr3 = r10\nr3 += -32\nr4 = 8\nr5 = " + pick(g, "0", "1") + "\ncall bpf_skb_load_bytes_relative\nr7 *= 31\nr1 = *(u64 *)(r10 - 32)\nr7 += r1\n")
	}
	b.WriteString("r0 = r7\nexit\n")
	return b.String()
}

// bufferCall returns one call. Short tails come first only: when the kernel has
// moved a buffer to get more room before it, it takes a transport header that
// was never set for one, and lets the tail be cut shorter than otherwise.
func (g *generator) bufferCall(first bool) string {
	switch g.IntN(19) {
	case 16:
		return "call bpf_skb_ecn_set_ce\n"
	case 17:
		return setTrafficClass(g.IntN(256))
	case 18:
		return fmt.Sprintf("r2 = %d\nr3 = %d\ncall bpf_skb_set_tstamp\n", pick(g, 0, 0, 1, 1000, -1), g.IntN(5)) + mixStamp
	case 12, 13:
		size, flags := pick(g, 44, 44, 28, 24, 22, 8, 7), pick(g, 0, 0, 1, 4, 2, 8, 32, 16)
		return g.stackBytes(64) + fmt.Sprintf("r2 = r10\nr2 += -100\nr3 = %d\nr4 = %d\ncall bpf_skb_set_tunnel_key\n", size, flags)
	case 14:
		size, flags := pick(g, 44, 44, 28, 24, 22, 8, 7), pick(g, 0, 0, 1, 16, 17, 2)
		return fmt.Sprintf("r2 = r10\nr2 += -100\nr3 = %d\nr4 = %d\ncall bpf_skb_get_tunnel_key\n", size, flags) + mixStack
	case 15:
		call := pick(g, "set", "get")
		return g.stackBytes(64) + fmt.Sprintf("r2 = r10\nr2 += -100\nr3 = %d\ncall bpf_skb_%s_tunnel_opt\n", pick(g, 4, 8, 12, 60, 7), call) + mixStack
	case 0:
		return fmt.Sprintf("r2 = %d\nr3 = %d\ncall bpf_skb_change_head\n", pick(g, 0, 1, 14, 100, 300, 20000, -1), pick(g, 0, 0, 0, 0, 0, 1))
	case 1:
		tail := pick(g, 0, 3000, 15000, 16064, 16065, 70000)
		if first {
			tail = pick(g, 0, 13, 14, 34, 60, 100, 300)
		}
		return fmt.Sprintf("r2 = %d\nr3 = %d\ncall bpf_skb_change_tail\n", tail, pick(g, 0, 0, 0, 0, 0, 1))
	case 2:
		return fmt.Sprintf("r2 = %d\nr3 = %d\ncall bpf_skb_change_proto\n", pick(g, 0x0008, 0x0008, 0xdd86, 0xdd86, 0x0081), pick(g, 0, 0, 0, 0, 0, 1))
	case 3:
		return fmt.Sprintf("r2 = %d\ncall bpf_skb_change_type\n", g.IntN(6))
	case 4, 5:
		flags := uint64(pick(g, 0, 0, 1, 2, 4, 6, 2|8, 2|16, 2|8|16, 4|16|64, 32, 128, 256, 128|256, 512)) | uint64(pick(g, 0, 0, 0, 14, 4))<<56
		return fmt.Sprintf("r2 = %d\nr3 = %d\nr4 = %#x ll\ncall bpf_skb_adjust_room\n", pick(g, 0, 1, 4, 8, 20, 50, -8, -20, -40, -60, 4095, 4096, -4096), pick(g, 0, 1, 1, 2), flags)
	case 6:
		return fmt.Sprintf("r2 = %d\nr3 = %d\ncall bpf_skb_vlan_push\n", pick(g, 0x0081, 0xa888, 0x0008, 0), g.IntN(1<<16))
	case 7:
		return "call bpf_skb_vlan_pop\n"
	case 8:
		return fmt.Sprintf("r2 = %d\nr3 = %d\nr4 = %d\nr5 = %d\ncall bpf_l3_csum_replace\n", g.IntN(120), pick(g, 0, 0, 0x1234, int(g.Int32())), g.Int32(), pick(g, 0, 2, 4, 4, 3, 16))
	case 9:
		return fmt.Sprintf("r2 = %d\nr3 = %d\nr4 = %d\nr5 = %d\ncall bpf_l4_csum_replace\n", g.IntN(120), pick(g, 0, 0, 0x1234, int(g.Int32())), g.Int32(), pick(g, 0, 2, 4, 4, 0x10, 0x12, 0x14, 0x24, 0x64, 0x20, 0x80, 0x94, 0x100))
	case 10:
		from, to := pick(g, 0, 4, 8, 16, 3, 13), pick(g, 0, 4, 8, 16, 24, 7)
		return fmt.Sprintf("r1 = r10\nr1 += -16\nr2 = %d\nr3 = r10\nr3 += -24\nr4 = %d\nr5 = %d\ncall bpf_csum_diff\n", from, to, pick(g, 0, 0, -1, int(g.Int32())))
	}
	return fmt.Sprintf("r2 = %d\ncall bpf_csum_level\n", g.IntN(5))
}

// setTrafficClass writes the bytes that hold it in IPv4 and IPv6, and calls
// skb_ecn_set_ce.
func setTrafficClass(v int) string {
	return fmt.Sprintf("*(u8 *)(r10 - 36) = %d\nr2 = 15\nr3 = r10\nr3 += -36\nr4 = 1\nr5 = 0\ncall bpf_skb_store_bytes\nr1 = r6\ncall bpf_skb_ecn_set_ce\n", v)
}

// mixStamp adds the packet's time and its clock to the result.
const mixStamp = "r1 = *(u64 *)(r6 + 152)\nr7 *= 31\nr7 += r1\nr1 = *(u8 *)(r6 + 180)\nr7 *= 31\nr7 += r1\n"

// stackBytes fills the 64 bytes at r10-100 with few values but 0.
func (g *generator) stackBytes(n int) string {
	var b strings.Builder
	for at := 0; at < n; at += 4 {
		v := g.Uint32()
		if at == 20 || at == 24 && g.IntN(3) > 0 { // tunnel_ext, tunnel_label
			v &= 0xffff
		}
		if at == 24 && g.IntN(3) > 0 {
			v = 0
		}
		fmt.Fprintf(&b, "*(u32 *)(r10 - %d) = %d\n", 100-at, int32(v))
	}
	return b.String()
}

// mixStack adds those bytes to the result.
var mixStack = func() string {
	var b strings.Builder
	b.WriteString("r8 = r0\n")
	for at := 0; at < 64; at += 4 {
		fmt.Fprintf(&b, "r1 = *(u32 *)(r10 - %d)\nr7 *= 31\nr7 += r1\n", 100-at)
	}
	return b.String() + "r0 = r8\n"
}()

// TestVLANTagInTheOutput checks that a tag pushed by a program is in the bytes
// that the run leaves, and one that was there before is not.
func TestVLANTagInTheOutput(t *testing.T) {
	p := packetOf([]byte("ddddddssssss\x08\x00payload-payload-payload"))
	res := runPacket(t, abi.SchedCLS, "r2 = 0xa888\nr3 = 0x1234\ncall bpf_skb_vlan_push\nr0 = 0\nexit", p, vm.Options{})
	if want := "ddddddssssss\x88\xa8\x12\x34\x08\x00payload-payload-payload"; string(res.Data) != want {
		t.Errorf("%q", res.Data)
	}
	p.Meta.VLANPresent, p.Meta.VLANProto, p.Meta.VLANTCI = true, 0x8100, 7
	res = runPacket(t, abi.SchedCLS, "r2 = 14\nr3 = 0\ncall bpf_skb_change_tail\nr0 = 0\nexit", p, vm.Options{})
	if want := "ddddddssssss\x08\x00"; string(res.Data) != want {
		t.Errorf("%q", res.Data)
	}
	res = runPacket(t, abi.SchedCLS, "r2 = 0x81\nr3 = 9\ncall bpf_skb_vlan_push\nr0 = 0\nexit", p, vm.Options{})
	if want := "ddddddssssss\x81\x00\x00\x09\x81\x00\x00\x07\x08\x00payload-payload-payload"; string(res.Data) != want {
		t.Errorf("%q", res.Data)
	}
}
