package packets

import (
	"fmt"
	"net/netip"
	"strings"
)

// A network packet is one without its link header.
type network struct {
	name      string
	etherType uint16
	data      []byte
}

// networkSamples returns the packets that make sense above any link header.
func networkSamples() []network {
	a4, b4 := between("10.0.0.1", "192.168.1.10"), between("192.168.1.10", "10.0.0.1")
	a6, b6 := between("2001:db8::1", "2001:db8:ffff::53"), between("2001:db8:ffff::53", "2001:db8::1")
	var all []network
	for _, e := range []ends{a4, b4, a6, b6} {
		all = append(all, tcpSamples(e)...)
		all = append(all, udpSamples(e)...)
	}
	for _, e := range []ends{a4, a6} {
		all = append(all, otherTransports(e)...)
		all = append(all, tunnelSamples(e)...)
	}
	all = append(all, hostSamples()...)
	all = append(all, icmpSamples(a4)...)
	all = append(all, icmp6Samples(a6)...)
	all = append(all, multicastSamples()...)
	all = append(all, ipv4Samples(a4)...)
	all = append(all, ipv6Samples(a6)...)
	return append(all, arpSamples()...)
}

// over makes a network packet named after its IP version and direction.
func (e ends) over(proto byte, payload []byte, name string, args ...any) network {
	version := "ipv4 "
	if e.src.Is6() {
		version = "ipv6 "
	}
	return network{version + fmt.Sprintf(name, args...), e.etherType(), e.ip(proto, payload)}
}

// isReply tells the two directions of the samples' conversations apart.
func (e ends) isReply() bool { return e.dst.String() == "10.0.0.1" || e.dst.String() == "2001:db8::1" }

// words puts the low port on the answering side and names the direction.
func (e ends) words(port uint16) (sport, dport uint16, direction string) {
	if e.isReply() {
		return port, 40000, "from"
	}
	return 40000, port, "to"
}

func tcpSamples(e ends) []network {
	names := []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"}
	var all []network
	for _, port := range []uint16{22, 80, 443, 8080} {
		sport, dport, dir := e.words(port)
		for _, flags := range []byte{syn, syn | ack, ack, psh | ack, fin | ack, rst} {
			var set []string
			for i, n := range names {
				if flags>>i&1 != 0 {
					set = append(set, n)
				}
			}
			var options, payload []byte
			if flags&syn != 0 {
				options = []byte{2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1} // MSS, window scale, SACK
			}
			if flags&psh != 0 {
				payload = []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
			}
			seg := e.tcp(sport, dport, flags, 1000, options, payload)
			all = append(all, e.over(protoTCP, seg, "tcp %s %d %s", dir, port, strings.Join(set, "+")))
		}
	}
	_, _, dir := e.words(0)
	for i, n := range names {
		all = append(all, e.over(protoTCP, e.tcp(1024, 25, 1<<i, 7, nil, nil), "tcp %s only %s", dir, n))
	}
	return append(all,
		e.over(protoTCP, e.tcp(1024, 25, 0xff, 7, nil, nil), "tcp %s all flags", dir),
		e.over(protoTCP, e.tcp(1024, 25, 0, 7, nil, nil), "tcp %s no flags", dir),
		e.over(protoTCP, e.tcp(1024, 53, psh|ack, 7, make([]byte, 40), []byte("0123456789")), "tcp %s options 40", dir))
}

func udpSamples(e ends) []network {
	var all []network
	for _, port := range []uint16{53, 67, 123, 161, 500, 33434} {
		sport, dport, dir := e.words(port)
		all = append(all, e.over(protoUDP, e.udp(sport, dport, application(port)), "udp %s %d", dir, port))
	}
	_, _, dir := e.words(0)
	return append(all,
		e.over(protoUDP, e.udp(1024, 1024, nil), "udp %s empty", dir),
		e.over(protoUDP, e.udp(65535, 0, make([]byte, 600)), "udp %s long", dir))
}

func otherTransports(e ends) []network {
	seg := e.tcp(40000, 80, syn, 1, nil, nil)
	return []network{
		e.over(protoSCTP, sctp(40000, 80), "sctp to 80"),
		e.over(protoSCTP, sctp(36412, 36412), "sctp same ports"),
		e.over(protoAH, ah(protoTCP, seg), "ah tcp 80"),
		e.over(protoESP, join(be32(be32(nil, 0x200), 1), make([]byte, 24)), "esp"),
		e.over(protoPIM, e.pim(), "pim hello"),
		e.over(protoVRRP, e.vrrp(), "vrrp"),
		e.over(protoOSPF, e.ospf(), "ospf hello"),
		e.over(protoIGRP, make([]byte, 12), "igrp"),
		e.over(253, []byte("experiment"), "protocol 253"),
		e.over(255, nil, "protocol 255 empty"),
	}
}

