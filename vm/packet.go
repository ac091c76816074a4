package vm

import (
	"errors"
	"fmt"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
)

const (
	// headRoom is the free space before a packet, into which a program may
	// grow it (XDP_PACKET_HEADROOM).
	headRoom = 256

	// frameHead is the part of the head room that the kernel keeps for
	// itself (struct xdp_frame on 64-bit machines).
	frameHead = 40

	// frameData is how far an XDP packet may grow, counted from where it
	// started: what the kernel's test runs leave of a page of 4096 bytes
	// between the head room and struct skb_shared_info. A packet that is
	// longer to begin with may just not grow.
	frameData = 4096 - headRoom - 320

	// firstCapacity is the room for packets that a machine starts with; it
	// fits every packet of a capture with the default snapshot length.
	firstCapacity = 1 << 18
)

// A packet says where the current packet lies. Between start and end there is
// first the head room, then metadata, the data, and free space.
type packet struct {
	start, end          uint32 // of the memory
	meta, data, dataEnd uint32
	hardEnd             uint32 // dataEnd may not go beyond
	touched             uint32 // no byte below has been part of the packet in this run
}

// errShared is the refusal of a packet for which memory would have to be made
// while other machines use it.
var errShared = errors.New("too long for machines that share maps")

// growPacket makes room for packets of n bytes.
func (m *Machine) growPacket(n int) error {
	if m.shared {
		return errShared
	}
	size := headRoom + uint64(max(n, firstCapacity))
	start, err := m.mem.Alloc(size)
	if err != nil {
		return err
	}
	m.base = m.mem.Base()
	m.packet = packet{start: start, end: start + uint32(size)}
	return nil
}

// receive places a packet and its context in memory.
func (m *Machine) receive(in *engine.Packet) error {
	p := &m.packet
	data := in.Data[m.linkHeader(in):]
	if len(data) < m.entry.needs {
		return fmt.Errorf("%w: %d bytes, where the program was proved for a context of %d", engine.ErrPacket, len(data), m.entry.needs)
	}
	if uint64(len(data))+headRoom > uint64(p.end-p.start) {
		if err := m.growPacket(2 * len(data)); err != nil {
			return fmt.Errorf("%w: %d bytes: %w", engine.ErrPacket, len(data), err)
		}
	}
	p.data = p.start + headRoom
	p.meta, p.touched = p.data, p.data
	p.dataEnd = p.data + uint32(len(data))
	p.hardEnd = p.data + uint32(max(len(data), frameData))
	copy(m.bytes(uint64(p.data), uint64(len(data))), data)
	m.in, m.dirty, m.wire = in, false, in.WireLen-uint32(len(in.Data)-len(data))
	m.fillBuffer()
	m.fillContext()
	m.setWindows()
	return nil
}

// linkHeader is the length of the link header that the program does not see.
func (m *Machine) linkHeader(in *engine.Packet) int {
	if !m.fromNetwork {
		return 0
	}
	return min(max(int(in.Meta.NetworkOffset), 0), len(in.Data))
}

// setWindows makes the program's access to the packet follow its bounds, and
// the context's pointers, too.
func (m *Machine) setWindows() {
	p := &m.packet
	m.pointContext()
	switch m.entry.typ {
	case abi.CGroupSKB, abi.LWTIn, abi.LWTOut, abi.FlowDissector:
		m.window[read].set(p.data, p.dataEnd)
	case abi.SocketFilter:
		// Socket filters have no direct access to the packet.
	default:
		m.window[read].set(p.meta, p.dataEnd)
		m.window[write].set(p.meta, p.dataEnd)
	}
}

// packetAfter returns the packet after the program: the input itself if it
// cannot have changed, a copy if it may have. A link header that the program has
// not seen stands before it again.
func (m *Machine) packetAfter() []byte {
	if !m.dirty {
		return m.in.Data
	}
	p := &m.packet
	n := len(m.out)
	m.out = append(m.out, m.in.Data[:m.linkHeader(m.in)]...)
	m.out = m.insertTag(m.out, m.bytes(uint64(p.data), uint64(p.dataEnd-p.data)))
	return m.out[n:len(m.out):len(m.out)]
}
