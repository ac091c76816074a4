package capture

import (
	"encoding/binary"
	"math/bits"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/engine"
)

// Linux's packet types (SKF_AD_PKTTYPE), which the cooked headers store too.
const (
	packetHost      = 0
	packetBroadcast = 1
	packetMulticast = 2
	packetOtherHost = 3
	packetOutgoing  = 4
)

// EtherTypes, and the numbers below 1536 that Linux uses in their place for
// IEEE 802.3 frames (ETH_P_802_3 and ETH_P_802_2).
const (
	etherIPv4  = 0x0800
	etherIPX   = 0x8137
	etherIPv6  = 0x86dd
	etherMPLS  = 0x8847
	rawIPX     = 0x0001
	ieee8022   = 0x0004
	firstEther = 0x0600
)

// toeplitz is the hash algorithm number of the pcapng hash option that stands
// for what Linux keeps in an sk_buff.
const toeplitz = 5

// Engine returns the packet as engines take it. It shares Data.
func (p *Packet) Engine() engine.Packet {
	return engine.Packet{Data: p.Data, WireLen: p.WireLen, Meta: p.Metadata()}
}

// Metadata gives what the kernel would have known of the packet, as far as the
// capture tells:
//
//   - protocol, packet type, hardware type and the header offsets come from
//     the link header. A VLAN tag in the bytes stays there: Protocol is then
//     the tag's TPID and VLANPresent is false.
//   - the interface index is the one in a LINUX_SLL2 header or in a modified
//     pcap record; otherwise, in pcapng, Interface + 1, since Linux numbers its
//     devices from 1. A packet that goes out has come in by none.
//   - direction, queue and hash come from pcapng options. The queue is kept
//     plus one, as the kernel keeps it, so that 0 means none.
func (p *Packet) Metadata() cbpf.Metadata {
	var m cbpf.Metadata
	switch p.LinkType {
	case cbpf.LinkEthernet:
		p.ethernet(&m)
	case cbpf.LinkRaw, cbpf.LinkIPv4, cbpf.LinkIPv6:
		m.Protocol = ipVersion(p.Data)
	case cbpf.LinkLinuxSLL:
		p.cooked(&m, 16, 14, 1, 2)
	case cbpf.LinkLinuxSLL2:
		p.cooked(&m, 20, 0, 10, 8)
		if len(p.Data) >= 8 {
			m.HasDevice, m.IfIndex = true, binary.BigEndian.Uint32(p.Data[4:])
		}
	case cbpf.LinkNull, cbpf.LinkLoop:
		m.HasLink, m.NetworkOffset = true, 4
		m.Protocol = familyProtocol(p.Data)
	case cbpf.LinkPPP:
		m.HasLink, m.NetworkOffset = true, 4
		m.Protocol = pppProtocol(p.Data)
	}
	if p.device.known {
		m.HasDevice, m.IfIndex, m.PacketType = true, p.device.ifIndex, p.device.pktType
	}
	if p.ng {
		p.blockMetadata(&m)
	}
	if m.PacketType != packetOutgoing {
		m.IngressIfIndex = m.IfIndex
	}
	return m
}

// ethernet mirrors the kernel's eth_type_trans, which has the device's address
// to tell other hosts' packets; a capture has not.
func (p *Packet) ethernet(m *cbpf.Metadata) {
	m.HasLink, m.NetworkOffset, m.HWType = true, 14, 1
	b := p.Data
	if len(b) < 14 {
		return
	}
	switch {
	case binary.BigEndian.Uint32(b) == 0xffffffff && binary.BigEndian.Uint16(b[4:]) == 0xffff:
		m.PacketType = packetBroadcast
	case b[0]&1 != 0:
		m.PacketType = packetMulticast
	}
	m.Protocol = binary.BigEndian.Uint16(b[12:])
	if m.Protocol >= firstEther {
		return
	}
	m.Protocol = ieee8022
	if len(b) >= 16 && b[14] == 0xff && b[15] == 0xff {
		m.Protocol = rawIPX // Novell's frames without an LLC header
	}
}

// cooked reads a Linux cooked header: its length, and where protocol, packet
// type and hardware type are.
func (p *Packet) cooked(m *cbpf.Metadata, length int32, protocol, pktType, hwType int) {
	m.HasLink, m.NetworkOffset = true, length
	if len(p.Data) < int(length) {
		return
	}
	m.Protocol = binary.BigEndian.Uint16(p.Data[protocol:])
	m.PacketType = p.Data[pktType]
	m.HWType = binary.BigEndian.Uint16(p.Data[hwType:])
}

// blockMetadata adds what pcapng has beside the packet.
func (p *Packet) blockMetadata(m *cbpf.Metadata) {
	if !m.HasDevice {
		m.HasDevice, m.IfIndex = true, uint32(p.Interface)+1
	}
	flags, _ := p.Options.Uint32(OptFlags)
	switch reception := flags >> 2 & 7; {
	case flags&3 == 2:
		m.PacketType = packetOutgoing
	case reception == 1:
		m.PacketType = packetHost
	case reception == 2:
		m.PacketType = packetMulticast
	case reception == 3:
		m.PacketType = packetBroadcast
	case reception == 4:
		m.PacketType = packetOtherHost
	}
	if queue, ok := p.Options.Uint32(OptQueue); ok {
		m.Queue = uint16(queue) + 1
	}
	if hash, ok := p.Options.Get(OptHash); ok && len(hash) == 5 && hash[0] == toeplitz {
		m.RxHash = p.Options.order().Uint32(hash[1:])
	}
}

// deviceOptions are the options of a packet by its type: the flags, direction in
// the lowest two bits and reception above.
var deviceOptions = func() (all [packetOutgoing + 1]Options) {
	for pktType, flags := range map[uint8]uint32{
		packetHost:      1 | 1<<2,
		packetMulticast: 1 | 2<<2,
		packetBroadcast: 1 | 3<<2,
		packetOtherHost: 1 | 4<<2, // promiscuous
		packetOutgoing:  2,
	} {
		all[pktType].Add(OptFlags, binary.LittleEndian.AppendUint32(nil, flags))
	}
	return all
}()

// options says in pcapng what is known of the direction.
func (d device) options() Options {
	if int(d.pktType) < len(deviceOptions) {
		return deviceOptions[d.pktType]
	}
	return Options{}
}

// ipVersion gives the EtherType that goes with the first byte of an IP packet.
func ipVersion(b []byte) uint16 {
	switch {
	case len(b) > 0 && b[0]>>4 == 4:
		return etherIPv4
	case len(b) > 0 && b[0]>>4 == 6:
		return etherIPv6
	}
	return 0
}

// familyProtocol maps the address family of a loopback header. AF_INET is 2
// everywhere; AF_INET6 is 24, 28 or 30 on the BSDs and 10 on Linux. The byte
// order is that of the capturing machine, which the value's size gives away.
func familyProtocol(b []byte) uint16 {
	if len(b) < 4 {
		return 0
	}
	family := binary.BigEndian.Uint32(b)
	if family > 0xffff {
		family = bits.ReverseBytes32(family)
	}
	switch family {
	case 2:
		return etherIPv4
	case 10, 24, 28, 30:
		return etherIPv6
	}
	return 0
}

// pppProtocol maps the protocol field behind address and control.
func pppProtocol(b []byte) uint16 {
	if len(b) < 4 {
		return 0
	}
	switch binary.BigEndian.Uint16(b[2:]) {
	case 0x0021:
		return etherIPv4
	case 0x0057:
		return etherIPv6
	case 0x002b:
		return etherIPX
	case 0x0281:
		return etherMPLS
	}
	return 0
}