func (e ends) pim() []byte {
	return e.summed(protoPIM, 2, []byte{0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105})
}

// vrrp is an advertisement of version 2 or 3; only the latter's checksum has a
// pseudo header, over IPv6.
func (e ends) vrrp() []byte {
	if e.src.Is4() {
		return e.summed(protoVRRP, 6, join([]byte{0x21, 7, 100, 1, 0, 1, 0, 0, 10, 0, 0, 1}, zeros(8)))
	}
	return e.summed(protoVRRP, 6, join([]byte{0x31, 7, 100, 1, 0, 100, 0, 0}, e.src.AsSlice()))
}

// ospf is a hello of version 2 or 3.
func (e ends) ospf() []byte {
	if e.src.Is4() {
		h := join([]byte{2, 1, 0, 44}, []byte{10, 0, 0, 1}, zeros(4), zeros(12))
		return e.summed(protoOSPF, 12, join(h, []byte{255, 0, 0, 0, 0, 10, 2, 1, 0, 0, 0, 40}, zeros(8)))
	}
	h := join([]byte{3, 1, 0, 36}, []byte{10, 0, 0, 1}, zeros(8))
	return e.summed(protoOSPF, 12, join(h, []byte{0, 0, 0, 1, 1, 0, 0, 0x13, 0, 10, 0, 40}, zeros(8)))
}

// tunnelSamples carry another packet inside.
func tunnelSamples(e ends) []network {
	in4 := between("172.16.0.5", "10.1.2.3")
	in6 := between("fe80::1", "2001:db8::2")
	ip4 := in4.ip(protoTCP, in4.tcp(1024, 80, syn, 5, nil, nil))
	ip6 := in6.ip(protoUDP, in6.udp(1024, 53, application(53)))
	frame := ethernet(station(9), station(8), etherIPv4, ip4)
	tag := ethernet(station(9), station(8), etherVLAN, tagged(100, etherIPv4, ip4))
	frame6 := ethernet(station(9), station(8), etherIPv6, ip6)
	option := []byte{0x01, 0x02, 0x80, 1, 0, 0, 0, 7}
	udp := func(name string, port uint16, payload []byte) network {
		return e.over(protoUDP, e.udp(50000, port, payload), "%s", name)
	}
	return []network{
		e.over(protoIPIP, ip4, "ipip"),
		e.over(protoIPv6, ip6, "ip in ip6"),
		e.over(protoGRE, gre(etherIPv4, 0, ip4), "gre ipv4"),
		e.over(protoGRE, gre(etherIPv6, 0, ip6), "gre ipv6"),
		e.over(protoGRE, gre(etherIPv4, 42, ip4), "gre key ipv4"),
		e.over(protoGRE, gre(etherTransparent, 7, frame), "gre ethernet"),
		udp("vxlan ipv4", 4789, vxlan(100, frame)),
		udp("vxlan vlan", 4789, vxlan(4094, tag)),
		udp("geneve ethernet ipv4", 6081, geneve(etherTransparent, 100, nil, frame)),
		udp("geneve ethernet ipv6", 6081, geneve(etherTransparent, 1, nil, frame6)),
		udp("geneve ethernet vlan", 6081, geneve(etherTransparent, 100, nil, tag)),
		udp("geneve options ethernet", 6081, geneve(etherTransparent, 0xfffffe, option, frame)),
		udp("geneve most options", 6081, geneve(etherTransparent, 100, make([]byte, 252), frame)),
		udp("geneve ipv4", 6081, geneve(etherIPv4, 100, nil, ip4)),
		udp("geneve options ipv6", 6081, geneve(etherIPv6, 100, option, ip6)),
		udp("geneve empty", 6081, geneve(etherIPv4, 5, nil, nil)),
	}
}

// hostSamples pair the hosts of the pool, so that host and net filters divide them.
func hostSamples() []network {
	var all []network
	for _, hosts := range [][]netip.Addr{hosts4, hosts6} {
		for i, src := range hosts {
			e := ends{src, hosts[(i+1)%len(hosts)]}
			all = append(all, e.over(protoUDP, e.udp(1024, 53, application(53)), "%s > %s", e.src, e.dst))
		}
	}
	return all
}

