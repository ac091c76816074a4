package packets

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of the IP protocol field.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoIPIP     = 4
	protoTCP      = 6
	protoIGRP     = 9
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoESP      = 50
	protoAH       = 51
	protoICMPv6   = 58
	protoNone     = 59
	protoDestOpts = 60
	protoOSPF     = 89
	protoPIM      = 103
	protoVRRP     = 112
	protoSCTP     = 132
	protoMobility = 135
)

// ends are the source and destination of a packet, both IPv4 or both IPv6.
type ends struct{ src, dst netip.Addr }

func between(src, dst string) ends {
	return ends{netip.MustParseAddr(src), netip.MustParseAddr(dst)}
}

func (e ends) etherType() uint16 {
	if e.src.Is4() {
		return etherIPv4
	}
	return etherIPv6
}

// ip puts a payload into a plain IPv4 or IPv6 packet.
func (e ends) ip(proto byte, payload []byte) []byte {
	if e.src.Is4() {
		return ipv4{ends: e, proto: proto}.packet(payload)
	}
	return ipv6(e, proto, payload)
}

// ipv4 holds what varies in an IPv4 header.
type ipv4 struct {
	ends
	proto    byte
	tos      byte
	fragment uint16 // flags and offset, as in the header
	options  []byte // a multiple of 4 bytes, at most 40
}

const (
	dontFragment  = 0x4000
	moreFragments = 0x2000
)

func (h ipv4) packet(payload []byte) []byte {
	hlen := 20 + len(h.options)
	b := make([]byte, 0, hlen+len(payload))
	b = append(b, 0x40|byte(hlen/4), h.tos)
	b = be16(b, uint16(hlen+len(payload)))
	b = be16(b, 0x1234)
	b = be16(b, h.fragment)
	b = append(b, 64, h.proto, 0, 0)
	src, dst := h.src.As4(), h.dst.As4()
	b = append(append(b, src[:]...), dst[:]...)
	b = append(b, h.options...)
	binary.BigEndian.PutUint16(b[10:], checksum(sum(b)))
	return append(b, payload...)
}

// ipv6 makes an IPv6 packet; next may be the number of an extension header
// with which the payload begins.
func ipv6(e ends, next byte, payload []byte) []byte {
	b := make([]byte, 0, 40+len(payload))
	b = be32(b, 0x60000000)
	b = be16(b, uint16(len(payload)))
	b = append(b, next, 64)
	src, dst := e.src.As16(), e.dst.As16()
	b = append(append(b, src[:]...), dst[:]...)
	return append(b, payload...)
}

// options6 makes a hop-by-hop or destination options header of 8*(1+extra)
// bytes, filled with one PadN option.
func options6(next byte, extra int, payload []byte) []byte {
	size := 8 * (1 + extra)
	h := zeros(size)
	h[0], h[1], h[2], h[3] = next, byte(extra), 1, byte(size-4)
	return join(h, payload)
}

// routing6 makes a segment routing header (type 4) with the given segments, all passed.
func routing6(next byte, payload []byte, segments ...netip.Addr) []byte {
	h := []byte{next, byte(2 * len(segments)), 4, 0, byte(len(segments) - 1), 0, 0, 0}
	for _, s := range segments {
		h = append(h, s.AsSlice()...)
	}
	return join(h, payload)
}

// fragment6 makes a fragment header; offset is in units of 8 bytes.
func fragment6(next byte, offset uint16, more bool, payload []byte) []byte {
	field := offset << 3
	if more {
		field |= 1
	}
	return join(be32(be16([]byte{next, 0}, field), 0xcafe), payload)
}

// ah makes an authentication header with a check value of 12 bytes.
func ah(next byte, payload []byte) []byte {
	h := []byte{next, 4, 0, 0}
	h = be32(be32(h, 0x100), 1)
	return join(h, zeros(12), payload)
}

// sum adds b's 16-bit words, an odd last byte padded with zero.
func sum(b []byte) uint32 {
	var s uint32
	for len(b) >= 2 {
		s += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// checksum folds a sum of 16-bit words to the Internet checksum.
func checksum(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// pseudo is the sum over the pseudo header of the transport checksums.
func (e ends) pseudo(proto byte, length int) uint32 {
	s := uint32(proto) + uint32(length)
	if e.src.Is4() {
		src, dst := e.src.As4(), e.dst.As4()
		return s + sum(src[:]) + sum(dst[:])
	}
	src, dst := e.src.As16(), e.dst.As16()
	return s + sum(src[:]) + sum(dst[:])
}
