package packets

import (
	"encoding/binary"
	"hash/crc32"
)

// TCP flags.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
	urg
	ece
	cwr
)

// tcp makes a segment with a header of 20 bytes plus options; a segment with
// the ACK flag acknowledges always the same number.
func (e ends) tcp(sport, dport uint16, flags byte, seq uint32, options, payload []byte) []byte {
	acked := uint32(0)
	if flags&ack != 0 {
		acked = 0x01020304
	}
	return e.segment(sport, dport, flags, seq, acked, options, payload)
}

func (e ends) segment(sport, dport uint16, flags byte, seq, acked uint32, options, payload []byte) []byte {
	hlen := 20 + len(options)
	b := make([]byte, 0, hlen+len(payload))
	b = be16(be16(b, sport), dport)
	b = be32(be32(b, seq), acked)
	b = append(b, byte(hlen/4)<<4, flags)
	b = be16(b, 64240)
	b = append(b, 0, 0, 0, 0)
	b = append(append(b, options...), payload...)
	binary.BigEndian.PutUint16(b[16:], checksum(sum(b)+e.pseudo(protoTCP, len(b))))
	return b
}

func (e ends) udp(sport, dport uint16, payload []byte) []byte {
	b := make([]byte, 0, 8+len(payload))
	b = be16(be16(b, sport), dport)
	b = be16(b, uint16(8+len(payload)))
	b = append(b, 0, 0)
	b = append(b, payload...)
	c := checksum(sum(b) + e.pseudo(protoUDP, len(b)))
	if c == 0 {
		c = 0xffff // zero would say that there is no checksum
	}
	binary.BigEndian.PutUint16(b[6:], c)
	return b
}

// sctp makes a packet with one INIT chunk.
func sctp(sport, dport uint16) []byte {
	b := be32(be16(be16(nil, sport), dport), 0)
	b = append(b, 0, 0, 0, 0)        // checksum
	b = append(b, 1, 0, 0, 20)       // INIT, no flags, 20 bytes
	b = be32(be32(b, 0x1234), 65536) // initiate tag, receiver window
	b = be32(be16(be16(b, 10), 10), 1)
	// RFC 9260 transmits the CRC32c's bytes in little-endian order.
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// icmp makes an ICMP message; the rest is what follows the checksum.
func icmp(kind, code byte, rest []byte) []byte {
	b := join([]byte{kind, code, 0, 0}, rest)
	binary.BigEndian.PutUint16(b[2:], checksum(sum(b)))
	return b
}

// icmp6 makes an ICMPv6 message, whose checksum covers a pseudo header.
func (e ends) icmp6(kind, code byte, rest []byte) []byte {
	b := join([]byte{kind, code, 0, 0}, rest)
	binary.BigEndian.PutUint16(b[2:], checksum(sum(b)+e.pseudo(protoICMPv6, len(b))))
	return b
}

// icmp6 message bodies need the target address in neighbour discovery.
func (e ends) neighbour(kind byte) []byte {
	return e.icmp6(kind, 0, join(zeros(4), e.dst.AsSlice()))
}

// summed fills the Internet checksum at offset at of a message whose checksum
// covers just itself: IGMP, and the routing protocols over IPv4.
func summed(at int, b []byte) []byte {
	binary.BigEndian.PutUint16(b[at:], checksum(sum(b)))
	return b
}

// summed does the same for a protocol whose checksum covers a pseudo header too if
// it runs over IPv6.
func (e ends) summed(proto byte, at int, b []byte) []byte {
	if e.src.Is4() {
		return summed(at, b)
	}
	binary.BigEndian.PutUint16(b[at:], checksum(sum(b)+e.pseudo(proto, len(b))))
	return b
}

func igmp(kind byte, group ends) []byte {
	return summed(2, join([]byte{kind, 0, 0, 0}, group.dst.AsSlice()))
}

// gre makes a GRE header (RFC 2784, with RFC 2890's key if key is not 0).
func gre(etherType uint16, key uint32, payload []byte) []byte {
	if key == 0 {
		return join(be16(be16(nil, 0), etherType), payload)
	}
	return join(be32(be16(be16(nil, 0x2000), etherType), key), payload)
}

// vxlan makes a VXLAN header (RFC 7348) for an Ethernet frame.
func vxlan(vni uint32, frame []byte) []byte {
	return join(be32(be32(nil, 0x08000000), vni<<8), frame)
}

// geneve makes a Geneve header (RFC 8926); options is a multiple of 4 bytes.
func geneve(etherType uint16, vni uint32, options, payload []byte) []byte {
	b := be16([]byte{byte(len(options) / 4), 0}, etherType)
	return join(be32(b, vni<<8), options, payload)
}

const etherTransparent = 0x6558 // an Ethernet frame inside GRE or Geneve

// application returns what a datagram to or from a well-known port carries, as far
// as decoders look at it.
func application(port uint16) []byte {
	switch port {
	case 53: // a query for the address of example.com
		return join([]byte{0xbe, 0xef, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0},
			[]byte("\x07example\x03com\x00"), []byte{0, 1, 0, 1})
	case 67, 68: // DISCOVER
		hw := station(10)
		return join([]byte{1, 1, 6, 0, 0, 0, 0, 9}, zeros(20), hw[:], zeros(10+64+128),
			[]byte{0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255})
	case 123: // a client's NTPv4 request
		return join([]byte{0x23}, zeros(47))
	case 547: // SOLICIT with a client identifier
		hw := station(10)
		return join([]byte{1, 0, 0, 9, 0, 1, 0, 10, 0, 3, 0, 1}, hw[:])
	}
	return []byte("datagram")
}
