package cbpf

import (
	"encoding/binary"
	"math"
)

// payOffset returns where the payload behind the transport header starts, as
// skb_get_poff in the kernel's net/core/flow_dissector.c computes it; 0 if the
// headers are cut short or unknown.
func payOffset(data []byte, wireLen uint32, meta *Metadata) uint32 {
	d := dissector{data: data, meta: meta, proto: meta.Protocol, at: int64(meta.NetworkOffset)}
	if meta.VLANPresent {
		d.proto = meta.VLANProto
	}
	ok := d.dissect()
	transport := uint32(d.at)
	if d.at < 0 || d.at > int64(wireLen) {
		transport = wireLen
	}
	if !ok || transport > math.MaxUint16 {
		return 0
	}
	if d.laterFragment {
		return transport // no transport header here
	}
	return transport + d.transportHeader(transport)
}

// transportHeader returns the length of the transport header at offset at. Only
// TCP's options are counted, as in the kernel.
func (d *dissector) transportHeader(at uint32) uint32 {
	switch d.ipProto {
	case ipTCP:
		if int64(at)+12 >= int64(len(d.data)) {
			return 0
		}
		return max(20, uint32(d.data[at+12]&0xf0)>>2)
	case ipUDP, ipUDPLite, ipICMP, ipICMPv6, ipIGMP:
		return 8
	case ipDCCP, ipSCTP:
		return 12
	}
	return 0
}

// A dissector walks from the network header to the transport header.
type dissector struct {
	data          []byte
	meta          *Metadata
	proto         uint16 // EtherType of what is at the offset at
	ipProto       uint8  // IP protocol of what is there, once IP was seen
	at            int64
	vlans         bool // a VLAN header was passed
	laterFragment bool // of a fragmented packet, and not its first
}

// A step says how dissection goes on after a header.
type step uint8

const (
	stepBad     step = iota // cut short, or unknown
	stepDone                // as far as it goes
	stepProto               // at the header that d.proto names
	stepIPProto             // at the header that d.ipProto names
)

// maxHeaders is how often dissection may go on (MAX_FLOW_DISSECT_HDRS).
const maxHeaders = 15

// EtherTypes and IP protocols of the headers that are looked into.
const (
	etherIP, etherIPv6               = 0x0800, 0x86dd
	etherARP, etherRARP              = 0x0806, 0x8035
	ether8021Q, ether8021AD          = 0x8100, 0x88a8
	etherMPLS, etherMPLSMulti        = 0x8847, 0x8848
	etherPPPSession, etherBridged    = 0x8864, 0x6558
	etherTIPC, etherFCoE, ether1588  = 0x88ca, 0x8906, 0x88f7
	etherBatman, etherCFM            = 0x4305, 0x8902
	etherPRP, etherHSR               = 0x88fb, 0x892f
	ipHopByHop, ipRouting, ipDestOpt = 0, 43, 60
	ipICMP, ipIGMP, ipTCP, ipUDP     = 1, 2, 6, 17
	ipIPIP, ipIPv6, ipGRE, ipMPLS    = 4, 41, 47, 137
	ipFragment, ipICMPv6             = 44, 58
	ipDCCP, ipSCTP, ipUDPLite        = 33, 132, 136
)

// dissect walks until a header is unknown (false) or the transport is reached.
// Past maxHeaders headers it stops and takes what it has, as the kernel does.
func (d *dissector) dissect() bool {
	next := stepProto
	for range maxHeaders + 1 {
		switch next {
		case stepProto:
			next = d.network()
		case stepIPProto:
			next = d.transport()
		default:
			return next == stepDone
		}
	}
	return next != stepBad
}

// header returns n bytes at the current offset, nil if they are not all there.
func (d *dissector) header(n int64) []byte {
	if d.at < 0 || d.at+n > int64(len(d.data)) {
		return nil
	}
	return d.data[d.at : d.at+n]
}

// network passes the header that d.proto names.
func (d *dissector) network() step {
	switch d.proto {
	case etherIP:
		return d.ipv4()
	case etherIPv6:
		h := d.header(40)
		if h == nil {
			return stepBad
		}
		d.ipProto = h[6]
		d.at += 40
		return d.transport()
	case ether8021Q, ether8021AD:
		return d.vlan()
	case etherPPPSession:
		return d.pppoe()
	case etherMPLS, etherMPLSMulti:
		// Only the first label is passed: the kernel looks for the end of
		// the stack only when asked for entropy labels.
		d.at += 4
		return stepDone
	case etherARP, etherRARP, etherCFM:
		return stepDone
	case etherTIPC:
		return d.pass(16, 0)
	case etherFCoE:
		return d.pass(38, 38)
	case ether1588:
		return d.pass(34, 34)
	case etherBatman:
		return d.batman()
	case etherPRP, etherHSR:
		h := d.header(6)
		if h == nil {
			return stepBad
		}
		d.proto = binary.BigEndian.Uint16(h[4:])
		d.at += 6
		return stepProto
	}
	return stepBad
}

// pass demands a header of n bytes, goes on by skip and is done.
func (d *dissector) pass(n, skip int64) step {
	if d.header(n) == nil {
		return stepBad
	}
	d.at += skip
	return stepDone
}

