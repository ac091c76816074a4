package filter

// What follows a link header. Protocols are named by EtherType, or, up to
// etherMTU, by 802.2 service access point, on every link type; each link type
// has its own way of saying them.

const etherMTU = 1500 // an EtherType field up to this is a length, as in IEEE 802.3

// The EtherTypes and 802.2 SAPs that are treated specially or have a word in
// the language.
const (
	etherIP     = 0x0800
	etherARP    = 0x0806
	etherMOPDL  = 0x6001
	etherMOPRC  = 0x6002
	etherDECnet = 0x6003
	etherLAT    = 0x6004
	etherSCA    = 0x6007
	etherTEB    = 0x6558 // transparent Ethernet bridging
	etherRARP   = 0x8035
	etherATalk  = 0x809b
	etherAARP   = 0x80f3
	etherVLAN   = 0x8100
	etherIPX    = 0x8137
	etherIP6    = 0x86dd
	etherMPLS   = 0x8847
	etherPPPoED = 0x8863
	etherPPPoES = 0x8864
	etherQinQ   = 0x88a8 // IEEE 802.1ad
	etherOldQ   = 0x9100 // stacked tags before 802.1ad

	sapIP      = 0x06
	sapSTP     = 0x42
	sapIPX     = 0xe0
	sapNetBEUI = 0xf0
	sapISO     = 0xfe

	pppMPLS = 0x0281
)

// linkType holds if the payload of the layer is of a protocol.
func (lw *lowerer) linkType(l layer, protocol uint32) test {
	if l.labels > 0 {
		return lw.mplsType(l, protocol)
	}
	return l.link.linkType(lw, l, protocol)
}

// mplsType tells IP versions apart behind the last label of an MPLS stack:
// the label before the payload has its bottom-of-stack bit, and the first
// nibble is the version. There is no other word about the payload.
func (lw *lowerer) mplsType(l layer, protocol uint32) test {
	version := uint32(0x40)
	switch protocol {
	case etherIP:
	case etherIP6:
		version = 0x60
	default:
		return lw.refuse("only IPv4 and IPv6 can be told apart inside MPLS")
	}
	net := l.networkHeader()
	return all(
		lw.masked(net, ^uint32(1), 1, 0x01, 0x01), // offset -2
		lw.masked(net, 0, 1, 0xf0, version))
}

// etherType is the type test of Ethernet, where a type field up to etherMTU
// announces an 802.2 header.
func etherType(lw *lowerer, l layer, protocol uint32) test {
	length := not(lw.above(l.typ, 0, 2, etherMTU))
	exactly := lw.equal(l.typ, 0, 2, protocol)
	switch {
	case protocol == sapISO || protocol == sapIP || protocol == sapNetBEUI:
		return all(length, lw.equal(l.payload, 0, 2, protocol<<8|protocol))
	case protocol == sapIPX:
		// The four ways in which IPX goes over Ethernet; 0xffff is the start
		// of a packet without 802.2 header.
		return anyOf(
			lw.equal(l.typ, 0, 2, etherIPX),
			all(length, anyOf(
				lw.snap(l, 0, etherIPX),
				lw.equal(l.payload, 0, 1, sapIPX),
				lw.equal(l.payload, 0, 2, 0xffff))))
	case protocol == etherATalk:
		return anyOf(exactly, all(length, lw.snap(l, appleOUI, etherATalk)))
	case protocol == etherAARP:
		return anyOf(exactly, all(length, lw.snap(l, 0, etherAARP)))
	case protocol <= etherMTU:
		return all(length, lw.equal(l.typ, 2, 1, protocol))
	}
	return exactly
}

