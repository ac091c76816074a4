package vm

import "encoding/binary"

// Explicit congestion notification is in the low two bits of the traffic class
// of IPv4 and IPv6.
const (
	ecnCongested = 3 // of a router on the way: CE

	maxVLANDepth = 8 // VLAN tags that the kernel looks behind
)

// skbEcnSetCE says that the packet has met congestion, if its sender has said
// that it understands that: it returns 1 if the packet says so afterwards.
func skbEcnSetCE(m *Machine, _ *[5]uint64) uint64 {
	switch m.protocolBehindTags() {
	case etherIPv4:
		if h, ok := m.packetBytes(uint64(int64(m.buffer.network)), ipv4Len); ok {
			return m.setCE4(h)
		}
	case etherIPv6:
		if h, ok := m.packetBytes(uint64(int64(m.buffer.network)), ipv6Len); ok {
			return m.setCE6(h)
		}
	}
	return 0
}

// setCE4 changes an IPv4 header with its checksum, by the difference of the
// byte, as IP_ECN_set_ce does.
func (m *Machine) setCE4(h []byte) uint64 {
	switch h[1] & ecnCongested {
	case 0:
		return 0
	case ecnCongested:
		return 1
	}
	const check = 10
	less := uint32(ecnCongested - h[1]&ecnCongested)
	sum := uint32(binary.BigEndian.Uint16(h[check:])) + 0xffff - less
	binary.BigEndian.PutUint16(h[check:], uint16(sum+sum>>16))
	h[1] |= ecnCongested
	m.dirty = true
	return 1
}

// setCE6 changes an IPv6 header, whose traffic class is four bits further back.
func (m *Machine) setCE6(h []byte) uint64 {
	if h[1]>>4&ecnCongested == 0 {
		return 0
	}
	h[1] |= ecnCongested << 4
	m.dirty = true
	return 1
}

// protocolBehindTags is skb_protocol: the EtherType behind the VLAN tags that
// are in the bytes. As in the kernel it looks for the last tag before the network
// header, which in plain Ethernet is the EtherType itself, and goes on there.
func (m *Machine) protocolBehindTags() uint16 {
	proto := m.protocol()
	at := int64(m.buffer.network) - vlanLen
	for depth := 1; isVLAN(proto); depth++ {
		tag, ok := m.packetBytes(uint64(at), vlanLen)
		if !ok || depth == maxVLANDepth {
			return 0
		}
		proto = binary.BigEndian.Uint16(tag[2:])
		at += vlanLen
	}
	return proto
}
