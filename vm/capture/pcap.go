package capture

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/bpflab/bpflab/cbpf"
)

// maxSnapLen is libpcap's MAXIMUM_SNAPLEN: a captured length beyond it is a
// damaged file unless the file's header announced such packets.
const maxSnapLen = 262144

// maxPacket is the largest packet that is believed at all, whatever the header
// announces: libpcap's limit for the link type with the longest packets (D-Bus).
const maxPacket = 128 << 20

// A magic says how a pcap file is laid out, after its first four bytes.
type magic struct {
	number    uint32
	headerLen int
	tick      int64
}

var magics = []magic{
	{0xa1b2c3d4, 16, 1000}, // microseconds
	{0xa1b23c4d, 16, 1},    // nanoseconds
	{0xa1b2cd34, 24, 1000}, // "modified": Kuznetsov's patch, with the interface in each record
}

// pcapMagic finds the layout of a file that begins with these four bytes, read
// as a number in either byte order; nil if it is not a pcap file.
func pcapMagic(n uint32) *magic {
	for i, m := range magics {
		if m.number == n || m.number == bits.ReverseBytes32(n) {
			return &magics[i]
		}
	}
	return nil
}

// lengthOrder says which of a record's two lengths comes first. Version 2.3
// exchanged them, but some files of that version were written the old way.
type lengthOrder uint8

const (
	capturedFirst lengthOrder = iota
	wireFirst
	smallerIsCaptured
)

func (o lengthOrder) sort(first, second uint32) (capLen, wireLen uint32) {
	if o != capturedFirst && (o == wireFirst || first > second) {
		return second, first
	}
	return first, second
}

// A layout is what tells where the records of a pcap file end.
type layout struct {
	headerLen int    // of a record, 0 in pcapng
	limit     uint32 // largest captured length believed
	bigEndian bool   // in pcapng, the section at hand
	lengths   lengthOrder
}

// sizes reads the two lengths in a record's header.
func (l layout) sizes(header []byte) (capLen, wireLen uint32) {
	first, second := binary.LittleEndian.Uint32(header[8:]), binary.LittleEndian.Uint32(header[12:])
	if l.bigEndian {
		first, second = bits.ReverseBytes32(first), bits.ReverseBytes32(second)
	}
	return l.lengths.sort(first, second)
}

// openPcap reads the file header: magic number, version, two unused fields,
// snapshot length and link type.
func (r *Reader) openPcap() error {
	if err := r.fill(24); err != nil {
		return r.failShort("file header", 24, err)
	}
	first := binary.LittleEndian.Uint32(r.rest)
	m := pcapMagic(first)
	r.bigEndian = first != m.number
	order := r.ByteOrder()

	major, minor := order.Uint16(r.rest[4:]), order.Uint16(r.rest[6:])
	switch { // as libpcap; 543.0 was written by DG/UX's tcpdump
	case major == 2 && minor == 4:
		r.lengths = capturedFirst
	case major == 2 && minor == 3:
		r.lengths = smallerIsCaptured
	case major == 2 && minor < 3, major == 543 && minor == 0:
		r.lengths = wireFirst
	default:
		return r.fail("unsupported pcap version %d.%d", major, minor)
	}

	snapLen, link := order.Uint32(r.rest[16:]), order.Uint32(r.rest[20:])
	r.interfaces = []Interface{{
		LinkType: cbpf.LinkTypeFromFile(uint16(link)),
		SnapLen:  snapLen,
		clock:    clock{multiply: uint64(m.tick), divide: 1},
		// The upper half tells the length of the check sequence behind
		// each frame, if that was captured.
		linkBits: link &^ 0xffff,
	}}
	r.packet.LinkType = r.interfaces[0].LinkType
	r.headerLen, r.tick = m.headerLen, m.tick
	r.limit = max(maxSnapLen, min(snapLen, maxPacket))
	r.rest = r.rest[24:]
	return nil
}

// refillRecord reads on until the buffer has a whole record.
func (r *Reader) refillRecord() error {
	switch err := r.fill(r.headerLen); {
	case err == nil:
	case err == io.EOF && len(r.rest) == 0:
		r.err = io.EOF
		return io.EOF
	default:
		return r.failShort("packet header", r.headerLen, err)
	}
	capLen, _ := r.sizes(r.rest)
	if capLen > r.limit {
		return r.fail("captured length %d is beyond %d, the most that this file can hold", capLen, r.limit)
	}
	n := r.headerLen + int(capLen)
	if err := r.fill(n); err != nil {
		return r.failShort("packet", n, err)
	}
	return nil
}

// readDevice takes the fields that the modified variant adds to a record
// header: interface index, EtherType, packet type.
func (r *Reader) readDevice(b []byte) {
	r.packet.device = device{known: true, ifIndex: r.ByteOrder().Uint32(b), pktType: b[6]}
}
