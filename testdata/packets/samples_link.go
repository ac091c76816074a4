package packets

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/cbpf"
)

// linkSamples returns the packets that belong to one link type.
func linkSamples(lt cbpf.LinkType) []Sample {
	switch lt {
	case cbpf.LinkEthernet:
		return slices.Concat(etherTypeSamples(), llcSamples(), vlanSamples(), mplsSamples(), pppoeSamples())
	case cbpf.LinkLinuxSLL, cbpf.LinkLinuxSLL2:
		return cookedSamples(lt)
	case cbpf.LinkNull, cbpf.LinkLoop:
		return familySamples(lt)
	case cbpf.LinkPPP:
		return pppSamples()
	}
	return nil
}

// inner packets for encapsulations.
func innerPackets() (ip4, ip6, arp []byte) {
	e4, e6 := between("10.0.0.1", "192.168.1.10"), between("2001:db8::1", "fe80::1")
	ip4 = e4.ip(protoTCP, e4.tcp(40000, 80, syn, 1, nil, nil))
	ip6 = e6.ip(protoUDP, e6.udp(1024, 53, application(53)))
	return ip4, ip6, arpSamples()[0].data
}

// etherTypeSamples have a known type and little else.
func etherTypeSamples() []Sample {
	var all []Sample
	for _, t := range []struct {
		name      string
		etherType uint16
		data      []byte
	}{
		{"mop dump/load", 0x6001, zeros(46)}, {"mop remote console", 0x6002, zeros(46)},
		{"decnet", 0x6003, join([]byte{14, 0, 0x2, 1, 0, 2, 0, 0}, zeros(38))}, {"lat", 0x6004, zeros(46)},
		{"sca", 0x6007, zeros(46)}, {"appletalk", 0x809b, zeros(46)}, {"aarp", 0x80f3, zeros(46)},
		{"eapol", 0x888e, join([]byte{1, 1, 0, 0}, zeros(42))}, {"lldp", 0x88cc, lldp()},
		{"loopback test", etherLoopback, join([]byte{0, 0, 1, 0}, zeros(42))},
		{"experimental type", 0x88b5, zeros(46)}, {"least type", 0x0600, zeros(46)},
		{"trailer type", 0x1000, zeros(46)},
	} {
		all = append(all, Sample{t.name, ethernet(station(2), station(1), t.etherType, t.data)})
	}
	e := between("10.0.0.1", "10.0.0.2")
	short := ethernet(station(2), station(1), etherIPv4, e.ip(protoTCP, e.tcp(1024, 22, ack, 1, nil, nil)))
	return append(all,
		Sample{"padded ipv4 tcp", join(short, zeros(6))},
		Sample{"broadcast frame unicast ipv4", ethernet(broadcast, station(1), etherIPv4, short[14:])},
		Sample{"multicast frame experimental", ethernet(stpGroup, station(1), 0x88b5, zeros(46))})
}

func lldp() []byte {
	chassis := station(1)
	b := join([]byte{0x02, 7, 4}, chassis[:], []byte{0x04, 2, 7, '1'}, []byte{0x06, 2, 0, 120, 0, 0})
	return append(b, zeros(46-len(b))...)
}

// llcSamples are IEEE 802.3 frames: a length where Ethernet II has a type.
func llcSamples() []Sample {
	ip4, _, arp := innerPackets()
	type frame struct {
		name string
		dst  mac
		llc  []byte
	}
	frames := []frame{
		{"802.3 stp", stpGroup, join([]byte{0x42, 0x42, 3}, stp())},
		{"802.3 netbeui", station(2), join([]byte{0xf0, 0xf0, 3}, zeros(20))},
		{"802.3 ipx", broadcast, join([]byte{0xe0, 0xe0, 3}, ipx())},
		{"802.3 ipx raw", broadcast, ipx()},
		{"snap ipv4", station(2), snap(0, etherIPv4, ip4)},
		{"snap arp", broadcast, snap(0, etherARP, arp)},
		{"snap cdp", cdpGroup, snap(0x00000c, 0x2000, summed(2, []byte{2, 180, 0, 0}))},
		{"snap appletalk", station(2), snap(0x080007, 0x809b, zeros(20))},
		{"snap aarp", station(2), snap(0, 0x80f3, zeros(28))},
		{"snap ipx", station(2), snap(0, etherIPX, ipx())},
		{"802.3 es-is", isisGroup, join([]byte{0xfe, 0xfe, 3}, []byte{0x82, 10, 1, 0, 2, 0, 100, 0, 0, 0})},
		{"802.3 clnp", station(2), join([]byte{0xfe, 0xfe, 3, 0x81}, zeros(20))},
		{"802.3 llc supervisory", station(2), []byte{0x04, 0x04, 0x01, 0x06}},
		{"802.3 llc information", station(2), join([]byte{0x04, 0x05, 0x02, 0x04}, []byte("data"))},
		{"802.3 llc unnumbered", station(2), []byte{0x04, 0x04, 0x7f}},
		{"802.3 llc xid", station(2), []byte{0x00, 0x01, 0xaf, 0x81, 1, 0}},
		{"802.3 largest length", station(2), join([]byte{0xf0, 0xf0, 3}, zeros(1497))},
	}
	for _, t := range []byte{15, 16, 17, 18, 20, 24, 25, 26, 27} { // hellos, LSPs, sequence numbers
		frames = append(frames, frame{fmt.Sprintf("802.3 is-is %d", t), isisGroup, join([]byte{0xfe, 0xfe, 3}, isis(t))})
	}
	var all []Sample
	for _, f := range frames {
		all = append(all, Sample{f.name, ieee8023(f.dst, station(1), f.llc)})
	}
	return all
}

