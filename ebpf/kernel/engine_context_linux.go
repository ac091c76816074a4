package kernel

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
)

// loopback is the index of the device on which test packets arrive.
const loopback = 1

// A fixedField is a field of the context that a test run does not let us set:
// what it shows for a packet, and what the packet's metadata say.
type fixedField struct {
	name   string
	kernel func(frame []byte) uint32
	ours   func(p *engine.Packet) uint32
}

func zero([]byte) uint32 { return 0 }

// The fields that convert___skb_to_skb wants to be 0 and that the kernel fills
// as for a frame that arrives on the loopback device, whose address is 0.
var skbFixed = []fixedField{
	{"pkt_type", arrivalType, func(p *engine.Packet) uint32 { return uint32(p.Meta.PacketType) }},
	{"protocol", arrivalProtocol, func(p *engine.Packet) uint32 { return uint32(p.Meta.Protocol) }},
	{"queue_mapping", zero, func(p *engine.Packet) uint32 { return uint32(p.Meta.Queue) }},
	{"vlan_present", zero, tagOf},
	{"vlan_tci", zero, tagOf},
	{"vlan_proto", zero, tagOf},
	{"tc_index", zero, func(p *engine.Packet) uint32 { return uint32(p.Meta.TCIndex) }},
	{"hash", zero, func(p *engine.Packet) uint32 { return p.Meta.RxHash }},
	{"ifindex", onLoopback, func(p *engine.Packet) uint32 { return p.Meta.IfIndex }},
}

// Those of XDP: a device with queues would have to be there.
var xdpFixed = []fixedField{
	{"ingress_ifindex", onLoopback, func(p *engine.Packet) uint32 { return p.Meta.IfIndex }},
	{"rx_queue_index", zero, func(p *engine.Packet) uint32 { return uint32(max(p.Meta.Queue, 1) - 1) }},
}

// What a flow dissector is told of a packet (bpf_prog_test_run_flow_dissector).
var flowFixed = []fixedField{
	{"flow_keys->n_proto", etherType, func(p *engine.Packet) uint32 { return uint32(p.Meta.Protocol) }},
	{"flow_keys->nhoff", func([]byte) uint32 { return etherHeader }, func(p *engine.Packet) uint32 { return uint32(p.Meta.NetworkOffset) }},
}

func etherType(frame []byte) uint32 { return uint32(binary.BigEndian.Uint16(frame[12:])) }

func onLoopback([]byte) uint32 { return loopback }

func tagOf(p *engine.Packet) uint32 {
	if !p.Meta.VLANPresent {
		return 0
	}
	return max(uint32(p.Meta.VLANProto)<<16|uint32(p.Meta.VLANTCI), 1)
}

// arrivalType and arrivalProtocol mirror eth_type_trans.
func arrivalType(frame []byte) uint32 {
	address := uint64(binary.BigEndian.Uint32(frame))<<16 | uint64(binary.BigEndian.Uint16(frame[4:]))
	switch {
	case address == 1<<48-1:
		return unix.PACKET_BROADCAST
	case frame[0]&1 != 0:
		return unix.PACKET_MULTICAST
	case address != 0:
		return unix.PACKET_OTHERHOST
	}
	return unix.PACKET_HOST
}

func arrivalProtocol(frame []byte) uint32 {
	proto := binary.BigEndian.Uint16(frame[12:])
	switch {
	case proto >= unix.ETH_P_802_3_MIN:
		return uint32(proto)
	case len(frame) >= 16 && frame[14] == 0xff && frame[15] == 0xff:
		return unix.ETH_P_802_3
	}
	return unix.ETH_P_802_2
}

// A packetForm makes the kernel's input of packets, or says why there is none.
type packetForm struct {
	fromNetwork bool // the program sees no link header
	skb         bool // it gets an sk_buff
	longest     int  // bytes of a packet
	reads       map[string]bool
	fixed       []fixedField // that the program may read
	context     []byte       // a struct __sk_buff, with skb
	frame       []byte       // a packet behind a link header made for it
}

