package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bpflab/bpflab/cbpf"
)

// WriterOptions say what kind of file a [Writer] makes. The zero value is a
// pcap file of link type NULL with microseconds.
type WriterOptions struct {
	Format      Format
	LinkType    cbpf.LinkType // of the only interface in pcap, of the first one in pcapng
	SnapLen     uint32        // 0 for 262144, which all readers take
	Nanoseconds bool
}

// writeSize is how much is gathered for one write. Twice that is set aside, for
// the packet that goes over it; what is not used costs nothing.
const writeSize = 64 << 10

// A Writer writes a capture, always in little-endian byte order. It gathers
// what it writes: Flush must be called at the end.
type Writer struct {
	dst        io.Writer
	buf        []byte
	err        error // of dst, from then on
	format     Format
	interfaces []Interface
	like       *Reader // whose further interfaces are to be taken over
}

// NewWriter begins a capture with one interface.
func NewWriter(dst io.Writer, o WriterOptions) *Writer {
	i := Interface{LinkType: o.LinkType, SnapLen: o.SnapLen, clock: microseconds}
	if o.SnapLen == 0 {
		i.SnapLen = maxSnapLen
	}
	if o.Nanoseconds {
		i.clock = nanoseconds
		i.Options.Add(OptIfTsResol, []byte{9})
	}
	w := &Writer{dst: dst, format: o.Format, buf: make([]byte, 0, 2*writeSize)}
	w.begin(i, Options{})
	return w
}

// NewWriterLike begins a capture like the one that r reads: of its format and
// time resolution, with its interfaces and all options. Packets that r returned
// can be written as they are.
//
// What is not kept: the byte order, the modified pcap variant's extra fields,
// sections (their interfaces are put into one), and pcapng blocks other than
// interfaces and packets.
func NewWriterLike(dst io.Writer, r *Reader) *Writer {
	w := &Writer{dst: dst, format: r.format, buf: make([]byte, 0, 2*writeSize)}
	if r.format == Pcap {
		w.begin(r.interfaces[0], Options{})
		return w
	}
	w.like = r
	w.sectionHeader(r.section)
	if len(r.interfaces) > 0 { // libpcap refuses a file without one, even where no packet follows
		w.describe(r.interfaces[0])
	}
	return w
}

func (w *Writer) begin(i Interface, section Options) {
	if w.format == Pcap {
		w.interfaces = []Interface{i}
		w.pcapHeader(&i)
		return
	}
	w.sectionHeader(section)
	w.describe(i)
}

// AddInterface adds an interface to a pcapng capture and returns its number,
// for packets to refer to. Its time resolution is the one in its options. It is
// an error in a pcap file, which has a single interface, and after
// NewWriterLike, which takes over those of the reader.
func (w *Writer) AddInterface(i Interface) (number int, err error) {
	if w.format == Pcap {
		return 0, errors.New("a pcap file has one interface: write pcapng")
	}
	if w.like != nil {
		return 0, errors.New("the interfaces are those of the capture that is read")
	}
	if i.clock, err = clockOf(i.Options); err != nil {
		return 0, err
	}
	w.describe(i)
	return len(w.interfaces) - 1, nil
}

// Write writes a packet, from the interface that it names. In pcap, what the
// packet's options say is lost, and its link type must be the file's.
func (w *Writer) Write(p *Packet) error {
	if w.like != nil {
		// A packet that was read knows them, however far its reader is by now.
		known := p.interfaces
		if known == nil {
			known = w.like.interfaces
		}
		for _, i := range known[min(len(w.interfaces), len(known)):] {
			w.describe(i)
		}
	}
	number := p.Interface
	if w.format == Pcap {
		number = 0
	}
	if number < 0 || number >= len(w.interfaces) {
		return fmt.Errorf("the packet's interface %d has not been added", number)
	}
	i := &w.interfaces[number]
	if p.LinkType != i.LinkType && w.format == Pcap {
		return fmt.Errorf("a pcap file has one link type, and this one is %v: a packet of link type %v needs pcapng", i.LinkType, p.LinkType)
	} else if p.LinkType != i.LinkType {
		return fmt.Errorf("interface %d has link type %v, the packet %v", number, i.LinkType, p.LinkType)
	}
	switch {
	case w.format == Pcap:
		w.record(p, i)
	case p.simple && number == 0 && uint32(len(p.Data)) == capturedOf(p.WireLen, i.SnapLen):
		w.simpleBlock(p)
	default:
		w.enhancedBlock(p, i)
	}
	if len(w.buf) >= writeSize {
		return w.Flush()
	}
	return w.err
}

