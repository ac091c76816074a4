package vm

// Flags of skb_adjust_room.
const (
	roomFixedGSO = 1 << iota
	roomEncapIPv4
	roomEncapIPv6
	roomEncapGRE
	roomEncapUDP
	roomNoCsumReset
	roomEncapEther
	roomDecapIPv4
	roomDecapIPv6

	roomEncapL3    = roomEncapIPv4 | roomEncapIPv6
	roomDecapL3    = roomDecapIPv4 | roomDecapIPv6
	roomInnerShift = 56 // length of the inner link header
	roomAll        = 1<<9 - 1 | 0xff<<roomInnerShift
)

// Modes of skb_adjust_room: where the room is.
const (
	roomAtNet = 0 // behind the network header
	roomAtMAC = 1 // behind the link header
)

// skbAdjustRoom makes or takes away room for the headers of a tunnel.
func skbAdjustRoom(m *Machine, a *[5]uint64) uint64 {
	diff, mode, flags := int32(a[1]), uint32(a[2]), a[3]
	n := uint32(max(diff, -diff))
	base, ok := map[uint16]uint32{etherIPv4: ipv4Len, etherIPv6: ipv6Len}[m.protocol()]
	switch {
	case flags&^roomAll != 0:
		return eINVAL.negative()
	case n > 0xfff:
		return eFAULT.negative()
	case !ok || mode > roomAtMAC:
		return eNOTSUPP.negative()
	}
	off := uint32(m.buffer.network - m.buffer.link)
	if mode == roomAtNet {
		off += base
	}
	least := base
	switch decap := flags & roomDecapL3; {
	case decap == 0:
	case diff >= 0, decap == roomDecapL3:
		return eINVAL.negative()
	case decap == roomDecapIPv4:
		least = ipv4Len
	default:
		least = ipv6Len
	}
	failed := errno(0)
	if diff < 0 {
		failed = m.shrink(off, n, least, flags)
	} else {
		failed = m.grow(off, n, flags)
	}
	if failed != 0 {
		return failed.negative()
	}
	if flags&roomNoCsumReset == 0 {
		m.buffer.checked = 0
	}
	return 0
}

// shrink is bpf_skb_net_shrink.
func (m *Machine) shrink(off, n, least uint32, flags uint64) errno {
	have := m.length() - uint32(m.buffer.network)
	switch {
	case n >= have || have-n < least:
		return eNOTSUPP
	case flags&^(roomFixedGSO|roomDecapL3|roomNoCsumReset) != 0:
		return eINVAL
	case uint64(off)+uint64(n) > uint64(m.length()):
		return eNOMEM
	}
	m.pop(off, n)
	switch {
	case m.protocol() == etherIPv4 && flags&roomDecapIPv6 != 0:
		m.setProtocol(etherIPv6)
	case m.protocol() == etherIPv6 && flags&roomDecapIPv4 != 0:
		m.setProtocol(etherIPv4)
	}
	return 0
}

// grow is bpf_skb_net_grow.
func (m *Machine) grow(off, n uint32, flags uint64) errno {
	if m.length()+n > maxSKB {
		return eNOTSUPP
	}
	encap := flags&roomEncapL3 != 0
	inner := uint32(flags >> roomInnerShift)
	switch {
	case !encap:
	case flags&roomEncapL3 == roomEncapL3,
		flags&roomEncapGRE != 0 && flags&roomEncapUDP != 0,
		flags&roomEncapEther != 0 && inner < etherLen:
		return eINVAL
	case m.buffer.encapsulated:
		return eALREADY
	case inner > n:
		return eINVAL
	}
	if failed := m.push(off, n); failed != 0 {
		return failed
	}
	if !encap {
		return 0
	}
	m.buffer.encapsulated = true
	switch {
	case m.protocol() == etherIPv4 && flags&roomEncapIPv6 != 0:
		m.setProtocol(etherIPv6)
	case m.protocol() == etherIPv6 && flags&roomEncapIPv4 != 0:
		m.setProtocol(etherIPv4)
	}
	return 0
}
