package packets

import (
	"math/rand/v2"
	"slices"

	"github.com/bpflab/bpflab/cbpf"
)

// Generate returns n packets of a link type, the same ones for the same
// arguments: first every sample once (in a random order), then a mixture of
// random compositions, packets with some bytes changed, packets cut short
// (len(Data) < WireLen) and noise. It returns nil for a link type that
// [Samples] does not know.
func Generate(lt cbpf.LinkType, seed uint64, n int) []Packet {
	good := Samples(lt)
	if good == nil {
		return nil
	}
	g := generator{rand.New(rand.NewPCG(seed, uint64(lt))), lt, good}
	out := make([]Packet, 0, n)
	for _, i := range g.Perm(len(good)) {
		if len(out) == n {
			return out
		}
		out = append(out, whole(good[i].Data))
	}
	for len(out) < n {
		out = append(out, g.packet())
	}
	return out
}

// whole is a packet of which all was captured.
func whole(data []byte) Packet { return Packet{data, uint32(len(data))} }

type generator struct {
	*rand.Rand
	lt   cbpf.LinkType
	good []Sample
}

// packet makes one packet of the mixture.
func (g *generator) packet() Packet {
	switch k := g.IntN(100); {
	case k < 35:
		return whole(g.compose())
	case k < 60:
		return whole(g.mutate(g.base()))
	case k < 85:
		return g.cut(g.base())
	case k < 95:
		return g.cut(g.mutate(g.base()))
	}
	return g.noise()
}

// base is a good packet to spoil.
func (g *generator) base() []byte {
	if g.IntN(3) == 0 {
		return g.compose()
	}
	return pick(g, g.good).Data
}

// header is how many bytes the filters of the language look at: changes and
// cuts fall there more often than further back.
const header = 96

// mutate changes up to four places near the front: single bits, bytes that
// headers use as lengths and types, and whole fields of all ones or zero.
func (g *generator) mutate(data []byte) []byte {
	b := slices.Clone(data)
	for range 1 + g.IntN(4) {
		if len(b) == 0 {
			return b
		}
		at := g.IntN(min(len(b), header))
		switch g.IntN(4) {
		case 0:
			b[at] ^= 1 << g.IntN(8)
		case 1:
			b[at] = byte(g.Uint32())
		case 2:
			b[at] = pick(g, interesting)
		case 3:
			fill := byte(0xff * g.IntN(2))
			for i := range b[at:min(at+1+g.IntN(4), len(b))] {
				b[at+i] = fill
			}
		}
	}
	return b
}

// interesting are values that mean something in some header: versions with
// header lengths, protocol numbers, EtherType halves, LLC addresses.
var interesting = []byte{0, 1, 2, 3, 4, 5, 6, 8, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132,
	0x40, 0x41, 0x44, 0x45, 0x46, 0x4f, 0x55, 0x60, 0x6f, 0x81, 0x86, 0x88, 0xaa, 0xdd, 0xfe, 0xff}

// cut shortens the captured part, as a small snapshot length does.
func (g *generator) cut(data []byte) Packet {
	n := len(data)
	if g.IntN(4) > 0 {
		n = min(n, header)
	}
	return Packet{data[:g.IntN(n+1)], uint32(len(data))}
}

// noise is bytes without a meaning, sometimes behind the start of a good packet.
func (g *generator) noise() Packet {
	b := make([]byte, g.IntN(128))
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	if g.IntN(2) == 0 {
		start := pick(g, g.good).Data
		copy(b, start[:g.IntN(min(len(start), 40)+1)])
	}
	return whole(b)
}

// compose builds a packet from random headers. Lengths are right, and checksums
// up to those of TCP, UDP, SCTP and ICMP; other payloads are zeros.
func (g *generator) compose() []byte {
	etherType, data := g.network(1)
	if g.lt == cbpf.LinkEthernet {
		etherType, data = g.encapsulate(etherType, data)
	}
	for {
		if frame, ok := wrap(g.lt, etherType, data); ok {
			return frame
		}
		etherType, data = g.network(1) // the link type carries another IP version only
	}
}

// encapsulate puts VLAN tags, MPLS labels or PPPoE between the link header and
// an IP packet, each sometimes.
func (g *generator) encapsulate(etherType uint16, data []byte) (uint16, []byte) {
	switch g.IntN(10) {
	case 0:
		stack := make([]uint32, 1+g.IntN(3))
		for i := range stack {
			stack[i] = pick(g, labels)
		}
		etherType, data = etherMPLS, mpls(data, stack...)
	case 1:
		proto := uint16(pppIPv4)
		if etherType == etherIPv6 {
			proto = pppIPv6
		}
		etherType, data = etherPPPoES, pppoeSession(uint16(g.IntN(4)), proto, data)
	}
	for range max(0, g.IntN(6)-3) {
		tci := pick(g, vlans) | uint16(g.IntN(16))<<12
		data = tagged(tci, etherType, data)
		etherType = pick(g, []uint16{etherVLAN, etherVLAN, etherQinQ, etherOldQinQ})
	}
	return etherType, data
}

