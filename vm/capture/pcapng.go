package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/bpflab/bpflab/cbpf"
)

// Types of pcapng blocks. The section header's reads alike in both byte orders.
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete, but still met
	blockSimple    = 3
	blockEnhanced  = 6
	blockSection   = 0x0a0d0d0a
)

const orderMagic = 0x1a2b3c4d

// maxBlock is the longest block that is kept in memory: one with the largest
// packet and generous options. Unknown blocks are skipped whatever their length.
const maxBlock = maxPacket + 1<<20

// openPcapNG reads blocks up to the first interface, as libpcap does.
func (r *Reader) openPcapNG() error {
	r.format = PcapNG
	for len(r.interfaces) == 0 {
		kind, body, err := r.peekBlock()
		if err == io.EOF {
			return nil // a capture without packets: Next says so
		}
		if err != nil {
			return err
		}
		if isPacket(kind) {
			return nil // Next will complain
		}
		if err := r.takeBlock(kind, body); err != nil {
			return err
		}
	}
	return nil
}

func isPacket(kind uint32) bool {
	return kind == blockEnhanced || kind == blockSimple || kind == blockPacket
}

// blockBuffered looks for a whole packet block among the bytes read, over the
// blocks before it; a new section, which may change the byte order, ends the look.
func (r *Reader) blockBuffered() bool {
	for b := r.rest; len(b) >= 12; {
		kind, total := r.uint32(b), r.uint32(b[4:])
		if kind == blockSection || total < 12 || uint64(total) > uint64(len(b)) {
			return false
		}
		if isPacket(kind) {
			return true
		}
		b = b[total:]
	}
	return false
}

// nextBlock reads blocks until one holds a packet.
func (r *Reader) nextBlock() (*Packet, error) {
	kind, body, err := r.peekPacket()
	if err != nil {
		return nil, err
	}
	switch kind {
	case blockEnhanced:
		return r.enhanced(body)
	case blockSimple:
		return r.simple(body)
	}
	return r.obsolete(body)
}

// peekPacket is peekBlock for the next block with a packet; it takes those before.
func (r *Reader) peekPacket() (kind uint32, body []byte, err error) {
	for r.err == nil {
		if kind, body, err = r.peekBlock(); err != nil || isPacket(kind) {
			return kind, body, err
		}
		if err := r.takeBlock(kind, body); err != nil {
			return 0, nil, err
		}
	}
	return 0, nil, r.err
}

// takeBlock handles the blocks that are not packets, and consumes them.
func (r *Reader) takeBlock(kind uint32, body []byte) error {
	switch kind {
	case blockSection:
		if err := r.newSection(body); err != nil {
			return err
		}
	case blockInterface:
		if err := r.newInterface(body); err != nil {
			return err
		}
	default:
		return r.skipBlock()
	}
	r.consume(body)
	return nil
}

// consume steps over the block whose body this is: 8 bytes before, 4 after.
func (r *Reader) consume(body []byte) { r.rest = r.rest[len(body)+12:] }

// peekBlock returns the type and the body of the next block, without
// consuming it: type, total length, body, total length again. Of a block that
// nobody here reads it returns no body, and need not have all of it in memory.
func (r *Reader) peekBlock() (kind uint32, body []byte, err error) {
	if len(r.rest) < 12 {
		if err := r.fill(12); err == io.EOF && len(r.rest) == 0 {
			r.err = io.EOF
			return 0, nil, io.EOF
		} else if err != nil {
			return 0, nil, r.failShort("block header", 12, err)
		}
	}
	if binary.LittleEndian.Uint32(r.rest) == blockSection {
		if err := r.sectionOrder(); err != nil {
			return 0, nil, err
		}
	}
	kind, total := r.uint32(r.rest), r.uint32(r.rest[4:])
	if total < 12 || total%4 != 0 {
		return 0, nil, r.fail("block length %d (must be a multiple of 4, at least 12)", total)
	}
	if kind != blockSection && kind != blockInterface && !isPacket(kind) {
		return kind, nil, nil
	}
	if total > maxBlock {
		return 0, nil, r.fail("block length %d is beyond %d", total, maxBlock)
	}
	if n := int(total); n > len(r.rest) {
		if err := r.fill(n); err != nil {
			return 0, nil, r.failShort("block", n, err)
		}
	}
	return kind, r.rest[8 : total-4], r.checkTrailer(total, r.rest[total-4:])
}

func (r *Reader) checkTrailer(total uint32, b []byte) error {
	if again := r.uint32(b); again != total {
		return r.fail("block length %d is repeated as %d at its end", total, again)
	}
	return nil
}

// uint32 loads a number in the section's byte order.
func (r *Reader) uint32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if r.bigEndian {
		v = bits.ReverseBytes32(v)
	}
	return v
}

// skipBlock steps over a block that may be longer than memory should hold.
func (r *Reader) skipBlock() error {
	total := r.uint32(r.rest[4:])
	start := r.offset()
	err := r.skip(int64(total) - 4)
	if err == nil {
		err = r.fill(4)
	}
	if err != nil {
		e := r.failShort("block", int(total), err).(*Error)
		e.Msg = fmt.Sprintf("truncated block of %d bytes", total)
		e.Offset = start
		return e
	}
	if err := r.checkTrailer(total, r.rest); err != nil {
		return err
	}
	r.rest = r.rest[4:]
	return nil
}

