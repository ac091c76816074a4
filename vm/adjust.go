package vm

// The helpers that move the bounds of an XDP packet. Addresses are offsets
// into the arena, so sums with a program's 32-bit offset are done in 64 bits,
// where they cannot wrap.

// etherLen is the least that adjusting may leave of a packet (ETH_HLEN).
const etherLen = 14

// xdpAdjustHead moves the start of the packet, and the metadata with it.
func xdpAdjustHead(m *Machine, a *[5]uint64) uint64 {
	p, off := &m.packet, int64(int32(a[1]))
	metaLen := p.data - p.meta
	data := int64(p.data) + off
	if data < int64(p.start)+frameHead+int64(metaLen) || data > int64(p.dataEnd)-etherLen {
		return eINVAL.negative()
	}
	oldMeta := p.meta
	p.data, p.meta = uint32(data), uint32(data)-metaLen
	m.expose(p.meta)
	copy(m.bytes(uint64(p.meta), uint64(metaLen)), m.bytes(uint64(oldMeta), uint64(metaLen)))
	m.moved()
	return 0
}

// xdpAdjustMeta moves the start of the metadata. Its length must be a
// multiple of 4 and at most 252 (xdp_metalen_invalid).
func xdpAdjustMeta(m *Machine, a *[5]uint64) uint64 {
	p, off := &m.packet, int64(int32(a[1]))
	meta := int64(p.meta) + off
	if meta < int64(p.start)+frameHead || meta > int64(p.data) {
		return eINVAL.negative()
	}
	if n := int64(p.data) - meta; n%4 != 0 || n > 252 {
		return eACCES.negative()
	}
	p.meta = uint32(meta)
	m.expose(p.meta)
	m.setWindows()
	return 0
}

// xdpAdjustTail moves the end of the packet. New bytes are 0.
func xdpAdjustTail(m *Machine, a *[5]uint64) uint64 {
	p, off := &m.packet, int64(int32(a[1]))
	end := int64(p.dataEnd) + off
	if end > int64(p.hardEnd) || end < int64(p.data)+etherLen {
		return eINVAL.negative()
	}
	if off > 0 {
		clear(m.bytes(uint64(p.dataEnd), uint64(off)))
	}
	p.dataEnd = uint32(end)
	m.moved()
	return 0
}

// expose zeroes what of the head room becomes accessible for the first time in
// this run. The kernel shows whatever was there before.
func (m *Machine) expose(from uint32) {
	if p := &m.packet; from < p.touched {
		clear(m.bytes(uint64(from), uint64(p.touched-from)))
		p.touched = from
	}
}

// moved notes that the packet has got other bounds.
func (m *Machine) moved() {
	m.dirty = true
	m.setWindows()
}