func newPacketForm(t abi.ProgType, reads map[string]bool, longest int) *packetForm {
	f := &packetForm{fromNetwork: t.FromNetwork(), longest: longest, reads: reads}
	table := skbFixed
	switch t {
	case abi.FlowDissector:
		f.fixed = flowFixed
		return f
	case abi.XDP:
		table = xdpFixed
	default:
		f.skb = true
		f.context = make([]byte, abi.SKBuff.Size)
	}
	for _, field := range table {
		if reads[field.name] {
			f.fixed = append(f.fixed, field)
		}
	}
	return f
}

// input returns the frame and the context to run a packet on.
func (f *packetForm) input(p *engine.Packet) (frame, context []byte, refused *PacketError) {
	frame = p.Data
	if f.fromNetwork {
		frame = f.behindLink(p)
	}
	if limit := f.limit(p, frame); limit != "" {
		return nil, nil, &PacketError{Length: len(p.Data), Limit: limit}
	}
	if f.skb {
		f.fill(p)
	}
	return frame, f.context, nil
}

// limit says what of a packet a test run cannot have, "" if nothing.
func (f *packetForm) limit(p *engine.Packet, frame []byte) string {
	skb := ""
	if f.skb {
		skb = skbLimit(frame, f.longest)
	}
	switch {
	case len(frame) < etherHeader:
		return tooShort
	case skb != "":
		return skb
	case len(frame) > f.longest:
		return fmt.Sprintf("the program sees at most the %d bytes there that fit in one page", f.longest)
	case f.reads["len"] && int64(p.WireLen) > int64(len(p.Data)):
		return fmt.Sprintf("the program may read len, which is what there is of the packet, not the %d bytes on the wire", p.WireLen)
	}
	for i := range f.fixed {
		field := &f.fixed[i]
		if shows, ours := field.kernel(frame), field.ours(p); shows != ours {
			return fmt.Sprintf("the program may read %s, which is %#x there and cannot be set, not %#x", field.name, shows, ours)
		}
	}
	return ""
}

// behindLink puts a link header before what the program sees, because the
// kernel takes one off: with the protocol and, in the address, the packet type.
func (f *packetForm) behindLink(p *engine.Packet) []byte {
	f.frame = append(f.frame[:0], make([]byte, etherHeader)...)
	switch p.Meta.PacketType {
	case unix.PACKET_BROADCAST:
		copy(f.frame, "\xff\xff\xff\xff\xff\xff")
	case unix.PACKET_MULTICAST:
		f.frame[0] = 1
	case unix.PACKET_OTHERHOST:
		f.frame[0] = 2
	}
	binary.BigEndian.PutUint16(f.frame[12:], p.Meta.Protocol)
	f.frame = append(f.frame, p.Data[linkLength(p):]...)
	return f.frame
}

// linkLength is the length of the link header that the program does not see.
func linkLength(p *engine.Packet) int {
	return min(max(int(p.Meta.NetworkOffset), 0), len(p.Data))
}

// fill sets the fields that convert___skb_to_skb takes.
func (f *packetForm) fill(p *engine.Packet) {
	m := &p.Meta
	put := func(name string, v uint32) {
		binary.NativeEndian.PutUint32(f.context[abi.SKBuff.Field(name).Offset:], v)
	}
	put("mark", m.Mark)
	put("priority", m.Priority)
	put("ingress_ifindex", m.IngressIfIndex)
	cb := f.context[abi.SKBuff.Field("cb").Offset:]
	for i, v := range m.CB {
		binary.NativeEndian.PutUint32(cb[4*i:], v)
	}
	binary.NativeEndian.PutUint64(f.context[abi.SKBuff.Field("tstamp").Offset:], m.Timestamp)
	put("gso_segs", uint32(m.GSOSegments))
	put("gso_size", uint32(m.GSOSize))
	wire := uint32(0) // stands for the length that there is
	if p.WireLen > uint32(len(p.Data)) && f.reads["wire_len"] {
		wire = p.WireLen
	}
	put("wire_len", wire)
}
