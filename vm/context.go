package vm

import (
	"encoding/binary"
	"math/bits"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// Contexts are the structures of the kernel's user-space interface, plain
// memory in the arena: a load of a field is a load. The kernel in contrast
// rewrites each such load into one of its own structures.

// offset returns where a field of a context lies.
func offset(c *abi.Context, name string) int { return c.Field(name).Offset }

var (
	skbLen            = offset(&abi.SKBuff, "len")
	skbPktType        = offset(&abi.SKBuff, "pkt_type")
	skbMark           = offset(&abi.SKBuff, "mark")
	skbQueueMapping   = offset(&abi.SKBuff, "queue_mapping")
	skbProtocol       = offset(&abi.SKBuff, "protocol")
	skbVLANPresent    = offset(&abi.SKBuff, "vlan_present")
	skbVLANTCI        = offset(&abi.SKBuff, "vlan_tci")
	skbVLANProto      = offset(&abi.SKBuff, "vlan_proto")
	skbIngressIfIndex = offset(&abi.SKBuff, "ingress_ifindex")
	skbIfIndex        = offset(&abi.SKBuff, "ifindex")
	skbPriority       = offset(&abi.SKBuff, "priority")
	skbTCIndex        = offset(&abi.SKBuff, "tc_index")
	skbCB             = offset(&abi.SKBuff, "cb")
	skbHash           = offset(&abi.SKBuff, "hash")
	skbData           = offset(&abi.SKBuff, "data")
	skbDataEnd        = offset(&abi.SKBuff, "data_end")
	skbDataMeta       = offset(&abi.SKBuff, "data_meta")
	skbTstamp         = offset(&abi.SKBuff, "tstamp")
	skbWireLen        = offset(&abi.SKBuff, "wire_len")
	skbGSOSegments    = offset(&abi.SKBuff, "gso_segs")
	skbGSOSize        = offset(&abi.SKBuff, "gso_size")
	skbTstampType     = offset(&abi.SKBuff, "tstamp_type")

	xdpData           = offset(&abi.XDPMD, "data")
	xdpDataEnd        = offset(&abi.XDPMD, "data_end")
	xdpDataMeta       = offset(&abi.XDPMD, "data_meta")
	xdpIngressIfIndex = offset(&abi.XDPMD, "ingress_ifindex")
	xdpRxQueueIndex   = offset(&abi.XDPMD, "rx_queue_index")
)

// A contextMemory is the bytes of the context.
type contextMemory []byte

func (c contextMemory) put(off int, v uint32) { binary.LittleEndian.PutUint32(c[off:], v) }

func (c contextMemory) get(off int) uint32 { return binary.LittleEndian.Uint32(c[off:]) }

func (m *Machine) context() contextMemory {
	return m.bytes(uint64(m.ctx), uint64(len(m.ctxAccess)))
}

// bytesContext reports whether the context is the bytes of the input itself:
// they lie where a packet would.
func (m *Machine) bytesContext() bool { return len(m.ctxAccess) == 0 }

// fillContext sets the fields that do not follow the packet's bounds.
func (m *Machine) fillContext() {
	if m.bytesContext() {
		m.ctx = m.packet.data
		return
	}
	c := m.context()
	clear(c)
	meta := &m.in.Meta
	if !m.skb {
		c.put(xdpIngressIfIndex, meta.IfIndex)
		// An sk_buff keeps the receive queue plus one, 0 for none.
		c.put(xdpRxQueueIndex, uint32(max(meta.Queue, 1)-1))
		return
	}
	if m.entry.typ == abi.FlowDissector {
		m.startFlowKeys()
		return
	}
	c.put(skbPktType, uint32(meta.PacketType))
	c.put(skbMark, meta.Mark)
	c.put(skbQueueMapping, uint32(meta.Queue))
	c.put(skbProtocol, uint32(bits.ReverseBytes16(meta.Protocol)))
	if meta.VLANPresent {
		c.put(skbVLANPresent, 1)
		c.put(skbVLANTCI, uint32(meta.VLANTCI))
		c.put(skbVLANProto, uint32(bits.ReverseBytes16(meta.VLANProto)))
	}
	c.put(skbIngressIfIndex, meta.IngressIfIndex)
	c.put(skbIfIndex, meta.IfIndex)
	c.put(skbHash, meta.RxHash)
	c.put(skbWireLen, m.in.WireLen)
	few := uint64(meta.Priority) | uint64(meta.TCIndex) | meta.Timestamp | uint64(meta.GSOSegments) | uint64(meta.GSOSize)
	if few != 0 || meta.CB != [5]uint32{} {
		c.fillFew(meta)
	}
}

// fillFew sets the fields that few packets have, apart from the others to save
// time.
func (c contextMemory) fillFew(meta *cbpf.Metadata) {
	c.put(skbPriority, meta.Priority)
	c.put(skbTCIndex, uint32(meta.TCIndex))
	for i, v := range meta.CB {
		c.put(skbCB+4*i, v)
	}
	binary.LittleEndian.PutUint64(c[skbTstamp:], meta.Timestamp)
	c.put(skbGSOSegments, uint32(meta.GSOSegments))
	c.put(skbGSOSize, uint32(meta.GSOSize))
}

// pointContext sets the fields that follow the packet's bounds.
func (m *Machine) pointContext() {
	if m.bytesContext() {
		return
	}
	c, p := m.context(), &m.packet
	if !m.skb {
		c.put(xdpData, p.data)
		c.put(xdpDataEnd, p.dataEnd)
		c.put(xdpDataMeta, p.meta)
		return
	}
	// The length on the wire, of which a capture may hold only the first
	// part, as a kernel buffer may have only its first part at hand.
	c.put(skbLen, m.wire)
	c.put(skbData, p.data)
	c.put(skbDataEnd, p.dataEnd)
	c.put(skbDataMeta, p.meta)
}