// network makes an IP packet. depth bounds how many more packets may be nested inside.
func (g *generator) network(depth int) (uint16, []byte) {
	e := g.ends()
	proto, payload := g.transport(e, depth)
	if e.src.Is4() {
		h := ipv4{ends: e, proto: proto}
		if g.IntN(6) == 0 {
			h.options = make([]byte, 4*(1+g.IntN(10)))
		}
		if g.IntN(8) == 0 {
			h.fragment = pick(g, []uint16{dontFragment, moreFragments, moreFragments | 1, 185, 0x1fff})
		}
		return etherIPv4, h.packet(payload)
	}
	for range max(0, g.IntN(6)-2) {
		proto, payload = g.extension(proto, payload)
	}
	return etherIPv6, ipv6(e, proto, payload)
}

// extension puts one IPv6 extension header in front.
func (g *generator) extension(next byte, payload []byte) (byte, []byte) {
	switch g.IntN(5) {
	case 0:
		return protoHopByHop, options6(next, g.IntN(3), payload)
	case 1:
		return protoDestOpts, options6(next, g.IntN(3), payload)
	case 2:
		return protoRouting, routing6(next, payload, pick(g, hosts6))
	case 3:
		return protoFragment, fragment6(next, uint16(g.IntN(3)), g.IntN(2) == 0, payload)
	}
	return protoAH, ah(next, payload)
}

// ends picks two hosts, or a host and a group.
func (g *generator) ends() ends {
	hosts, special := hosts4, special4
	if g.lt == cbpf.LinkIPv6 || g.lt != cbpf.LinkIPv4 && g.IntN(5) < 2 {
		hosts, special = hosts6, special6
	}
	e := ends{pick(g, hosts), pick(g, hosts)}
	if g.IntN(8) == 0 {
		e.dst = pick(g, special)
	}
	return e
}

func (g *generator) transport(e ends, depth int) (proto byte, payload []byte) {
	sport, dport := pick(g, ports), pick(g, ports)
	data := make([]byte, g.IntN(48))
	switch k := g.IntN(20); {
	case k < 8:
		options := make([]byte, 4*max(0, g.IntN(14)-4))
		return protoTCP, e.tcp(sport, dport, byte(g.Uint32()), g.Uint32(), options, data)
	case k < 12:
		return protoUDP, e.udp(sport, dport, data)
	case k < 13:
		return protoSCTP, sctp(sport, dport)
	case k < 15 && e.src.Is4():
		return protoICMP, icmp(byte(g.IntN(19)), byte(g.IntN(4)), join(zeros(4), data))
	case k < 15:
		return protoICMPv6, e.icmp6(byte(g.IntN(160)), 0, join(zeros(4), data))
	case k < 18 && depth > 0:
		return g.tunnel(e, depth-1)
	case k < 19:
		return pick(g, []byte{protoIGMP, protoIGRP, protoESP, protoOSPF, protoPIM, protoVRRP, 253}), data
	}
	return protoAH, ah(protoTCP, e.tcp(sport, dport, syn, 0, nil, data))
}

// tunnel makes a payload with another packet inside.
func (g *generator) tunnel(e ends, depth int) (proto byte, payload []byte) {
	etherType, inner := g.network(depth)
	option := make([]byte, 4*g.IntN(4))
	dst, src := stationsOf(etherType, inner)
	switch g.IntN(6) {
	case 0:
		return protoGRE, gre(etherType, uint32(g.IntN(3)), inner)
	case 1:
		return protoUDP, e.udp(1024, 4789, vxlan(uint32(pick(g, vlans)), ethernet(dst, src, etherType, inner)))
	case 2:
		return protoUDP, e.udp(1024, 6081, geneve(etherType, uint32(pick(g, vlans)), option, inner))
	case 3, 4:
		etherType, inner = g.encapsulate(etherType, inner)
		frame := ethernet(dst, src, etherType, inner)
		return protoUDP, e.udp(1024, 6081, geneve(etherTransparent, uint32(pick(g, vlans)), option, frame))
	}
	if etherType == etherIPv6 {
		return protoIPv6, inner
	}
	return protoIPIP, inner
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }
