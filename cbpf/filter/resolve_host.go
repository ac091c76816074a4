package filter

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// host resolves "[proto] [dir] [host] id".
func (r resolution) host(p *Primitive) (Test, error) {
	switch link := p.Quals.Proto == ProtoLink; {
	case p.ID.Kind == IDMAC8 && link:
		return nil, notYet(p.ID.At, p, "ARCnet addresses")
	case p.ID.Kind == IDMAC && link:
		return linkAddrTest(p, parseMAC(p.ID.Text))
	case p.ID.Kind == IDMAC, p.ID.Kind == IDMAC8:
		return nil, macNeedsEther(p)
	case p.ID.Kind == IDName && link:
		addr, err := r.names.EtherHost(p.ID.Text)
		if err != nil {
			return nil, unknown(p, err)
		}
		return linkAddrTest(p, addr)
	case p.ID.Kind == IDName:
		return r.hostName(p)
	}
	return r.address(p)
}

func macNeedsEther(p *Primitive) error {
	e := errorAt(p.ID.At, "a MAC address needs \"ether host\", \"ether src\" or \"ether dst\" before it")
	if p.ID.Kind == IDMAC {
		e.Hint = write("ether host %s", p.ID)
	}
	return e
}

// linkAddrTest makes the test of a MAC address.
func linkAddrTest(p *Primitive, addr [6]byte) (Test, error) {
	if p.Quals.Dir > DirAnd {
		return nil, notYet(p.Quals.DirAt, p, "802.11 address fields (%q)", p.Quals.Dir)
	}
	return &TestLinkAddr{At: At(p.At), Dir: p.Quals.Dir, Addr: addr}, nil
}

// hostName resolves the name of a host. Addresses of a family that the
// protocol excludes do not count.
func (r resolution) hostName(p *Primitive) (Test, error) {
	addrs, err := r.hostAddrs(p.ID.Text)
	if err != nil {
		return nil, unknown(p, err)
	}
	var v4, v6 []Net
	for _, a := range addrs {
		switch {
		case a.Is4() && p.Quals.Proto != ProtoIP6:
			v4 = append(v4, net4(binary.BigEndian.Uint32(a.AsSlice()), 32))
		case !a.Is4() && p.Quals.Proto != ProtoIP:
			v6 = append(v6, net6(a, 128))
		}
	}
	if len(v4)+len(v6) == 0 {
		return nil, errorAt(p.ID.At, "host %q has no address that suits %q", excerptOf(p.ID.Text), p.Quals.Proto)
	}
	return netTest(p, append(v4, v6...)...)
}

// hostAddrs looks a host up. An address is its own name, as in "host \::1".
func (r resolution) hostAddrs(name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil && a.Zone() == "" {
		return []netip.Addr{a}, nil
	}
	addrs, err := r.names.Host(name)
	addrs = slices.Clone(addrs) // the resolver's own, which others may be reading
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs, err
}

// net resolves "[proto] [dir] net id".
func (r resolution) net(p *Primitive) (Test, error) {
	switch p.ID.Kind {
	case IDMAC, IDMAC8:
		return nil, macNeedsEther(p)
	case IDName:
		n, err := r.names.Network(p.ID.Text)
		if err != nil {
			return nil, unknown(p, err)
		}
		if n == 0 {
			return nil, errorAt(p.ID.At, "network %q is 0.0.0.0, which libpcap takes for unknown", excerptOf(p.ID.Text))
		}
		return netTest(p, promote(n))
	case IDNumber:
		return netTest(p, promote(p.ID.Number))
	}
	return r.address(p)
}

// promote makes a network of a number: leading zero bytes are dropped and not
// part of the mask, so 10 and 0x0a0000 are 10.0.0.0/8 and 10.0.0.0/24. Networks
// that have names come with zero bytes at the end, and so are /32.
func promote(n uint32) Net {
	mask := ^uint32(0)
	for n != 0 && n>>24 == 0 {
		n <<= 8
		mask <<= 8
	}
	return Net{Addr: [4]uint32{n}, Mask: [4]uint32{mask}}
}

