package vm

import (
	"encoding/binary"
	"math/bits"
)

// The VLAN tag of an sk_buff is kept beside its bytes: a program that pushes a
// tag does not see the packet change. The machine puts the tag into the bytes
// that a run leaves ([engine.Result.Data]), because that is what the next
// machine on the wire gets.

const (
	vlanLen   = 4
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	macsLen   = 12
)

func isVLAN(proto uint16) bool { return proto == etherVLAN || proto == etherQinQ }

// vlanTag returns the tag beside the bytes.
func (m *Machine) vlanTag() (proto, tci uint16, ok bool) {
	c := m.context()
	return bits.ReverseBytes16(uint16(c.get(skbVLANProto))), uint16(c.get(skbVLANTCI)), c.get(skbVLANPresent) != 0
}

func (m *Machine) setVLANTag(proto, tci uint16, present bool) {
	c := m.context()
	m.buffer.tagged, m.dirty = true, true
	if !present {
		c.put(skbVLANPresent, 0)
		c.put(skbVLANTCI, 0)
		c.put(skbVLANProto, 0)
		return
	}
	c.put(skbVLANPresent, 1)
	c.put(skbVLANTCI, uint32(tci))
	c.put(skbVLANProto, uint32(bits.ReverseBytes16(proto)))
}

// skbVLANPush sets the tag; one that is there goes into the packet before.
func skbVLANPush(m *Machine, a *[5]uint64) uint64 {
	proto, tci := bits.ReverseBytes16(uint16(a[1])), uint16(a[2])
	if !isVLAN(proto) {
		proto = etherVLAN
	}
	if oldProto, oldTCI, ok := m.vlanTag(); ok {
		if failed := m.push(macsLen, vlanLen); failed != 0 {
			return failed.negative()
		}
		b, _ := m.packetBytes(macsLen, vlanLen)
		binary.BigEndian.PutUint16(b, oldProto)
		binary.BigEndian.PutUint16(b[2:], oldTCI)
		m.setProtocol(oldProto)
	}
	m.setVLANTag(proto, tci, true)
	return 0
}

// skbVLANPop removes the tag; the next one, in the packet, takes its place.
func skbVLANPop(m *Machine, _ *[5]uint64) uint64 {
	if _, _, ok := m.vlanTag(); ok {
		m.setVLANTag(0, 0, false)
	} else if !isVLAN(m.protocol()) {
		return 0
	} else if _, failed := m.popTag(); failed != 0 {
		return failed.negative()
	}
	proto := m.protocol()
	if !isVLAN(proto) {
		return 0
	}
	tci, failed := m.popTag()
	if failed != 0 {
		return failed.negative()
	}
	m.setVLANTag(proto, tci, true)
	return 0
}

// popTag takes a tag out of the packet (__skb_vlan_pop).
func (m *Machine) popTag() (tci uint16, failed errno) {
	b, ok := m.packetBytes(macsLen, 2+vlanLen)
	if !ok {
		return 0, eNOMEM
	}
	tci = binary.BigEndian.Uint16(b[2:])
	proto := binary.BigEndian.Uint16(b[4:])
	m.pop(macsLen, vlanLen)
	const least = 1536 // of an EtherType; below it is a length
	switch next, ok := m.packetBytes(macsLen+2, 2); {
	case proto >= least:
		m.setProtocol(proto)
	case ok && binary.BigEndian.Uint16(next) == 0xffff:
		m.setProtocol(1) // ETH_P_802_3
	default:
		m.setProtocol(4) // ETH_P_802_2
	}
	m.buffer.network = max(m.buffer.network-vlanLen, etherLen)
	return tci, 0
}

// insertTag puts a tag that the program has set into a copy of the packet.
func (m *Machine) insertTag(to, data []byte) []byte {
	if !m.skb || !m.buffer.tagged || len(data) < macsLen {
		return append(to, data...)
	}
	proto, tci, ok := m.vlanTag()
	if !ok {
		return append(to, data...)
	}
	to = append(to, data[:macsLen]...)
	to = binary.BigEndian.AppendUint16(to, proto)
	to = binary.BigEndian.AppendUint16(to, tci)
	return append(to, data[macsLen:]...)
}