func (d *dissector) ipv4() step {
	h := d.header(20)
	if h == nil || h[0]&0xf < 5 {
		return stepBad
	}
	d.ipProto = h[9]
	d.at += int64(h[0]&0xf) * 4
	if frag := binary.BigEndian.Uint16(h[6:]); frag&0x3fff != 0 { // more fragments, or an offset
		d.laterFragment = frag&0x1fff != 0
		return stepDone
	}
	return d.transport()
}

// vlan passes a VLAN header. The first one may be the one that was taken out of
// the packet: then what follows it is at the network header.
func (d *dissector) vlan() step {
	if !d.vlans && d.meta.VLANPresent {
		d.proto = d.meta.Protocol
	} else {
		h := d.header(4)
		if h == nil {
			return stepBad
		}
		d.proto = binary.BigEndian.Uint16(h[2:])
		d.at += 4
	}
	d.vlans = true
	return stepProto
}

func (d *dissector) pppoe() step {
	h := d.header(8)
	if h == nil || h[0] != 0x11 || h[1] != 0 { // version 1, type 1, session data
		return stepBad
	}
	d.at += 8
	ppp := binary.BigEndian.Uint16(h[6:])
	if ether, ok := pppEtherType(ppp); ok {
		d.proto = ether
		return stepProto
	}
	if ppp&0x0101 == 0x0001 { // a well-formed protocol number
		return stepDone
	}
	return stepBad
}

// pppEtherType translates the PPP protocols that are looked into.
func pppEtherType(ppp uint16) (uint16, bool) {
	switch ppp {
	case 0x0021:
		return etherIP, true
	case 0x0057:
		return etherIPv6, true
	case 0x0281:
		return etherMPLS, true
	case 0x0283:
		return etherMPLSMulti, true
	}
	return 0, false
}

// batman passes a B.A.T.M.A.N. unicast header and the Ethernet header in it.
func (d *dissector) batman() step {
	h := d.header(24)
	if h == nil || h[0] != 0x40 || h[1] != 15 { // unicast, version 15
		return stepBad
	}
	d.proto = binary.BigEndian.Uint16(h[22:])
	d.at += 24
	return stepProto
}

// transport passes the header that d.ipProto names, if it is one that carries
// further headers.
func (d *dissector) transport() step {
	switch d.ipProto {
	case ipHopByHop, ipRouting, ipDestOpt:
		if d.proto != etherIPv6 {
			return stepDone
		}
		h := d.header(2)
		if h == nil {
			return stepBad
		}
		d.ipProto = h[0]
		d.at += (int64(h[1]) + 1) * 8
		return stepIPProto
	case ipFragment:
		if d.proto != etherIPv6 {
			return stepDone
		}
		h := d.header(8)
		if h == nil {
			return stepBad
		}
		d.ipProto = h[0]
		d.at += 8
		d.laterFragment = binary.BigEndian.Uint16(h[2:])&0xfff8 != 0
		return stepDone
	case ipIPIP:
		d.proto = etherIP
		return stepProto
	case ipIPv6:
		d.proto = etherIPv6
		return stepProto
	case ipMPLS:
		d.proto = etherMPLS
		return stepProto
	case ipGRE:
		return d.gre()
	}
	return stepDone
}

// Flags of the GRE header.
const (
	greChecksum, greRouting, greKey, greSequence = 0x8000, 0x4000, 0x2000, 0x1000
	greAck, greVersion                           = 0x0080, 0x0007
	grePPP                                       = 0x880b
)

// gre passes a GRE header of version 0, or of version 1 as PPTP uses it.
func (d *dissector) gre() step {
	h := d.header(4)
	if h == nil {
		return stepBad
	}
	flags, proto := binary.BigEndian.Uint16(h), binary.BigEndian.Uint16(h[2:])
	version := flags & greVersion
	if flags&greRouting != 0 || version > 1 {
		return stepDone
	}
	d.proto = proto
	if version == 1 && (proto != grePPP || flags&greKey == 0) {
		return stepDone
	}
	d.at += 4
	if flags&greChecksum != 0 {
		d.at += 4
	}
	if flags&greKey != 0 {
		if d.header(4) == nil {
			return stepBad
		}
		d.at += 4
	}
	if flags&greSequence != 0 {
		d.at += 4
	}
	if version == 1 {
		return d.pptp(flags)
	}
	if proto == etherBridged {
		eth := d.header(14)
		if eth == nil {
			return stepBad
		}
		d.proto = binary.BigEndian.Uint16(eth[12:])
		d.at += 14
	}
	return stepProto
}

// pptp passes what version 1 of GRE has beyond version 0: an acknowledgement
// and a PPP header.
func (d *dissector) pptp(flags uint16) step {
	if flags&greAck != 0 {
		d.at += 4
	}
	ppp := d.header(4)
	if ppp == nil {
		return stepBad
	}
	d.at += 4
	switch ether, _ := pppEtherType(binary.BigEndian.Uint16(ppp[2:])); ether {
	case etherIP, etherIPv6:
		d.proto = ether
	}
	return stepProto
}