// Flush hands everything over to the destination.
func (w *Writer) Flush() error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.dst.Write(w.buf)
		w.buf = w.buf[:0]
	}
	return w.err
}

func (w *Writer) pcapHeader(i *Interface) {
	magic := magics[0]
	if i.clock == nanoseconds {
		magic = magics[1]
	}
	w.put32(magic.number, 2|4<<16, 0, 0, i.SnapLen, i.linkBits|uint32(i.LinkType))
}

// record writes a packet in pcap. Its seconds have 32 bits: times before 1970
// and after 2106 wrap.
func (w *Writer) record(p *Packet, i *Interface) {
	sec, ns := p.Time/second, p.Time%second
	if ns < 0 {
		sec, ns = sec-1, ns+second
	}
	w.put32(uint32(sec), uint32(uint64(ns)/i.clock.multiply), uint32(len(p.Data)), p.WireLen)
	w.buf = append(w.buf, p.Data...)
}

func (w *Writer) put32(fields ...uint32) {
	for _, f := range fields {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, f)
	}
}

// beginBlock writes a block's type and leaves room for its length; endBlock
// fills that in and repeats it at the end.
func (w *Writer) beginBlock(kind uint32) (start int) {
	start = len(w.buf)
	w.put32(kind, 0)
	return start
}

func (w *Writer) endBlock(start int) {
	total := uint32(len(w.buf) - start + 4)
	binary.LittleEndian.PutUint32(w.buf[start+4:], total)
	w.put32(total)
}

func (w *Writer) sectionHeader(o Options) {
	start := w.beginBlock(blockSection)
	w.put32(orderMagic, 1, 0xffffffff, 0xffffffff) // version 1.0, section length not known
	w.options(o, nil)
	w.endBlock(start)
}

// describe writes an interface description block.
func (w *Writer) describe(i Interface) {
	w.interfaces = append(w.interfaces, i)
	start := w.beginBlock(blockInterface)
	w.put32(uint32(i.LinkType), i.SnapLen)
	w.options(i.Options, interfaceNumbers)
	w.endBlock(start)
}

func (w *Writer) enhancedBlock(p *Packet, i *Interface) {
	start := w.beginBlock(blockEnhanced)
	stamp := i.clock.fromNano(p.Time)
	w.put32(uint32(p.Interface), uint32(stamp>>32), uint32(stamp), uint32(len(p.Data)), p.WireLen)
	w.padded(p.Data)
	if options := p.Options; len(options.raw) > 0 || !p.device.known {
		w.options(options, packetNumbers)
	} else {
		w.options(p.device.options(), packetNumbers)
	}
	w.endBlock(start)
}

func (w *Writer) simpleBlock(p *Packet) {
	start := w.beginBlock(blockSimple)
	w.put32(p.WireLen)
	w.padded(p.Data)
	w.endBlock(start)
}

func (w *Writer) padded(b []byte) {
	w.buf = append(w.buf, b...)
	w.buf = append(w.buf, zero4[:pad4(len(b))-len(b)]...)
}

// Which options hold a number, and of how many bytes: those must change with
// the byte order, all others are text or bytes.
var (
	packetNumbers    = map[uint16]int{OptFlags: 4, 4: 8, 5: 8, OptQueue: 4}        // drop count, packet id
	interfaceNumbers = map[uint16]int{8: 8, 10: 4, OptIfTsOffset: 8, 16: 8, 17: 8} // speeds, time zone
	customOptions    = []uint16{2988, 2989, 19372, 19373}                          // begin with an enterprise number
)

// options writes a list with its end mark, or nothing if it is empty.
func (w *Writer) options(o Options, numbers map[uint16]int) {
	any := false
	for code, v := range o.All() {
		any = true
		w.buf = appendOrder(false, w.buf, code, uint16(len(v)))
		start := len(w.buf)
		w.padded(v)
		if !o.bigEndian {
			continue
		}
		n := numbers[code]
		if slices.Contains(customOptions, code) {
			n = 4
		}
		if len(v) >= n {
			slices.Reverse(w.buf[start : start+n])
		}
	}
	if any {
		w.put32(0)
	}
}
