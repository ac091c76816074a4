package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
)

// summarise describes a packet's layers for people, outermost first:
// "10.0.0.1 > 10.0.0.2 TCP 40000 > 80 [S] len 5". It serves for reading, and
// has no say in what matches. A decoding library would know more protocols, but
// the one for Go builds tables for them all at each start of the program, which
// takes longer than to filter a million packets.
func summarise(p *capture.Packet) string {
	s := &summary{}
	meta := p.Metadata()
	network := int(meta.NetworkOffset)
	switch {
	case p.LinkType == cbpf.LinkEthernet:
		s.ethernet(p.Data)
	case meta.Protocol == 0 && len(p.Data) > network:
		return p.LinkType.Description()
	case len(p.Data) < network:
		s.short = true
	default:
		s.network(meta.Protocol, p.Data[network:])
	}
	if s.short {
		s.add("[cut short or malformed]")
	}
	return string(s.text)
}

// A summary gathers a few words for each layer. The methods for the layers take
// the packet's bytes from the layer on.
type summary struct {
	text  []byte
	short bool // bytes are missing that a layer announced or must have
}

func (s *summary) add(format string, args ...any) {
	if len(s.text) > 0 {
		s.text = append(s.text, ' ')
	}
	s.text = fmt.Appendf(s.text, format, args...)
}

// has reports whether there are n bytes, and notes if not.
func (s *summary) has(b []byte, n int) bool {
	s.short = s.short || len(b) < n
	return len(b) >= n
}

// payload names bytes that belong to no layer known here by their number.
func (s *summary) payload(b []byte) {
	if len(b) > 0 {
		s.add("len %d", len(b))
	}
}

// EtherTypes.
const (
	etherIPv4        = 0x0800
	etherARP         = 0x0806
	etherVLAN        = 0x8100
	etherIPv6        = 0x86dd
	etherMPLS        = 0x8847
	etherMPLSMulti   = 0x8848
	etherPPPoE       = 0x8863 // discovery
	etherPPPoESess   = 0x8864
	etherQinQ        = 0x88a8
	etherOldQinQ     = 0x9100
	etherTransparent = 0x6558 // a whole Ethernet frame, in GRE and Geneve
	firstEtherType   = 0x0600 // smaller numbers are the length of an 802.3 frame
)

func (s *summary) ethernet(b []byte) {
	if !s.has(b, 14) {
		return
	}
	typ := binary.BigEndian.Uint16(b[12:])
	if typ != etherIPv4 && typ != etherIPv6 { // their addresses say more
		s.add("%v > %v", net.HardwareAddr(b[6:12]), net.HardwareAddr(b[:6]))
	}
	s.network(typ, b[14:])
}

// network goes on with what an EtherType names.
func (s *summary) network(typ uint16, b []byte) {
	switch typ {
	case etherIPv4:
		s.ipv4(b)
	case etherIPv6:
		s.ipv6(b)
	case etherARP:
		s.arp(b)
	case etherVLAN, etherQinQ, etherOldQinQ:
		if s.has(b, 4) {
			s.add("vlan %d", binary.BigEndian.Uint16(b)&0xfff)
			s.network(binary.BigEndian.Uint16(b[2:]), b[4:])
		}
	case etherMPLS, etherMPLSMulti:
		s.mpls(b)
	case etherPPPoE, etherPPPoESess:
		s.pppoe(typ, b)
	case etherTransparent:
		s.ethernet(b)
	default:
		if typ < firstEtherType {
			s.llc(b)
			return
		}
		s.add("ethertype %#04x", typ)
		s.payload(b)
	}
}

// mpls goes over the labels to the bottom of the stack. What is behind it only
// its first half byte can tell.
func (s *summary) mpls(b []byte) {
	for bottom := false; !bottom; b = b[4:] {
		if !s.has(b, 4) {
			return
		}
		s.add("mpls %d", binary.BigEndian.Uint32(b)>>12)
		bottom = b[2]&1 != 0
	}
	s.ip(b)
}

// ip goes on with IPv4 or IPv6, as the version says.
func (s *summary) ip(b []byte) {
	switch {
	case len(b) > 0 && b[0]>>4 == 4:
		s.ipv4(b)
	case len(b) > 0 && b[0]>>4 == 6:
		s.ipv6(b)
	default:
		s.payload(b)
	}
}

func (s *summary) pppoe(typ uint16, b []byte) {
	if !s.has(b, 6) {
		return
	}
	s.add("pppoe %d", binary.BigEndian.Uint16(b[2:]))
	if typ == etherPPPoE {
		s.payload(b[6:])
	} else if s.has(b, 8) {
		s.ppp(binary.BigEndian.Uint16(b[6:]), b[8:])
	}
}

// ppp goes on with what a PPP protocol number names.
func (s *summary) ppp(protocol uint16, b []byte) {
	switch protocol {
	case 0x0021:
		s.ipv4(b)
	case 0x0057:
		s.ipv6(b)
	case 0x0281, 0x0283:
		s.mpls(b)
	default:
		s.add("ppp %#04x", protocol)
		s.payload(b)
	}
}

// llc reads an 802.2 header; with SNAP it names an EtherType after all.
func (s *summary) llc(b []byte) {
	switch {
	case !s.has(b, 3):
	case b[0] == 0xaa && b[1] == 0xaa && len(b) >= 8 && b[3]|b[4]|b[5] == 0:
		s.add("SNAP")
		s.network(binary.BigEndian.Uint16(b[6:]), b[8:])
	case b[0] == 0x42 && b[1] == 0x42:
		s.add("STP")
	default:
		s.add("LLC %#02x > %#02x", b[1], b[0])
		s.payload(b[3:])
	}
}

// arp reads the form for Ethernet and IPv4.
func (s *summary) arp(b []byte) {
	if !s.has(b, 8) {
		return
	}
	operation := binary.BigEndian.Uint16(b[6:])
	if b[4] != 6 || b[5] != 4 {
		s.add("ARP operation %d", operation)
		return
	}
	if !s.has(b, 28) {
		return
	}
	hardware, from, to := net.HardwareAddr(b[8:14]), ipAddress(b[14:18]), ipAddress(b[24:28])
	switch operation {
	case 1:
		s.add("ARP who-has %v tell %v", to, from)
	case 2:
		s.add("ARP %v is-at %v", from, hardware)
	default:
		s.add("ARP operation %d %v > %v", operation, from, to)
	}
}

// ipAddress makes an IP address of 4 or 16 bytes.
func ipAddress(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}