// stp is a configuration BPDU.
func stp() []byte {
	b := []byte{0, 0, 0, 0, 0}
	bridge := station(1)
	b = join(b, []byte{0x80, 0}, bridge[:], zeros(4), []byte{0x80, 0}, bridge[:], []byte{0x80, 1})
	return join(b, []byte{0, 0, 20, 0, 2, 0, 15, 0})
}

// isis is a PDU of IS-IS (ISO 10589) without variable fields: hellos hold their
// length behind circuit type, system and holding time, the others first.
func isis(kind byte) []byte {
	length, at := byte(27), 8
	switch kind {
	case 15, 16:
		at = 17
	case 17:
		length, at = 20, 17
	case 24, 25:
		length = 33
	case 26, 27:
		length = 17
	}
	pdu := join([]byte{0x83, length, 1, 0, kind, 1, 0, 0}, zeros(int(length)-8))
	pdu[at+1] = length
	return pdu
}

func vlanSamples() []Sample {
	ip4, ip6, arp := innerPackets()
	frame := func(name string, tpid uint16, inside []byte) Sample {
		return Sample{name, ethernet(station(2), station(1), tpid, inside)}
	}
	pair := func(tpid1, id1, tpid2, id2 uint16) Sample {
		return frame(fmt.Sprintf("%04x %d %04x %d ipv4", tpid1, id1, tpid2, id2), tpid1,
			tagged(id1, tpid2, tagged(id2, etherIPv4, ip4)))
	}
	all := []Sample{
		frame("vlan priority tag ipv4", etherVLAN, tagged(0xe000, etherIPv4, ip4)),
		frame("vlan dei ipv4", etherVLAN, tagged(0x1000|100, etherIPv4, ip4)),
		frame("vlan 100 ipv6", etherVLAN, tagged(100, etherIPv6, ip6)),
		frame("vlan 100 arp", etherVLAN, tagged(100, etherARP, arp)),
		frame("vlan 100 llc stp", etherVLAN, tagged(100, 38, join([]byte{0x42, 0x42, 3}, stp()))),
		frame("vlan 100 mpls ipv4", etherVLAN, tagged(100, etherMPLS, mpls(ip4, 100))),
		frame("vlan 100 pppoes ipv4", etherVLAN, tagged(100, etherPPPoES, pppoeSession(7, pppIPv4, ip4))),
		pair(etherQinQ, 200, etherVLAN, 100), pair(etherOldQinQ, 200, etherVLAN, 100),
		pair(etherVLAN, 200, etherVLAN, 100), pair(etherQinQ, 1, etherQinQ, 10),
		frame("qinq ipv6", etherQinQ, tagged(10, etherVLAN, tagged(100, etherIPv6, ip6))),
		frame("three tags ipv4", etherQinQ, tagged(10, etherVLAN, tagged(100, etherVLAN, tagged(1, etherIPv4, ip4)))),
	}
	for _, id := range vlans {
		all = append(all, frame(fmt.Sprintf("vlan %d ipv4", id), etherVLAN, tagged(id, etherIPv4, ip4)))
	}
	return all
}

func mplsSamples() []Sample {
	ip4, ip6, _ := innerPackets()
	frame := func(name string, etherType uint16, inside []byte) Sample {
		return Sample{name, ethernet(station(2), station(1), etherType, inside)}
	}
	pseudowire := join(zeros(4), ethernet(station(9), station(8), etherIPv4, ip4))
	return []Sample{
		frame("mpls 1024 ipv4", etherMPLS, mpls(ip4, 1024)),
		frame("mpls 100000 ipv6", etherMPLS, mpls(ip6, 100000)),
		frame("mpls explicit null ipv4", etherMPLS, mpls(ip4, 0)),
		frame("mpls explicit null ipv6", etherMPLS, mpls(ip6, 2)),
		frame("mpls 100 1024 ipv4", etherMPLS, mpls(ip4, 100, 1024)),
		frame("mpls 100 1024 ipv6", etherMPLS, mpls(ip6, 100, 1024)),
		frame("mpls 100 1024 100000 ipv4", etherMPLS, mpls(ip4, 100, 1024, 100000)),
		frame("mpls largest label ipv4", etherMPLS, mpls(ip4, 1048575)),
		frame("mpls multicast ipv4", etherMPLSM, mpls(ip4, 100)),
		frame("mpls pseudowire", etherMPLS, mpls(pseudowire, 100, 16)),
	}
}

