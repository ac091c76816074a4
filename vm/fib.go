package vm

import (
	"encoding/binary"
	"net/netip"
)

// A Network is what fib_lookup and check_mtu know: a router's interfaces, routes
// and neighbours. The zero Network has no interfaces, so that every lookup
// returns -ENODEV.
type Network struct {
	Interfaces []Interface
	Routes     []Route
	Neighbours []Neighbour
}

// An Interface is one network device.
type Interface struct {
	Index   uint32
	MTU     uint32  // 0 stands for 1500
	Address [6]byte // Ethernet address
	// NoForward says that forwarding is off on the interface: lookups from it
	// return BPF_FIB_LKUP_RET_FWD_DISABLED.
	NoForward bool
}

// A Route is where packets to addresses with a prefix go. Of several the one
// with the longest prefix counts, of those the one with the lowest metric.
type Route struct {
	Prefix    netip.Prefix
	Interface uint32     // index
	Gateway   netip.Addr // of either family; the zero Addr for a neighbour's own address
	Source    netip.Addr // preferred source address, if any
	Metric    uint32
	Type      RouteType
}

// A RouteType says what becomes of packets to a route.
type RouteType uint8

const (
	Unicast     RouteType = iota // they are forwarded
	Local                        // they are for this host
	Blackhole                    // they are dropped
	Unreachable                  // they are refused
	Prohibit                     // they are refused by the administrator
)

// A Neighbour is a host on the link of an interface.
type Neighbour struct {
	Interface uint32
	IP        netip.Addr
	Address   [6]byte
}

// struct bpf_fib_lookup.
const (
	fibFamily  = 0  // u8
	fibTotLen  = 6  // u16; the MTU on return
	fibIfIndex = 8  // u32
	fibMetric  = 12 // u32, on return; tos or flowinfo
	fibSource  = 16 // 4 or 16 bytes
	fibDest    = 32 // 4 or 16 bytes; the gateway on return
	fibVLAN    = 48 // u16 proto and u16 tci, on return; table id
	fibSMAC    = 52 // 6 bytes, on return; mark
	fibDMAC    = 58 // 6 bytes, on return
	fibLen     = 64
)

// Flags of fib_lookup.
const (
	fibDirect    = 1 << iota // without policy rules, of which there are none
	fibOutput                // for a packet that leaves by the interface
	fibSkipNeigh             // without the neighbour
	fibTable                 // in a routing table by number
	fibSetSource             // tell the source address, too
	fibMark                  // with the mark, which only policy rules look at

	fibFlags = fibDirect | fibOutput | fibSkipNeigh | fibTable | fibSetSource | fibMark
)

// What fib_lookup returns beside 0 and errors.
const (
	fibBlackhole = iota + 1
	fibUnreachable
	fibProhibit
	fibNotForwarded
	fibForwardDisabled
	fibUnsupported
	fibNoNeighbour
	fibFragNeeded
	fibNoSource
)

const (
	familyIPv4 = 2
	familyIPv6 = 10
	mainTable  = 254
)

// fibLookup is bpf_fib_lookup: it finds where a packet with the addresses in a
// struct bpf_fib_lookup goes, and fills in interface, addresses and MTU.
func fibLookup(m *Machine, a *[5]uint64) uint64 {
	flags := uint32(a[3])
	if int32(a[2]) < fibLen || flags&^fibFlags != 0 {
		return eINVAL.negative()
	}
	p := m.bytes(a[1], fibLen)
	var dst netip.Addr
	switch p[fibFamily] {
	case familyIPv4:
		dst = netip.AddrFrom4([4]byte(p[fibDest:]))
	case familyIPv6:
		dst = netip.AddrFrom16([16]byte(p[fibDest:]))
		if needsLink(dst) || needsLink(netip.AddrFrom16([16]byte(p[fibSource:]))) {
			return fibNotForwarded
		}
	default:
		return eAFNOSUPPORT.negative()
	}
	return m.lookupRoute(p, dst, flags)
}

// needsLink reports whether an IPv6 address has a meaning on its link only
// (rt6_need_strict).
func needsLink(a netip.Addr) bool {
	return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsLoopback()
}

func (m *Machine) lookupRoute(p []byte, dst netip.Addr, flags uint32) uint64 {
	n := &m.o.Network
	in := n.iface(binary.LittleEndian.Uint32(p[fibIfIndex:]))
	switch {
	case in == nil:
		return eNODEV.negative()
	case in.NoForward:
		return fibForwardDisabled
	}
	if flags&(fibDirect|fibTable) == fibDirect|fibTable {
		table := binary.LittleEndian.Uint32(p[fibVLAN:])
		binary.LittleEndian.PutUint32(p[fibVLAN:], 0)
		if table != mainTable {
			return fibNotForwarded
		}
	}
	r := n.route(dst, in.Index, flags)
	switch {
	case r == nil || r.Type == Local:
		return fibNotForwarded
	case r.Type != Unicast:
		return uint64(r.Type-Blackhole) + fibBlackhole
	}
	out := n.iface(r.Interface)
	if out == nil {
		return fibNotForwarded
	}
	mtu, total := out.mtu(), uint32(binary.LittleEndian.Uint16(p[fibTotLen:]))
	if total > mtu {
		binary.LittleEndian.PutUint16(p[fibTotLen:], uint16(mtu))
		return fibFragNeeded
	}
	return m.fillRoute(p, dst, r, out, flags)
}

