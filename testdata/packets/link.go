package packets

import (
	"encoding/binary"
	"net/netip"

	"github.com/bpflab/bpflab/cbpf"
)

// EtherTypes.
const (
	etherIPv4     = 0x0800
	etherARP      = 0x0806
	etherRARP     = 0x8035
	etherVLAN     = 0x8100
	etherIPX      = 0x8137
	etherIPv6     = 0x86dd
	etherMPLS     = 0x8847
	etherMPLSM    = 0x8848
	etherPPPoED   = 0x8863
	etherPPPoES   = 0x8864
	etherQinQ     = 0x88a8
	etherOldQinQ  = 0x9100
	etherLoopback = 0x9000
)

// PPP protocol numbers.
const (
	pppIPv4 = 0x0021
	pppOSI  = 0x0023
	pppIPX  = 0x002b
	pppIPv6 = 0x0057
	pppMPLS = 0x0281
	pppIPCP = 0x8021
	pppLCP  = 0xc021
)

// wrap puts a network packet behind the header of a link type; false says that
// the link type cannot carry that EtherType.
func wrap(lt cbpf.LinkType, etherType uint16, data []byte) ([]byte, bool) {
	switch lt {
	case cbpf.LinkEthernet:
		dst, src := stationsOf(etherType, data)
		return ethernet(dst, src, etherType, data), true
	case cbpf.LinkRaw:
		return data, etherType == etherIPv4 || etherType == etherIPv6
	case cbpf.LinkIPv4:
		return data, etherType == etherIPv4
	case cbpf.LinkIPv6:
		return data, etherType == etherIPv6
	case cbpf.LinkLinuxSLL:
		dst, src := stationsOf(etherType, data)
		return sll(pktTypeOf(dst), src, etherType, data), true
	case cbpf.LinkLinuxSLL2:
		dst, src := stationsOf(etherType, data)
		return sll2(pktTypeOf(dst), 2, src, etherType, data), true
	case cbpf.LinkNull, cbpf.LinkLoop:
		family, ok := map[uint16]uint32{etherIPv4: 2, etherIPv6: 30}[etherType]
		if lt == cbpf.LinkNull {
			return join(binary.LittleEndian.AppendUint32(nil, family), data), ok
		}
		return join(be32(nil, family), data), ok
	case cbpf.LinkPPP:
		proto, ok := map[uint16]uint16{etherIPv4: pppIPv4, etherIPv6: pppIPv6,
			etherIPX: pppIPX, etherMPLS: pppMPLS}[etherType]
		return ppp(proto, data), ok
	}
	return nil, false
}

// stationsOf gives the Ethernet addresses that go with a packet's network addresses.
func stationsOf(etherType uint16, data []byte) (dst, src mac) {
	switch {
	case etherType == etherIPv4 && len(data) >= 20:
		return macOf(addr(data[16:20])), macOf(addr(data[12:16]))
	case etherType == etherIPv6 && len(data) >= 40:
		return macOf(addr(data[24:40])), macOf(addr(data[8:24]))
	case etherType == etherARP && len(data) > 7 && data[7] == 1, etherType == etherRARP:
		return broadcast, station(1)
	}
	return station(2), station(1)
}

func ethernet(dst, src mac, etherType uint16, data []byte) []byte {
	b := make([]byte, 0, 14+len(data))
	b = append(append(b, dst[:]...), src[:]...)
	return append(be16(b, etherType), data...)
}

// ieee8023 makes a frame with a length field and an LLC payload, padded to the
// least Ethernet frame as on the wire.
func ieee8023(dst, src mac, llc []byte) []byte {
	frame := ethernet(dst, src, uint16(len(llc)), llc)
	return append(frame, zeros(max(0, 60-len(frame)))...)
}

// snap makes an LLC and SNAP header.
func snap(oui uint32, proto uint16, data []byte) []byte {
	b := []byte{0xaa, 0xaa, 3, byte(oui >> 16), byte(oui >> 8), byte(oui)}
	return join(be16(b, proto), data)
}

// tagged makes a VLAN tag (without the TPID before it) in front of what etherType says.
func tagged(tci, etherType uint16, data []byte) []byte {
	return join(be16(be16(nil, tci), etherType), data)
}

// pktTypeOf says how Linux classes a frame by its destination: to us, broadcast, multicast.
func pktTypeOf(dst mac) byte {
	switch {
	case dst == broadcast:
		return 1
	case dst[0]&1 != 0:
		return 2
	}
	return 0
}

// sll makes a Linux cooked header with an Ethernet sender.
func sll(pktType byte, src mac, proto uint16, data []byte) []byte {
	b := []byte{0, pktType, 0, 1, 0, 6}
	b = append(append(b, src[:]...), 0, 0)
	return join(be16(b, proto), data)
}

func sll2(pktType byte, ifindex uint32, src mac, proto uint16, data []byte) []byte {
	b := be16(be16(nil, proto), 0)
	b = append(be16(be32(b, ifindex), 1), pktType, 6)
	b = append(append(b, src[:]...), 0, 0)
	return join(b, data)
}

// ppp makes a PPP frame in HDLC-like framing.
func ppp(proto uint16, data []byte) []byte {
	return join(be16([]byte{0xff, 3}, proto), data)
}

// mpls puts a stack of labels in front of data, the last one marked as bottom.
func mpls(data []byte, stack ...uint32) []byte {
	var b []byte
	for i, label := range stack {
		entry := label<<12 | 64
		if i == len(stack)-1 {
			entry |= 1 << 8
		}
		b = be32(b, entry)
	}
	return join(b, data)
}

// pppoe makes a PPPoE header (RFC 2516).
func pppoe(code byte, session uint16, data []byte) []byte {
	return join(be16(be16([]byte{0x11, code}, session), uint16(len(data))), data)
}

// pppoeSession makes a session packet that carries a PPP protocol.
func pppoeSession(session, proto uint16, data []byte) []byte {
	return pppoe(0, session, join(be16(nil, proto), data))
}

func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}