func multicastSamples() []network {
	var all []network
	for _, d := range special4 {
		e := ends{hosts4[4], d}
		if d.IsUnspecified() {
			e = ends{d, special4[1]}
		}
		all = append(all, e.over(protoUDP, e.udp(68, 67, application(67)), "udp %s > %s", e.src, e.dst))
	}
	for _, d := range special6 {
		e := ends{hosts6[4], d}
		if d.IsUnspecified() {
			e = ends{d, special6[0]}
		}
		all = append(all, e.over(protoUDP, e.udp(546, 547, application(547)), "udp %s > %s", e.src, e.dst))
	}
	group := between("192.168.1.10", "239.1.2.3")
	router := ipv4{ends: group, proto: protoIGMP, options: []byte{0x94, 4, 0, 0}} // router alert
	for _, kind := range []byte{0x11, 0x12, 0x16, 0x17} {
		all = append(all, network{fmt.Sprintf("ipv4 igmp %#x", kind), etherIPv4, router.packet(igmp(kind, group))})
	}
	return append(all, group.over(protoIGMP, igmp(0x16, group), "igmp without option"))
}

// ipv4Samples vary the IPv4 header itself.
func ipv4Samples(e ends) []network {
	seg := e.tcp(40000, 80, psh|ack, 1, nil, []byte("payload of a segment long enough to be cut into fragments"))
	make4 := func(name string, h ipv4, payload []byte) network {
		h.ends, h.proto = e, protoTCP
		return network{"ipv4 " + name, etherIPv4, h.packet(payload)}
	}
	var all []network
	for _, n := range []int{4, 8, 20, 40} {
		options := make([]byte, n) // end of options, but the first is a no-operation
		options[0] = 1
		all = append(all, make4(fmt.Sprintf("options %d", n), ipv4{options: options}, seg))
	}
	return append(all,
		make4("don't fragment", ipv4{fragment: dontFragment, tos: 0xb8}, seg),
		make4("first fragment", ipv4{fragment: moreFragments}, seg[:40]),
		make4("middle fragment", ipv4{fragment: moreFragments | 5}, seg[40:48]),
		make4("last fragment", ipv4{fragment: 6}, seg[48:]),
		make4("far fragment", ipv4{fragment: 0x1fff}, []byte("x")),
		make4("first fragment options", ipv4{fragment: moreFragments, options: make([]byte, 12)}, seg[:40]),
		make4("header only", ipv4{}, nil))
}

// ipv6Samples vary the chain of extension headers.
func ipv6Samples(e ends) []network {
	seg := e.tcp(40000, 80, syn, 1, nil, nil)
	dgram := e.udp(1024, 53, application(53))
	via := []netip.Addr{hosts6[2], hosts6[1]}
	return []network{
		e.over(protoHopByHop, options6(protoTCP, 0, seg), "hop-by-hop tcp"),
		e.over(protoHopByHop, options6(protoTCP, 3, seg), "hop-by-hop 32 tcp"),
		e.over(protoDestOpts, options6(protoUDP, 0, dgram), "dest options udp"),
		e.over(protoRouting, routing6(protoTCP, seg, via...), "routing tcp"),
		e.over(protoFragment, fragment6(protoTCP, 0, false, seg), "atomic fragment tcp"),
		e.over(protoFragment, fragment6(protoTCP, 0, true, seg), "first fragment tcp"),
		e.over(protoFragment, fragment6(protoTCP, 3, true, []byte("8 bytes.")), "middle fragment tcp"),
		e.over(protoFragment, fragment6(protoUDP, 8191, false, []byte("end")), "last fragment udp"),
		e.over(protoHopByHop, options6(protoRouting, 0, routing6(protoFragment,
			fragment6(protoAH, 0, false, ah(protoDestOpts, options6(protoTCP, 1, seg))), via...)), "all extensions tcp"),
		e.over(protoHopByHop, options6(protoFragment, 0, fragment6(protoUDP, 0, true, dgram)), "hop-by-hop fragment udp"),
		e.over(protoAH, ah(protoICMPv6, e.icmp6(128, 0, be32(nil, 1))), "ah icmp6"),
		e.over(protoDestOpts, options6(protoNone, 0, nil), "dest options nothing"),
		e.over(protoNone, nil, "no next header"),
		e.over(protoMobility, []byte{59, 0, 0, 0, 0, 0, 0, 0}, "mobility"),
	}
}

