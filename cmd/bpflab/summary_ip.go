package main

import "encoding/binary"

// ipv4 reads an IPv4 header. Its length field cuts off what pads the frame.
func (s *summary) ipv4(b []byte) {
	if !s.has(b, 20) {
		return
	}
	s.add("%v > %v", ipAddress(b[12:16]), ipAddress(b[16:20]))
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || total < header && total != 0 || !s.has(b, header) {
		s.short = true
		return
	}
	if total != 0 { // 0 where the network card cuts the packet up
		b = b[:min(total, len(b))]
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	if fragment&0x3fff != 0 {
		s.add("frag %d@%d", binary.BigEndian.Uint16(b[4:]), int(fragment&0x1fff)*8)
	}
	s.fragment(b[9], b[header:], fragment&0x1fff != 0)
}

// fragment goes on with a packet or its first fragment; a later one has no
// header to look at.
func (s *summary) fragment(protocol uint8, b []byte, later bool) {
	if later {
		s.protocol(protocol)
		s.payload(b)
		return
	}
	s.transport(protocol, b)
}

// ipv6 reads an IPv6 header; the extension headers are protocols to it.
func (s *summary) ipv6(b []byte) {
	if !s.has(b, 40) {
		return
	}
	s.add("%v > %v", ipAddress(b[8:24]), ipAddress(b[24:40]))
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length > 0 { // 0 for a jumbogram
		b = b[:min(40+length, len(b))]
	}
	s.transport(b[6], b[40:])
}

// Protocol numbers with a meaning here beyond a name.
const (
	protoHopOpt   = 0
	protoICMP     = 1
	protoIPIP     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoICMPv6   = 58
	protoNone     = 59
	protoDstOpts  = 60
	protoSCTP     = 132
)

var protocols = map[uint8]string{
	protoHopOpt: "hop-by-hop", protoICMP: "ICMP", 2: "IGMP", protoIPIP: "IPv4", protoTCP: "TCP", protoUDP: "UDP",
	33: "DCCP", protoIPv6: "IPv6", protoRouting: "routing", protoFragment: "fragment", 46: "RSVP", protoGRE: "GRE",
	50: "ESP", protoAH: "AH", protoICMPv6: "ICMPv6", protoNone: "no next header", protoDstOpts: "dst-opts",
	88: "EIGRP", 89: "OSPF", 103: "PIM", 112: "VRRP", 115: "L2TP", protoSCTP: "SCTP", 136: "UDP-Lite",
}

// protocol names what an IP protocol number stands for.
func (s *summary) protocol(number uint8) {
	if name, ok := protocols[number]; ok {
		s.add("%s", name)
	} else {
		s.add("protocol %d", number)
	}
}

// transport goes on with the header that an IP protocol number announces.
func (s *summary) transport(protocol uint8, b []byte) {
	switch protocol {
	case protoIPIP, protoIPv6:
		s.ip(b)
		return
	case protoFragment:
		if s.has(b, 8) {
			offset := binary.BigEndian.Uint16(b[2:]) &^ 7
			s.add("frag %d@%d", binary.BigEndian.Uint32(b[4:]), offset)
			s.fragment(b[0], b[8:], offset != 0)
		}
		return
	}
	s.protocol(protocol)
	switch protocol {
	case protoTCP:
		s.tcp(b)
	case protoUDP:
		s.udp(b)
	case protoSCTP:
		s.sctp(b)
	case protoICMP:
		s.icmp(b, icmpTypes)
	case protoICMPv6:
		s.icmp(b, icmp6Types)
	case protoGRE:
		s.gre(b)
	case protoHopOpt, protoRouting, protoDstOpts:
		if s.has(b, 2) && s.has(b, (int(b[1])+1)*8) {
			s.transport(b[0], b[(int(b[1])+1)*8:])
		}
	case protoAH:
		if s.has(b, 2) && s.has(b, (int(b[1])+2)*4) {
			s.transport(b[0], b[(int(b[1])+2)*4:])
		}
	default:
		s.payload(b)
	}
}
