package filter

import (
	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// The primitives that walk into the packet: what they test, and what the tests
// after them look at.

// encap returns the test of an encapsulation primitive and the layers behind it.
func (lw *lowerer) encap(t *TestEncap, ls layers) (test, layers) {
	l := ls.top
	switch t.Layer {
	case EncapVLAN:
		return lw.vlan(t, l, ls)
	case EncapMPLS:
		return lw.mpls(t, l, ls)
	case EncapPPPoED:
		return lw.linkType(l, etherPPPoED), ls
	case EncapPPPoES:
		return lw.pppoes(t, l, ls)
	}
	return lw.geneve(t, l, ls)
}

// vlan tests for an 802.1Q tag in the packet's bytes, or, of a live packet, in
// what the kernel has taken out of them. What follows looks behind the tag.
func (lw *lowerer) vlan(t *TestEncap, l layer, ls layers) (test, layers) {
	switch {
	case l.labels > 0:
		return lw.refuse("there are no VLAN tags inside MPLS"), ls
	case !l.link.mac:
		return lw.refuse("%s packets have no VLAN tags", l.link), ls
	case lw.opts.Live && ls.below == nil && l.tags == 0:
		return lw.liveVLAN(t, l, ls)
	}
	found := lw.vlanType(l)
	if t.HasID {
		found = all(found, lw.masked(l.networkHeader(), 0, 2, 0xfff, t.ID))
	}
	l.typ, l.payload = l.typ.add(4), l.payload.add(4)
	l.tags++
	return found, ls.replace(l)
}

func (lw *lowerer) vlanType(l layer) test {
	return anyOf(lw.linkType(l, etherVLAN), lw.linkType(l, etherQinQ), lw.linkType(l, etherOldQ))
}

// liveVLAN tests the outermost tag of a live packet. The kernel hands it over
// beside the packet, or it is still in the bytes; which of the two is known at
// run time, and decides where the headers behind it are. As in libpcap they are
// taken to be behind a tag in the bytes also where there is no tag at all.
func (lw *lowerer) liveVLAN(t *TestEncap, l layer, ls layers) (test, layers) {
	beside := lw.metaEqual(ir.VLANPresent, 1)
	inBytes := lw.vlanType(l)
	if t.HasID {
		inBytes = all(inBytes, lw.masked(l.networkHeader(), 0, 2, 0xfff, t.ID))
	}
	skip := lw.newSlot()
	found := func(in edges) (yes, no edges) {
		yes, in = beside(in)
		if t.HasID {
			yes, no = lw.vlanTag(t.ID)(yes)
		}
		in = lw.assign(in, skip, lw.const32(4))
		more, none := inBytes(in)
		return chain(yes, more), chain(no, none)
	}
	l.typ.slot, l.payload.slot = skip, skip
	l.tags++
	return found, ls.replace(l)
}

// vlanTag compares the id in the tag that the kernel hands over.
func (lw *lowerer) vlanTag(id uint32) test {
	return func(in edges) (yes, no edges) {
		v := lw.f.Binary(ir.And, lw.f.Meta(ir.VLANTag, lw.origin), lw.const32(0xfff), lw.origin)
		return lw.site(in).branch(ir.Eq, v, lw.const32(id))
	}
}

// mpls tests for an MPLS label, the first by the link type, a further one by
// the label before it not being the last.
func (lw *lowerer) mpls(t *TestEncap, l layer, ls layers) (test, layers) {
	var found test
	switch {
	case l.labels > 0:
		found = lw.masked(l.networkHeader(), ^uint32(1), 1, 0x01, 0) // offset -2
	case l.link.mpls == 0:
		return lw.refuse("%s packets have no MPLS labels", l.link), ls
	default:
		found = lw.linkType(l, l.link.mpls)
	}
	if t.HasID {
		found = all(found, lw.masked(l.networkHeader(), 0, 4, 0xfffff000, t.ID<<12))
	}
	l.network += 4
	l.llc += 4
	l.labels++
	return found, ls.replace(l)
}

// pppoes tests for a PPPoE session; what follows looks at the PPP packet in it,
// which has no framing, only the type.
func (lw *lowerer) pppoes(t *TestEncap, l layer, ls layers) (test, layers) {
	found := lw.linkType(l, etherPPPoES)
	if t.HasID {
		found = all(found, lw.masked(l.networkHeader(), 0, 4, 0xffff, t.ID))
	}
	ppp := l.networkHeader().add(6)
	return found, ls.push(layer{
		link:    linkLayerOf(cbpf.LinkPPP),
		header:  ppp,
		typ:     ppp,
		payload: ppp.add(2),
		tags:    l.tags,
		labels:  l.labels,
	})
}

// geneve tests for Geneve over UDP; what follows looks at the packet in it.
// Its header has options, and behind it comes an Ethernet frame or a bare
// network packet, so that the offsets of the inner headers are computed when
// the filter runs.
func (lw *lowerer) geneve(t *TestEncap, l layer, ls layers) (test, layers) {
	g := geneveOffsets{header: lw.newSlot(), typ: lw.newSlot(), payload: lw.newSlot()}
	over4, over6 := lw.geneveOver(t, l, etherIP, 9), lw.geneveOver(t, l, etherIP6, 6)
	found := func(in edges) (yes, no edges) {
		yes4, in := over4(in)
		s := lw.site(yes4)
		length := s.ipv4Length(l)
		yes4 = lw.assign(s.in, g.header, length)

		yes6, no := over6(in)
		s = lw.site(yes6)
		length = lw.const32(40)
		if base := s.base(l.payload); base != nil {
			length = lw.f.Binary(ir.Add, length, base, lw.origin)
		}
		yes6 = lw.assign(s.in, g.header, length)
		yes = lw.geneveInner(g, l, chain(yes4, yes6))
		lw.forget(g.header - 1)
		return yes, no
	}
	return found, ls.push(layer{
		link:    linkLayerOf(cbpf.LinkEthernet),
		header:  offset{slot: g.header},
		typ:     offset{slot: g.typ},
		payload: offset{slot: g.payload},
		llc:     l.llc,
		tags:    l.tags,
		labels:  l.labels,
		geneve:  true,
	})
}

// geneveOffsets are the run-time offsets of the inner link header, type field
// and payload. On the way there, header holds the length of the IP header.
type geneveOffsets struct{ header, typ, payload slot }

const genevePort = 6081

// geneveOver tests for Geneve over one version of IP: the port, the version 0
// and the network identifier.
func (lw *lowerer) geneveOver(t *TestEncap, l layer, protocol, next uint32) test {
	transport, parts := transport6(l), []test{lw.linkType(l, protocol), lw.equal(l.networkHeader(), next, 1, ipProtoUDP)}
	if protocol == etherIP {
		transport = transport4(l)
		parts = append(parts, lw.notLaterFragment(l))
	}
	parts = append(parts,
		lw.compare(field{transport, 2, 2, allBits}, ir.Eq, genevePort),
		lw.compare(field{transport, 8, 1, 0xc0}, ir.Eq, 0))
	if t.HasID {
		parts = append(parts, lw.compare(field{transport, 12, 4, 0xffffff00}, ir.Eq, t.ID<<8))
	}
	return all(parts...)
}

// geneveInner computes the offsets of the inner headers. If there is no inner
// link header, its place and that of the payload are the same, which is how
// ifEthernet knows, and the type is the one in the Geneve header.
func (lw *lowerer) geneveInner(g geneveOffsets, l layer, in edges) edges {
	s := lw.site(in)
	add := func(v *ir.Value, k uint32) *ir.Value { return lw.f.Binary(ir.Add, v, lw.const32(k), lw.origin) }
	start := add(lw.value(s.env, g.header), l.networkHeader().k+8) // 8 for UDP
	options := lw.f.Binary(ir.And, s.loadAt(start, 0, 1), lw.const32(0x3f), lw.origin)
	options = lw.f.Binary(ir.Mul, options, lw.const32(4), lw.origin)
	end := lw.f.Binary(ir.Add, add(options, 8), start, lw.origin)

	frame, bare := s.branch(ir.Eq, s.loadAt(start, 2, 2), lw.const32(etherTEB))
	frame = lw.assign(frame, g.typ, add(end, 12))
	frame = lw.assign(frame, g.payload, add(end, 14))
	bare = lw.assign(bare, g.typ, add(start, 2))
	bare = lw.assign(bare, g.payload, end)
	return lw.assign(chain(frame, bare), g.header, end)
}

// ifEthernet keeps a test of the link header from looking at packets that came
// in Geneve without one.
func (lw *lowerer) ifEthernet(l layer, t test) test {
	if !l.geneve {
		return t
	}
	has := func(in edges) (yes, no edges) {
		s := lw.site(in)
		no, yes = s.branch(ir.Eq, s.base(l.header), s.base(l.payload))
		return yes, no
	}
	return all(has, t)
}
