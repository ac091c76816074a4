package vm

import (
	"encoding/binary"
	"math/bits"
)

// The helpers that move the bounds of an sk_buff. What Linux keeps beside the
// bytes of a packet changes with them.

// A buffer is what a run changes of what the kernel knows beside the bytes.
type buffer struct {
	hasLink       bool
	link, network int32 // offsets of the headers in the packet
	encapsulated  bool  // by skb_adjust_room
	checked       int   // checksums that the device has found right
	tagged        bool  // the program has set or removed the VLAN tag beside the bytes
}

func (m *Machine) fillBuffer() {
	m.tunnel.set = false
	meta, cut := &m.in.Meta, int32(m.linkHeader(m.in))
	m.buffer = buffer{hasLink: meta.HasLink, link: meta.LinkOffset - cut, network: meta.NetworkOffset - cut}
}

// maxSKB is BPF_SKB_MAX_LEN on machines with pages of 4096 bytes.
const maxSKB = 4*4096 - 320

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	ipv4Len   = 20
	ipv6Len   = 40
)

// protocol returns the packet's EtherType.
func (m *Machine) protocol() uint16 {
	return bits.ReverseBytes16(uint16(m.context().get(skbProtocol)))
}

func (m *Machine) setProtocol(p uint16) {
	m.context().put(skbProtocol, uint32(bits.ReverseBytes16(p)))
}

// length returns the length of the packet's bytes.
func (m *Machine) length() uint32 { return m.packet.dataEnd - m.packet.data }

// push makes n bytes of room at an offset of the packet, by moving what is
// before to the front. It fails for an offset behind the packet's end, which
// headers of a truncated packet may have, and if memory is short.
func (m *Machine) push(off, n uint32) errno {
	p := &m.packet
	if off > m.length() {
		return eINVAL
	}
	if !m.front(n) {
		return eNOMEM
	}
	b := m.bytes(uint64(p.data-n), uint64(p.dataEnd-p.data+n))
	copy(b[:off], b[n:])
	clear(b[off:][:n])
	p.data -= n
	m.resized(int64(n))
	return 0
}

// pop takes n bytes out at an offset of the packet.
func (m *Machine) pop(off, n uint32) {
	p := &m.packet
	b := m.bytes(uint64(p.data), uint64(p.dataEnd-p.data))
	copy(b[n:], b[:off])
	p.data += n
	m.resized(-int64(n))
}

// front makes sure that n bytes are free before the packet.
func (m *Machine) front(n uint32) bool {
	p := &m.packet
	if p.data-p.start >= n {
		return true
	}
	size := p.dataEnd - p.data
	if headRoom+n+size > p.end-p.start {
		return false
	}
	to := p.start + headRoom + n
	copy(m.bytes(uint64(to), uint64(size)), m.bytes(uint64(p.data), uint64(size)))
	p.data, p.dataEnd = to, to+size
	return true
}

// resized notes that the packet has other bounds, and n bytes more on the wire,
// too. An sk_buff has no metadata before it that would follow.
func (m *Machine) resized(n int64) {
	m.packet.meta = m.packet.data
	m.wire = uint32(max(int64(m.wire)+n, int64(m.length())))
	m.moved()
}

// skbChangeHead makes room before the packet for a link header.
func skbChangeHead(m *Machine, a *[5]uint64) uint64 {
	n, flags := uint64(uint32(a[1])), a[2]
	if flags != 0 || uint64(m.length())+n > maxSKB {
		return eINVAL.negative()
	}
	if failed := m.push(0, uint32(n)); failed != 0 {
		return failed.negative()
	}
	m.buffer.network += int32(n)
	m.buffer.link, m.buffer.hasLink = 0, true
	return 0
}

// skbChangeTail cuts the packet or adds zero bytes.
func skbChangeTail(m *Machine, a *[5]uint64) uint64 {
	n, flags := uint32(a[1]), a[2]
	if flags != 0 || n > maxSKB || int64(n) < int64(m.buffer.network) {
		return eINVAL.negative()
	}
	if m.buffer.encapsulated {
		return eNOTSUPP.negative()
	}
	p := &m.packet
	old := m.length()
	if n > old {
		if p.data+n > p.end {
			return eNOMEM.negative()
		}
		clear(m.bytes(uint64(p.dataEnd), uint64(n-old)))
	}
	p.dataEnd = p.data + n
	m.wire = n
	m.moved()
	return 0
}

// skbChangeProto makes room for the longer header of IPv6 in place of IPv4's,
// or takes it away. The program fills in the header.
func skbChangeProto(m *Machine, a *[5]uint64) uint64 {
	to, flags := bits.ReverseBytes16(uint16(a[1])), a[2]
	const more = ipv6Len - ipv4Len
	off := uint32(m.buffer.network - m.buffer.link)
	switch {
	case flags != 0:
		return eINVAL.negative()
	case m.protocol() == etherIPv4 && to == etherIPv6:
		if failed := m.push(off, more); failed != 0 {
			return failed.negative()
		}
	case m.protocol() == etherIPv6 && to == etherIPv4:
		if uint64(m.length()) < uint64(off)+more {
			return eNOMEM.negative()
		}
		m.pop(off, more)
	default:
		return eNOTSUPP.negative()
	}
	m.setProtocol(to)
	m.context().put(skbHash, 0)
	return 0
}

// skbChangeType sets PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST or
// PACKET_OTHERHOST.
func skbChangeType(m *Machine, a *[5]uint64) uint64 {
	const last = 3
	if m.context().get(skbPktType) > last || uint32(a[1]) > last {
		return eINVAL.negative()
	}
	m.context().put(skbPktType, uint32(a[1]))
	return 0
}

// skbSetTstamp sets the time at which the packet is to be sent, by one of the
// clocks that packets know.
func skbSetTstamp(m *Machine, a *[5]uint64) uint64 {
	const realtime, monotonic, tai = 0, 1, 2
	time, clock := a[1], uint32(a[2])
	switch p := m.protocol(); {
	case p != etherIPv4 && p != etherIPv6:
		return eOPNOTSUPP.negative()
	case clock > tai, clock != realtime && time == 0:
		return eINVAL.negative()
	}
	c := m.context()
	binary.LittleEndian.PutUint64(c[skbTstamp:], time)
	c[skbTstampType] = uint8(clock)
	return 0
}

func setHash(m *Machine, a *[5]uint64) uint64 {
	m.context().put(skbHash, uint32(a[1]))
	return 0
}

func setHashInvalid(m *Machine, _ *[5]uint64) uint64 {
	m.context().put(skbHash, 0)
	return 0
}