func icmpSamples(e ends) []network {
	inner := ends{e.dst, e.src}.ip(protoUDP, ends{e.dst, e.src}.udp(1024, 33434, nil))
	var all []network
	for _, m := range []struct {
		kind, code byte
		rest       []byte
	}{
		{8, 0, join(be32(nil, 0x00010001), []byte("abcdefgh"))}, {0, 0, join(be32(nil, 0x00010001), []byte("abcdefgh"))},
		{3, 0, join(zeros(4), inner)}, {3, 1, join(zeros(4), inner)}, {3, 3, join(zeros(4), inner)},
		{3, 4, join(be32(nil, 1400), inner)}, {4, 0, join(zeros(4), inner)},
		{5, 1, join([]byte{10, 0, 0, 2}, inner)}, {9, 0, []byte{1, 2, 0, 60, 10, 0, 0, 1, 0, 0, 0, 0}},
		{10, 0, zeros(4)}, {11, 0, join(zeros(4), inner)}, {11, 1, join(zeros(4), inner)},
		{12, 0, join(zeros(4), inner)}, {13, 0, zeros(16)}, {14, 0, zeros(16)},
		{15, 0, zeros(4)}, {16, 0, zeros(4)}, {17, 0, zeros(8)}, {18, 0, zeros(8)},
	} {
		all = append(all, e.over(protoICMP, icmp(m.kind, m.code, m.rest), "icmp %d/%d", m.kind, m.code))
	}
	return all
}

func icmp6Samples(e ends) []network {
	inner := ends{e.dst, e.src}.ip(protoUDP, ends{e.dst, e.src}.udp(1024, 33434, nil))
	var all []network
	for _, kind := range []byte{1, 2, 3, 4} {
		all = append(all, e.over(protoICMPv6, e.icmp6(kind, 0, join(be32(nil, 0), inner)), "icmp6 %d", kind))
	}
	for _, kind := range []byte{128, 129} {
		all = append(all, e.over(protoICMPv6, e.icmp6(kind, 0, join(be32(nil, 0x00010001), []byte("ping"))), "icmp6 %d", kind))
	}
	local := ends{hosts6[4], special6[2]}
	for _, kind := range []byte{135, 136} {
		all = append(all, local.over(protoICMPv6, local.neighbour(kind), "icmp6 %d", kind))
	}
	routers := ends{hosts6[4], special6[1]}
	nodes := ends{hosts6[4], special6[0]}
	return append(all,
		nodes.over(protoICMPv6, nodes.icmp6(130, 0, zeros(20)), "icmp6 130"),
		routers.over(protoICMPv6, routers.icmp6(133, 0, zeros(4)), "icmp6 133"),
		nodes.over(protoICMPv6, nodes.icmp6(134, 0, join([]byte{64, 0, 7, 8}, zeros(8))), "icmp6 134"),
		nodes.over(protoICMPv6, nodes.icmp6(137, 0, join(zeros(4), e.src.AsSlice(), e.dst.AsSlice())), "icmp6 137"),
		routers.over(protoHopByHop, options6(protoICMPv6, 0, routers.icmp6(143, 0, zeros(4))), "hop-by-hop icmp6 143"))
}

// arpSamples are not IP, but most link types carry them.
func arpSamples() []network {
	message := func(op byte, e ends, target mac) []byte {
		sender := station(1)
		return join([]byte{0, 1, 8, 0, 6, 4, 0, op}, sender[:], e.src.AsSlice(), target[:], e.dst.AsSlice())
	}
	pair := between("192.168.1.1", "192.168.1.10")
	return []network{
		{"arp request", etherARP, message(1, pair, mac{})},
		{"arp reply", etherARP, message(2, pair, station(10))},
		{"arp gratuitous", etherARP, message(1, ends{pair.src, pair.src}, mac{})},
		{"arp other net", etherARP, message(1, between("10.0.0.1", "10.0.0.2"), mac{})},
		{"rarp request", etherRARP, message(3, between("0.0.0.0", "0.0.0.0"), station(1))},
		{"rarp reply", etherRARP, message(4, pair, station(1))},
		{"ipx", etherIPX, ipx()},
		{"mpls ipv4", etherMPLS, mpls(pair.ip(protoUDP, pair.udp(53, 1024, application(53))), 100)},
	}
}

func ipx() []byte {
	to, from := broadcast, station(4)
	return join([]byte{0xff, 0xff, 0, 30, 0, 0}, []byte{0, 0, 0, 1}, to[:], []byte{0x50, 0},
		[]byte{0, 0, 0, 1}, from[:], []byte{0x50, 0})
}
