package cbpf

import (
	"encoding/binary"
	"math/rand/v2"
)

// extension returns what an extension loads into A, as convert_bpf_extensions
// in the kernel's net/core/filter.c has it.
func (m *Machine) extension(ad, a, x uint32, data []byte, wireLen uint32, meta *Metadata) uint32 {
	switch ad {
	case AdProtocol:
		return uint32(meta.Protocol)
	case AdPacketType:
		return uint32(meta.PacketType & 7) // a field of three bits in the sk_buff
	case AdIfIndex:
		return meta.IfIndex
	case AdNLAttr:
		return findAttr(data, a, x)
	case AdNLAttrNest:
		return findNestedAttr(data, a, x)
	case AdMark:
		return meta.Mark
	case AdQueue:
		return uint32(meta.Queue)
	case AdHWType:
		return uint32(meta.HWType)
	case AdRxHash:
		return meta.RxHash
	case AdCPU:
		return meta.CPU
	case AdXorX:
		return a ^ x
	case AdVLANTag:
		return uint32(meta.VLANTCI)
	case AdVLANTagPresent:
		if meta.VLANPresent {
			return 1
		}
		return 0
	case AdPayOffset:
		return payOffset(data, wireLen, meta)
	case AdRandom:
		if m.Random != nil {
			return m.Random()
		}
		return rand.Uint32()
	case AdVLANTPID:
		return uint32(meta.VLANProto)
	}
	panic("cbpf: extension that check does not know")
}

// A netlink attribute starts with its length, header included, and its type,
// both in the byte order of the machine; two bits of the type are flags. The
// next one starts at a multiple of four. Little endian is taken on every
// machine, so that a program gives the same verdicts everywhere. The kernel
// finds none in a packet of several fragments, of which a capture knows nothing.
const (
	attrHeader   = 4
	attrTypeMask = 0x3fff
)

// findAttr returns the offset of the first attribute of a type in the list
// that starts at offset a and ends with the packet, 0 if there is none
// (bpf_skb_get_nlattr).
func findAttr(data []byte, a, typ uint32) uint32 {
	if uint64(a)+attrHeader > uint64(len(data)) {
		return 0
	}
	return findIn(data, int(a), len(data), typ)
}

// findNestedAttr is findAttr for the attributes inside the one at offset a
// (bpf_skb_get_nlattr_nest).
func findNestedAttr(data []byte, a, typ uint32) uint32 {
	if uint64(a)+attrHeader > uint64(len(data)) {
		return 0
	}
	at := int(a)
	n, ok := attrLen(data[at:])
	if !ok {
		return 0
	}
	return findIn(data, at+attrHeader, at+n, typ)
}

// findIn searches the attributes in data[at:end].
func findIn(data []byte, at, end int, typ uint32) uint32 {
	for {
		if at >= end {
			return 0
		}
		n, ok := attrLen(data[at:end])
		if !ok {
			return 0
		}
		if uint32(binary.LittleEndian.Uint16(data[at+2:]))&attrTypeMask == typ {
			return uint32(at)
		}
		at += (n + 3) &^ 3
	}
}

// attrLen returns the length of the attribute that b starts with, false if it
// is not whole (nla_ok).
func attrLen(b []byte) (int, bool) {
	if len(b) < attrHeader {
		return 0, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	return n, attrHeader <= n && n <= len(b)
}