// fillRoute tells the program about the route that was found.
func (m *Machine) fillRoute(p []byte, dst netip.Addr, r *Route, out *Interface, flags uint32) uint64 {
	total := binary.LittleEndian.Uint16(p[fibTotLen:])
	binary.LittleEndian.PutUint32(p[fibMetric:], r.Metric)
	binary.LittleEndian.PutUint32(p[fibIfIndex:], out.Index)
	if flags&fibSetSource != 0 {
		if !r.Source.IsValid() {
			return fibNoSource
		}
		copy(p[fibSource:], r.Source.AsSlice())
	}
	if r.Gateway.IsValid() {
		dst = r.Gateway
		copy(p[fibDest:], dst.AsSlice())
		if dst.Is6() {
			p[fibFamily] = familyIPv6
		}
	}
	if flags&fibSkipNeigh == 0 {
		to := m.o.Network.neighbour(out.Index, dst)
		if to == nil {
			return fibNoNeighbour
		}
		copy(p[fibDMAC:], to.Address[:])
		copy(p[fibSMAC:], out.Address[:])
	}
	binary.LittleEndian.PutUint32(p[fibVLAN:], 0)
	mtu := out.mtu()
	if m.skb && total == 0 {
		binary.LittleEndian.PutUint16(p[fibTotLen:], uint16(mtu))
		if m.wire > mtu+etherLen+vlanLen {
			return fibFragNeeded
		}
		return 0
	}
	binary.LittleEndian.PutUint16(p[fibTotLen:], uint16(mtu))
	return 0
}

func (i *Interface) mtu() uint32 {
	if i.MTU == 0 {
		return 1500
	}
	return i.MTU
}

func (n *Network) iface(index uint32) *Interface {
	for i := range n.Interfaces {
		if n.Interfaces[i].Index == index {
			return &n.Interfaces[i]
		}
	}
	return nil
}

// route finds the best route to an address. With fibOutput one for IPv4 must
// leave by an interface, or not leave at all (the kernel's lookup for IPv6 does
// not insist on it). With fibDirect it is looked for in the main table only,
// which for IPv6 does not have this host's own addresses; for IPv4 the two
// tables are one as long as there are no policy rules.
func (n *Network) route(dst netip.Addr, by uint32, flags uint32) *Route {
	var best *Route
	for i := range n.Routes {
		r := &n.Routes[i]
		leaves := r.Type == Unicast || r.Type == Local
		switch {
		case !r.Prefix.Contains(dst),
			flags&fibOutput != 0 && dst.Is4() && leaves && r.Interface != by,
			flags&fibDirect != 0 && dst.Is6() && r.Type == Local:
			continue
		}
		if best == nil || r.Prefix.Bits() > best.Prefix.Bits() || r.Prefix.Bits() == best.Prefix.Bits() && r.Metric < best.Metric {
			best = r
		}
	}
	return best
}

func (n *Network) neighbour(by uint32, ip netip.Addr) *Neighbour {
	for i := range n.Neighbours {
		if n.Neighbours[i].Interface == by && n.Neighbours[i].IP == ip {
			return &n.Neighbours[i]
		}
	}
	return nil
}

// checkMTU is bpf_check_mtu: whether a packet, or the length given, would fit
// an interface after growing by some bytes.
func checkMTU(m *Machine, a *[5]uint64) uint64 {
	index, word, diff, flags := uint32(a[1]), m.bytes(a[2], 4), int64(int32(a[3])), a[4]
	given := binary.LittleEndian.Uint32(word)
	const segments = 1
	switch {
	case flags != 0 && (!m.skb || flags != segments), flags == segments && (diff != 0 || given != 0):
		return eINVAL.negative()
	case index == 0:
		index = m.in.Meta.IfIndex
	}
	out := m.o.Network.iface(index)
	if out == nil {
		return eNODEV.negative()
	}
	length := int64(m.length())
	if m.skb {
		length = int64(m.wire)
	}
	if given != 0 {
		length = int64(given) + etherLen
	}
	binary.LittleEndian.PutUint32(word, out.mtu())
	const tooLong = 1 // BPF_MTU_CHK_RET_FRAG_NEEDED
	if length+diff > int64(out.mtu())+etherLen {
		return tooLong
	}
	return 0
}