// address resolves an IP address after "host" or "net".
func (r resolution) address(p *Primitive) (Test, error) {
	id, isNet := p.ID, p.Quals.Type == TypeNet
	switch id.Kind {
	case IDNumber:
		return netTest(p, net4(id.Number, 32))
	case IDIPv6, IDIPv6Len:
		bits := uint32(128)
		if id.Kind == IDIPv6Len {
			bits = id.Number
		}
		return address6(p, bits, isNet)
	}
	n, bits, err := parseIPv4(id.Text)
	if err != nil {
		return nil, errorAt(id.At, "%q is not an IPv4 address", excerptOf(id.Text))
	}
	n <<= 32 - bits
	if id.Kind == IDIPv4 {
		return netTest(p, net4(n, bits))
	}
	mask, err := mask4(id)
	switch {
	case err != nil:
		return nil, err
	case n&^mask != 0:
		return nil, hostBits(p, netip.PrefixFrom(addr4(n), int(id.Number)), id.Kind == IDIPv4Len)
	case !isNet:
		return nil, onlyNet(p)
	}
	return netTest(p, Net{Addr: [4]uint32{n}, Mask: [4]uint32{mask}})
}

// onlyNet refuses a mask after anything but "net".
func onlyNet(p *Primitive) error {
	e := errorAt(p.ID.At, "a mask or a prefix length needs \"net\" before the address")
	e.Hint = write("net %s", p.ID)
	return e
}

// hostBits refuses an address with bits that its mask excludes.
func hostBits(p *Primitive, prefix netip.Prefix, haveLen bool) error {
	e := errorAt(p.ID.At, "the address has bits outside its mask")
	if haveLen {
		e.Hint = write("net %v", prefix.Masked())
	}
	return e
}

// mask4 returns the mask that an IPv4 id comes with.
func mask4(id ID) (uint32, error) {
	if id.Kind == IDIPv4Len {
		if id.Number > 32 {
			return 0, errorAt(id.At, "prefix length %d is greater than 32", id.Number)
		}
		return ^uint32(0) << (32 - id.Number), nil
	}
	mask, bits, err := parseIPv4(id.Mask)
	if err != nil {
		return 0, errorAt(id.At, "mask %q is not an IPv4 address", excerptOf(id.Mask))
	}
	return mask << (32 - bits), nil
}

// address6 resolves an IPv6 address with a prefix length.
func address6(p *Primitive, bits uint32, isNet bool) (Test, error) {
	addr, err := netip.ParseAddr(p.ID.Text)
	switch {
	case err != nil:
		return nil, errorAt(p.ID.At, "%q is not an IPv6 address", excerptOf(p.ID.Text))
	case bits > 128:
		return nil, errorAt(p.ID.At, "prefix length %d is greater than 128", bits)
	}
	prefix := netip.PrefixFrom(addr, int(bits))
	switch {
	case prefix.Masked().Addr() != addr:
		return nil, hostBits(p, prefix, true)
	case !isNet && bits != 128:
		return nil, onlyNet(p)
	}
	return netTest(p, net6(addr, int(bits)))
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

func addr6(words [4]uint32) netip.Addr {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return netip.AddrFrom16([16]byte(b))
}

// net4 returns an IPv4 address with a mask of the first bits.
func net4(addr uint32, bits int) Net {
	return Net{Addr: [4]uint32{addr}, Mask: [4]uint32{^uint32(0) << (32 - bits)}}
}

// net6 returns an IPv6 address with a mask of the first bits.
func net6(addr netip.Addr, bits int) Net {
	n := Net{IPv6: true}
	bytes := addr.As16()
	for i := range n.Addr {
		n.Addr[i] = binary.BigEndian.Uint32(bytes[4*i:])
		n.Mask[i] = ^uint32(0) << max(0, min(32, 32*(i+1)-bits))
	}
	return n
}

// netTest makes the test of IP addresses.
func netTest(p *Primitive, nets ...Net) (Test, error) {
	if p.Quals.Dir > DirAnd {
		return nil, errorAt(orID(p.Quals.DirAt, p), "%q is only for the MAC addresses of 802.11", p.Quals.Dir)
	}
	for _, n := range nets {
		switch proto := p.Quals.Proto; {
		case proto == ProtoNone:
		case n.IPv6 && proto != ProtoIP6:
			return nil, badProto(p, "an IPv6 address")
		case !n.IPv6 && proto != ProtoIP && proto != ProtoARP && proto != ProtoRARP:
			return nil, badProto(p, "an IPv4 address")
		}
	}
	return &TestNet{At: At(p.At), Parts: partsOf(p), Proto: p.Quals.Proto, Dir: p.Quals.Dir, Nets: nets}, nil
}
