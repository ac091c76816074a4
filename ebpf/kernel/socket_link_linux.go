package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
)

// A link says how the packets of a device come from a packet socket. Most come
// with their link header, from a SOCK_RAW socket. Where the kernel has none to
// give, or one that differs from driver to driver, a SOCK_DGRAM socket leaves it
// out, and a cooked header is made from what the kernel says of the packet.
type link struct {
	typ    cbpf.LinkType
	header uint32 // length of the cooked header, 0 where the packets have their own
	tag    int    // offset in the packet at which a VLAN tag belongs, -1 for nowhere
}

var (
	etherLink  = link{cbpf.LinkEthernet, 0, 12}
	rawLink    = link{cbpf.LinkRaw, 0, -1}
	cookedLink = link{cbpf.LinkLinuxSLL, cookedHeader[cbpf.LinkLinuxSLL], 14}
	anyLink    = link{cbpf.LinkLinuxSLL2, cookedHeader[cbpf.LinkLinuxSLL2], -1}
)

// reserve is the room that packets must have in front for what is put there: a
// VLAN tag, and the part of the longest cooked header beyond the 16 bytes that
// the kernel leaves anyway.
const reserve = 4 + 4

// linkOf maps a device's ARPHRD_ number as libpcap does (map_arphrd_to_dlt), for
// those whose link headers the filter compiler knows. All others are cooked.
func linkOf(arphrd uint16) link {
	switch arphrd {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK, unix.ARPHRD_METRICOM:
		return etherLink
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_SIT, unix.ARPHRD_SLIP, unix.ARPHRD_CSLIP,
		unix.ARPHRD_SLIP6, unix.ARPHRD_CSLIP6, unix.ARPHRD_ADAPT, unix.ARPHRD_RAWHDLC, unix.ARPHRD_DLCI:
		return rawLink
	}
	return cookedLink
}

// putHeader puts a cooked header before a packet that starts at an offset of its
// frame, and returns where it starts now. The fields of the address that are
// __be16 in the kernel are so in the header.
func (l *link) putHeader(frame []byte, start uint32, from *unix.RawSockaddrLinklayer) uint32 {
	start -= l.header
	b := frame[start:]
	if l.typ == cbpf.LinkLinuxSLL2 {
		binary.NativeEndian.PutUint16(b[0:], from.Protocol)
		binary.BigEndian.PutUint16(b[2:], 0)
		binary.BigEndian.PutUint32(b[4:], uint32(from.Ifindex))
		binary.BigEndian.PutUint16(b[8:], from.Hatype)
		b[10], b[11] = from.Pkttype, from.Halen
		copy(b[12:20], from.Addr[:])
		return start
	}
	binary.BigEndian.PutUint16(b[0:], uint16(from.Pkttype))
	binary.BigEndian.PutUint16(b[2:], from.Hatype)
	binary.BigEndian.PutUint16(b[4:], uint16(from.Halen))
	copy(b[6:14], from.Addr[:])
	binary.NativeEndian.PutUint16(b[14:], from.Protocol)
	return start
}

// putTag puts back the VLAN tag that the kernel has taken out, and returns where
// the packet starts now. What stands before the tag moves to the front. A packet
// that was cut before the place of its tag stays without, as in libpcap.
func (l *link) putTag(frame []byte, start, end uint32, h *unix.Tpacket3Hdr) uint32 {
	if l.tag < 0 || end-start < uint32(l.tag) {
		return start
	}
	start -= 4
	b := frame[start:]
	copy(b[:l.tag], b[4:])
	tpid := h.Hv1.Vlan_tpid
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID == 0 {
		tpid = unix.ETH_P_8021Q // kernels before 3.14 do not tell
	}
	binary.BigEndian.PutUint16(b[l.tag:], tpid)
	binary.BigEndian.PutUint16(b[l.tag+2:], uint16(h.Hv1.Vlan_tci))
	return start
}