func pppoeSamples() []Sample {
	ip4, ip6, _ := innerPackets()
	tags := []byte{1, 1, 0, 0, 1, 3, 0, 4, 1, 2, 3, 4} // service name, host unique
	lcp := []byte{1, 1, 0, 10, 5, 6, 1, 2, 3, 4}
	frame := func(name string, etherType uint16, inside []byte) Sample {
		return Sample{name, ethernet(station(2), station(1), etherType, inside)}
	}
	return []Sample{
		{"pppoed padi", ethernet(broadcast, station(1), etherPPPoED, pppoe(9, 0, tags))},
		frame("pppoed pado", etherPPPoED, pppoe(7, 0, tags)),
		frame("pppoed padr", etherPPPoED, pppoe(0x19, 0, tags)),
		frame("pppoed pads", etherPPPoED, pppoe(0x65, 7, tags)),
		frame("pppoed padt", etherPPPoED, pppoe(0xa7, 7, nil)),
		frame("pppoes 7 ipv4", etherPPPoES, pppoeSession(7, pppIPv4, ip4)),
		frame("pppoes 4660 ipv4", etherPPPoES, pppoeSession(0x1234, pppIPv4, ip4)),
		frame("pppoes 7 ipv6", etherPPPoES, pppoeSession(7, pppIPv6, ip6)),
		frame("pppoes 7 mpls ipv4", etherPPPoES, pppoeSession(7, pppMPLS, mpls(ip4, 100))),
		frame("pppoes 7 lcp", etherPPPoES, pppoeSession(7, pppLCP, lcp)),
		frame("pppoes 7 ipcp", etherPPPoES, pppoeSession(7, pppIPCP, lcp)),
	}
}

// cookedSamples vary the cooked headers: direction, hardware type, LLC and
// Novell protocol numbers, a tagged packet.
func cookedSamples(lt cbpf.LinkType) []Sample {
	ip4, _, _ := innerPackets()
	cooked := func(name string, pktType byte, proto uint16, data []byte) Sample {
		if lt == cbpf.LinkLinuxSLL {
			return Sample{name, sll(pktType, station(1), proto, data)}
		}
		return Sample{name, sll2(pktType, 3, station(1), proto, data)}
	}
	loopback := cooked("loopback device ipv4", 0, etherIPv4, ip4)
	hatype := 2
	if lt == cbpf.LinkLinuxSLL2 {
		hatype = 8
	}
	binary.BigEndian.PutUint16(loopback.Data[hatype:], 772) // ARPHRD_LOOPBACK
	return []Sample{
		cooked("to other host ipv4", 3, etherIPv4, ip4),
		cooked("outgoing ipv4", 4, etherIPv4, ip4),
		cooked("broadcast ipv4", 1, etherIPv4, ip4),
		cooked("802.2 stp", 2, 4, join([]byte{0x42, 0x42, 3}, stp())),
		cooked("802.2 is-is", 2, 4, join([]byte{0xfe, 0xfe, 3}, isis(15))),
		cooked("802.2 snap ipv4", 0, 4, snap(0, etherIPv4, ip4)),
		cooked("802.3 novell ipx", 1, 1, ipx()),
		cooked("vlan 100 ipv4", 0, etherVLAN, tagged(100, etherIPv4, ip4)),
		cooked("can", 0, 0x000c, zeros(16)),
		loopback,
	}
}

// familySamples vary the address family: its value for IPv6 depends on the
// system, and NULL has it in the byte order of the machine that captured.
func familySamples(lt cbpf.LinkType) []Sample {
	ip4, ip6, arp := innerPackets()
	var all []Sample
	add := func(order binary.AppendByteOrder, orderName string) {
		for _, f := range []struct {
			family uint32
			data   []byte
		}{{2, ip4}, {10, ip6}, {24, ip6}, {28, ip6}, {30, ip6}, {7, arp}, {23, ipx()}} {
			name := fmt.Sprintf("family %d %s", f.family, orderName)
			all = append(all, Sample{name, join(order.AppendUint32(nil, f.family), f.data)})
		}
	}
	add(binary.BigEndian, "big-endian")
	if lt == cbpf.LinkNull {
		add(binary.LittleEndian, "little-endian")
	}
	return all
}

func pppSamples() []Sample {
	ip4, ip6, _ := innerPackets()
	lcp := []byte{1, 1, 0, 10, 5, 6, 1, 2, 3, 4}
	bare := func(proto uint16, data []byte) []byte { return join(be16(nil, proto), data) }
	return []Sample{
		{"lcp", ppp(pppLCP, lcp)},
		{"ipcp", ppp(pppIPCP, lcp)},
		{"osi is-is", ppp(pppOSI, isis(18))},
		{"mpls 100 1024 ipv6", ppp(pppMPLS, mpls(ip6, 100, 1024))},
		{"without framing ipv4", bare(pppIPv4, ip4)},
		{"without framing ipv6", bare(pppIPv6, ip6)},
		{"compressed protocol ipv4", join([]byte{0x21}, ip4)},
		{"outgoing ipv4", join([]byte{0, 3, 0, 0x21}, ip4)}, // some systems note the direction in the address field
		{"cisco hdlc ipv4", join([]byte{0x0f, 0, 8, 0}, ip4)},
	}
}