// sllType is the type test of Linux cooked captures v1: an EtherType, or a
// number of Linux's own for frames with an 802.2 header and for bare 802.3.
func sllType(lw *lowerer, l layer, protocol uint32) test {
	const linux8023, linux8022 = 1, 4
	llc := lw.equal(l.typ, 0, 2, linux8022)
	exactly := lw.equal(l.typ, 0, 2, protocol)
	switch {
	case protocol == sapISO || protocol == sapIP || protocol == sapNetBEUI:
		return all(llc, lw.equal(l.payload, 0, 2, protocol<<8|protocol))
	case protocol == sapIPX:
		return anyOf(
			lw.equal(l.typ, 0, 2, etherIPX),
			lw.equal(l.typ, 0, 2, linux8023),
			all(llc, anyOf(
				lw.equal(l.payload, 0, 1, sapIPX),
				lw.snap(l, 0, etherIPX))))
	case protocol == etherATalk:
		return anyOf(exactly, all(llc, lw.snap(l, appleOUI, etherATalk)))
	case protocol == etherAARP:
		return anyOf(exactly, all(llc, lw.snap(l, 0, etherAARP)))
	case protocol <= etherMTU:
		return all(llc, lw.equal(l.header, l.payload.k, 1, protocol))
	}
	return exactly
}

const appleOUI = 0x080007

// snap compares a whole 802.2 header with SNAP: organization and protocol.
func (lw *lowerer) snap(l layer, oui, protocol uint32) test {
	return lw.bytes(l.payload, 0, []byte{0xaa, 0xaa, 0x03,
		byte(oui >> 16), byte(oui >> 8), byte(oui), byte(protocol >> 8), byte(protocol)})
}

// plainType compares the type field with the number, whatever it is. That is
// all that libpcap does for Linux cooked captures v2, although they can carry
// 802.2 headers as v1 does.
func plainType(lw *lowerer, l layer, protocol uint32) test {
	return lw.equal(l.typ, 0, 2, protocol)
}

// pppNumbers are the protocols that have a number of PPP's own.
var pppNumbers = map[uint32]uint32{
	etherIP:     0x0021,
	sapISO:      0x0023,
	0x0600:      0x0025, // XNS
	etherDECnet: 0x0027,
	etherATalk:  0x0029,
	sapIPX:      0x002b,
	sapSTP:      0x0031, // bridging PDU
	etherIP6:    0x0057,
}

// pppType compares the PPP type field. libpcap looks for other protocols under
// their EtherType, which no PPP packet has there.
func pppType(lw *lowerer, l layer, protocol uint32) test {
	if n, ok := pppNumbers[protocol]; ok {
		protocol = n
	}
	return lw.equal(l.typ, 0, 2, protocol)
}

// versionType tells raw IP packets apart by the version nibble.
func versionType(lw *lowerer, l layer, protocol uint32) test {
	switch protocol {
	case etherIP:
		return lw.masked(l.header, 0, 1, 0xf0, 0x40)
	case etherIP6:
		return lw.masked(l.header, 0, 1, 0xf0, 0x60)
	}
	return never
}

// onlyType is the type test of a link type that carries one protocol.
func onlyType(carried uint32) func(*lowerer, layer, uint32) test {
	return func(_ *lowerer, _ layer, protocol uint32) test {
		if protocol == carried {
			return always
		}
		return never
	}
}

// The address families of a BSD loopback header. IPv4 has the same number
// everywhere; IPv6 has that of the system that wrote the capture, so all are
// looked for, as libpcap does for files. A live capture has this system's.
const (
	afINET       = 2
	afINET6Linux = 10
)

var afINET6Files = []uint32{30, 24, 28} // Darwin; NetBSD, OpenBSD and Npcap; FreeBSD

// nullType tests an address family in the byte order of the host that wrote
// it.
func nullType(lw *lowerer, l layer, protocol uint32) test {
	if lw.opts.BigEndian {
		return loopType(lw, l, protocol)
	}
	return lw.addressFamily(l, protocol, func(af uint32) uint32 { return af << 24 })
}

// loopType tests an address family in network byte order.
func loopType(lw *lowerer, l layer, protocol uint32) test {
	return lw.addressFamily(l, protocol, func(af uint32) uint32 { return af })
}

func (lw *lowerer) addressFamily(l layer, protocol uint32, order func(uint32) uint32) test {
	var families []uint32
	switch {
	case protocol == etherIP:
		families = []uint32{afINET}
	case protocol == etherIP6 && lw.opts.Live:
		families = []uint32{afINET6Linux}
	case protocol == etherIP6:
		families = afINET6Files
	}
	var parts []test
	for _, af := range families {
		parts = append(parts, lw.equal(l.header, 0, 4, order(af)))
	}
	return anyOf(parts...)
}
