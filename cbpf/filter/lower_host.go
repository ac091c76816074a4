package filter

// Addresses of the network layer and of the link layer.

// nets holds if an address is in one of the networks. A host is a network with
// a full mask; a name can stand for several.
func (lw *lowerer) nets(t *TestNet, l layer) test {
	parts := make([]test, len(t.Nets))
	for i := range t.Nets {
		parts[i] = lw.net(t, &t.Nets[i], l)
	}
	return anyOf(parts...)
}

// net compares the address fields of the protocols that carry such an
// address: IPv6, or IPv4 and the two that ask for its addresses.
func (lw *lowerer) net(t *TestNet, n *Net, l layer) test {
	switch {
	case n.IPv6:
		return lw.addresses(t, n, l, etherIP6, 8, 24)
	case t.Proto == ProtoIP:
		return lw.addresses(t, n, l, etherIP, 12, 16)
	case t.Proto == ProtoARP:
		return lw.addresses(t, n, l, etherARP, 14, 24)
	case t.Proto == ProtoRARP:
		return lw.addresses(t, n, l, etherRARP, 14, 24)
	case t.Proto != ProtoNone:
		return lw.refuse("not supported yet: addresses of this protocol")
	case l.labels > 0:
		return lw.addresses(t, n, l, etherIP, 12, 16)
	}
	return anyOf(
		lw.addresses(t, n, l, etherIP, 12, 16),
		lw.addresses(t, n, l, etherARP, 14, 24),
		lw.addresses(t, n, l, etherRARP, 14, 24))
}

// addresses tests one protocol's source and destination, which lie at fixed
// places of the network header. libpcap tests the protocol once for each; once
// for both is the same, because the packet does not change in between.
func (lw *lowerer) addresses(t *TestNet, n *Net, l layer, protocol, src, dst uint32) test {
	words := 1
	if n.IPv6 {
		words = 4
	}
	address := func(at uint32) test {
		parts := make([]test, words)
		for i := range parts {
			// A word without a mask bit is loaded all the same: the packet
			// has to have it.
			parts[i] = lw.masked(l.networkHeader(), at+uint32(4*i), 4, n.Mask[i], n.Addr[i])
		}
		return all(parts...)
	}
	return all(
		lw.by(t.Parts.Proto, lw.linkType(l, protocol)),
		lw.by(t.Rest, lw.bothWays(t.Dir, address(src), address(dst))))
}

// bothWays combines the tests of a source and a destination as the direction
// qualifier asks.
func (lw *lowerer) bothWays(dir Dir, src, dst test) test {
	switch dir {
	case DirSrc:
		return src
	case DirDst:
		return dst
	case DirAnd:
		return all(src, dst)
	case DirNone, DirOr:
		return anyOf(src, dst)
	}
	return lw.refuse("the address fields of 802.11 headers are not in %s packets", lw.opts.LinkType.Description())
}

// linkAddr holds if a MAC-48 address is the packet's. Only link headers that
// begin with destination and source can be asked.
func (lw *lowerer) linkAddr(dir Dir, addr [6]byte, l layer) test {
	if !l.link.mac {
		return lw.refuse("%s packets have no Ethernet addresses", l.link)
	}
	return lw.ifEthernet(l, lw.bothWays(dir,
		lw.bytes(l.header, 6, addr[:]),
		lw.bytes(l.header, 0, addr[:])))
}
