package vm

import "encoding/binary"

// Outcomes of a legacy packet load.
type packetLoad uint8

const (
	packetLoaded       packetLoad = iota
	packetOutside                 // the program, or the function, returns 0
	packetWrongContext            // R6 is not the context
)

// Negative offsets of legacy packet loads count from a header (linux/filter.h).
const (
	netOff = -0x100000
	llOff  = -0x200000
)

// loadPacket executes LD_ABS and LD_IND, what is left of classic BPF: R0 is
// what the packet holds at an offset, in network byte order; where it does not
// hold so much, the program ends with 0. R6 must be the context. R1 to R5 are
// lost by RFC 9669 and stay as they are here.
//
// As bpf_gen_ld_abs in the kernel does, the offset is cut to 32 bits after the
// register has been added, and from -0x100000 on it counts from the network
// header, from -0x200000 on from the link header. Classic BPF's SKF_AD_OFF
// extensions have no meaning here: those offsets, too, count from the network
// header, a megabyte behind it.
func (m *Machine) loadPacket(o *op) packetLoad {
	if m.reg[6] != uint64(m.ctx) {
		return packetWrongContext
	}
	off := int32(o.imm)
	if o.indirect() {
		off += int32(m.reg[o.src&15])
	}
	at := int64(off)
	switch {
	case off >= 0:
	case off >= netOff:
		at += int64(m.buffer.network) - netOff
	case off >= llOff && m.buffer.hasLink:
		at += int64(m.buffer.link) - llOff
	}
	b, ok := m.packetBytes(uint64(at), 1<<(o.code-opLoadPacket))
	if !ok {
		return packetOutside
	}
	switch len(b) {
	case 1:
		m.reg[0] = uint64(b[0])
	case 2:
		m.reg[0] = uint64(binary.BigEndian.Uint16(b))
	default:
		m.reg[0] = uint64(binary.BigEndian.Uint32(b))
	}
	return packetLoaded
}

// indirect reports whether a legacy packet load is LD_IND.
func (o *op) indirect() bool { return o.off != 0 }