// sectionOrder finds the byte order of the section that begins here.
func (r *Reader) sectionOrder() error {
	switch binary.LittleEndian.Uint32(r.rest[8:]) {
	case orderMagic:
		r.bigEndian = false
	case bits.ReverseBytes32(orderMagic):
		r.bigEndian = true
	default:
		return r.fail("section header without a byte-order magic number")
	}
	return nil
}

// newSection begins a section: interfaces are numbered from 0 again.
func (r *Reader) newSection(body []byte) error {
	if len(body) < 16 {
		return r.fail("section header of %d bytes", len(body)+12)
	}
	if major := r.ByteOrder().Uint16(body[4:]); major != 1 {
		return r.fail("unsupported pcapng version %d", major)
	}
	if r.offset() == 0 {
		r.section = r.options(body[16:]).clone()
	}
	r.sectionBase = len(r.described())
	return nil
}

// newInterface adds an interface, unless the reader is that of a [Piece] and
// knows it.
func (r *Reader) newInterface(body []byte) error {
	known := r.described()
	if len(known) < len(r.interfaces) {
		return nil
	}
	if len(body) < 8 {
		return r.fail("interface description of %d bytes", len(body)+12)
	}
	i := Interface{
		LinkType: cbpf.LinkTypeFromFile(r.ByteOrder().Uint16(body)),
		SnapLen:  r.uint32(body[4:]),
		Options:  r.options(body[8:]).clone(),
		offset:   r.offset(),
	}
	var err error
	if i.clock, err = clockOf(i.Options); err != nil {
		return r.fail("interface %d: %v", len(known)-r.sectionBase, err)
	}
	r.interfaces = append(known, i)
	return nil
}

func (r *Reader) options(b []byte) Options { return Options{b, r.bigEndian} }

// enhanced reads an enhanced packet block: interface, time in two halves,
// captured length, wire length, the packet, options.
func (r *Reader) enhanced(body []byte) (*Packet, error) {
	if len(body) < 20 {
		return nil, r.fail("packet block of %d bytes", len(body)+12)
	}
	return r.deliver(body, r.uint32(body))
}

// obsolete reads a packet block of the first drafts: like an enhanced one, but
// the interface has 16 bits and a count of drops follows it.
func (r *Reader) obsolete(body []byte) (*Packet, error) {
	if len(body) < 20 {
		return nil, r.fail("packet block of %d bytes", len(body)+12)
	}
	return r.deliver(body, uint32(r.ByteOrder().Uint16(body)))
}

// deliver makes the packet of an enhanced or obsolete block, whose fields from
// the time on are the same.
func (r *Reader) deliver(body []byte, id uint32) (*Packet, error) {
	i, err := r.interfaceOf(id)
	if err != nil {
		return nil, err
	}
	stamp := uint64(r.uint32(body[4:]))<<32 | uint64(r.uint32(body[8:]))
	capLen := r.uint32(body[12:])
	if int64(capLen) > int64(len(body)-20) {
		return nil, r.fail("captured length %d is beyond its block of %d bytes", capLen, len(body)+12)
	}
	end := 20 + int(capLen)
	p := &r.packet
	p.Time = i.clock.toNano(stamp)
	p.Data = body[20:end:end]
	p.WireLen = r.uint32(body[16:])
	p.Interface, p.LinkType = r.sectionBase+int(id), i.LinkType
	p.Options = r.options(body[min(pad4(end), len(body)):])
	p.interfaces, p.ng, p.simple = r.described(), true, false
	r.consume(body)
	r.count++
	return p, nil
}

// simple reads a simple packet block: a wire length and the packet, from the
// section's first interface, without a time. How much was captured follows
// from that interface's snapshot length.
func (r *Reader) simple(body []byte) (*Packet, error) {
	if len(body) < 4 {
		return nil, r.fail("packet block of %d bytes", len(body)+12)
	}
	i, err := r.interfaceOf(0)
	if err != nil {
		return nil, err
	}
	wireLen := r.uint32(body)
	capLen := capturedOf(wireLen, i.SnapLen)
	if int64(capLen) > int64(len(body)-4) {
		return nil, r.fail("captured length %d is beyond its block of %d bytes", capLen, len(body)+12)
	}
	end := 4 + int(capLen)
	r.packet = Packet{
		Data:       body[4:end:end],
		WireLen:    wireLen,
		Interface:  r.sectionBase,
		LinkType:   i.LinkType,
		interfaces: r.described(),
		ng:         true,
		simple:     true,
	}
	r.consume(body)
	r.count++
	return &r.packet, nil
}

// capturedOf is how many bytes of a packet a snapshot length leaves.
func capturedOf(wireLen, snapLen uint32) uint32 {
	if snapLen == 0 {
		return wireLen
	}
	return min(wireLen, snapLen)
}

// interfaceOf finds an interface of the current section.
func (r *Reader) interfaceOf(id uint32) (*Interface, error) {
	known := r.described()[r.sectionBase:]
	if uint64(id) >= uint64(len(known)) {
		return nil, r.fail("the packet's interface %d has not been described", id)
	}
	return &known[id], nil
}

// described returns the interfaces whose blocks are before the one at hand. The
// reader of a [Piece] knows all those of its piece from the beginning.
func (r *Reader) described() []Interface {
	known, here := r.interfaces, r.offset()
	for len(known) > 0 && known[len(known)-1].offset >= here {
		known = known[:len(known)-1]
	}
	return known
}
