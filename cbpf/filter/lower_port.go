package filter

import "github.com/bpflab/bpflab/cbpf/filter/ir"

// ports holds for packets of a transport protocol with a port in a range, over
// IPv6 or IPv4. Over IPv6 only a transport header right behind the fixed
// header is seen, as in libpcap: no extension headers, and so no fragments.
func (lw *lowerer) ports(t *TestPort, l layer) test {
	in6 := func(k uint32) test { return lw.inRange(t, transport6(l), k) }
	in4 := func(k uint32) test { return lw.inRange(t, transport4(l), k) }
	return anyOf(
		all(
			lw.by(t.Proto, lw.linkType(l, etherIP6)),
			lw.by(t.Proto, lw.ipProtocol(t, l.networkHeader(), 6)),
			lw.by(t.Rest, lw.bothWays(t.Dir, in6(0), in6(2)))),
		all(
			lw.by(t.Proto, lw.linkType(l, etherIP)),
			lw.by(t.Proto, lw.ipProtocol(t, l.networkHeader(), 9)),
			lw.by(t.Rest, all(
				lw.notLaterFragment(l),
				lw.bothWays(t.Dir, in4(0), in4(2))))))
}

// ipProtocol holds if the protocol number in an IP header is one of the test's.
// libpcap repeats all that follows for each of them.
func (lw *lowerer) ipProtocol(t *TestPort, network offset, k uint32) test {
	parts := make([]test, len(t.IPProtos))
	for i, p := range t.IPProtos {
		parts[i] = lw.equal(network, k, 1, uint32(p))
	}
	return anyOf(parts...)
}

// notLaterFragment holds for IPv4 packets with the start of the transport
// header: whole ones and first fragments.
func (lw *lowerer) notLaterFragment(l layer) test {
	return not(lw.anyBit(l.networkHeader(), 6, 2, 0x1fff))
}

// inRange compares the 16-bit port k bytes into the transport header.
func (lw *lowerer) inRange(t *TestPort, transport loader, k uint32) test {
	port := field{transport, k, 2, allBits}
	if t.Lo == t.Hi {
		return lw.compare(port, ir.Eq, uint32(t.Lo))
	}
	return all(
		lw.compare(port, ir.Ge, uint32(t.Lo)),
		not(lw.compare(port, ir.Gt, uint32(t.Hi))))
}

// transport6 reads the header behind the fixed IPv6 header.
func transport6(l layer) loader {
	return func(s *site, k uint32, size uint8) *ir.Value {
		return s.load(l.networkHeader(), 40+k, size)
	}
}

// transport4 reads the header behind the IPv4 header, whose length is in it.
func transport4(l layer) loader {
	return func(s *site, k uint32, size uint8) *ir.Value {
		return s.loadAt(s.ipv4Length(l), l.networkHeader().k+k, size)
	}
}

// ipv4Length is the length of the IPv4 header, plus the run-time part of the
// place where it starts.
func (s *site) ipv4Length(l layer) *ir.Value {
	f, o := s.lw.f, s.lw.origin
	words := f.Binary(ir.And, s.load(l.networkHeader(), 0, 1), s.lw.const32(0xf), o)
	length := f.Binary(ir.Shl, words, s.lw.const32(2), o)
	if base := s.base(l.payload); base != nil {
		return f.Binary(ir.Add, length, base, o)
	}
	return length
}
