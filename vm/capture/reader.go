package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// bufferSize is how much one read asks for. From about this size on the cost
// of the system call is spread thin; more would not stay in the processor's
// second-level cache between the kernel's copy and our look at it.
const bufferSize = 256 << 10

// firstBuffer is for the header and for captures of a few packets.
const firstBuffer = 8 << 10

// A Reader reads the packets of a capture, one after another.
type Reader struct {
	// The fields that Next touches for every packet of a pcap file.
	rest []byte // bytes read but not yet consumed: a window of buf up to its end
	layout
	tick   int64 // nanoseconds per unit of a pcap record's fraction
	count  int   // packets delivered
	packet Packet

	format      Format
	interfaces  []Interface
	sectionBase int     // index of the current section's first interface
	section     Options // of the first section header

	src    io.Reader
	buf    []byte // len is what has been filled, cap what there is
	read   int64  // bytes that src has given
	srcErr error  // why src gives no more
	err    error  // why Next gives no more
}

// NewReader finds out what r holds (pcap or pcapng, either plain or compressed
// with gzip or zstd) and reads its header. For pcapng that is everything up to
// the first interface, so that [Reader.Interfaces] is not empty. The error is
// an [*Error].
//
// The reader asks r for large pieces, so r needs no buffer of its own, and
// returns packets as soon as they are complete, so r may be a pipe.
func NewReader(r io.Reader) (*Reader, error) {
	cr := &Reader{src: r, buf: make([]byte, 0, firstBuffer)}
	if err := cr.decompress(); err != nil {
		return nil, err
	}
	if err := cr.fill(4); err != nil {
		return nil, cr.failHeader(cr.failShort("file header", 4, err))
	}
	var err error
	switch magic := binary.LittleEndian.Uint32(cr.rest); {
	case magic == blockSection:
		err = cr.openPcapNG()
	case pcapMagic(magic) != nil:
		err = cr.openPcap()
	default:
		err = cr.fail("%s", notACapture(cr.rest))
	}
	if err != nil {
		return nil, cr.failHeader(err)
	}
	return cr, nil
}

// failHeader takes the packet number out of an error about the file's header.
func (r *Reader) failHeader(err error) error {
	if e, ok := err.(*Error); ok {
		e.Packet = 0
	}
	return err
}

// notACapture names what a file is that is not one, where its first bytes say.
func notACapture(b []byte) string {
	for _, known := range []struct{ magic, name string }{
		{"\xfd7zX", "an xz-compressed file: decompress it first"},
		{"BZh", "a bzip2-compressed file: decompress it first"},
		{"\x04\x22\x4d\x18", "an lz4-compressed file: decompress it first"},
		{"snoo", "a snoop file: not supported, convert it to pcap first"},
		{"GMBU", "a Network Monitor file: not supported, convert it to pcap first"},
		{"\x7fELF", "an ELF object, not a capture"},
	} {
		if len(b) >= len(known.magic) && string(b[:len(known.magic)]) == known.magic {
			return "this is " + known.name
		}
	}
	return "neither pcap nor pcapng: unknown magic number " + fmt.Sprintf("% x", b[:4])
}

// Format returns which of the two file formats is being read.
func (r *Reader) Format() Format { return r.format }

// ByteOrder returns the byte order of the machine that wrote the file (in
// pcapng, of the section at hand). The link type NULL stores its address
// family in that order.
func (r *Reader) ByteOrder() binary.ByteOrder { return byteOrder(r.bigEndian) }

// Interfaces returns the interfaces seen so far, over all sections. In pcapng
// more may appear as Next goes on. Callers must not change the slice.
func (r *Reader) Interfaces() []Interface { return r.described() }

// Buffered reports whether Next would return without asking the source, which
// may be a live one and let it wait. Then the call also leaves the bytes and
// options of earlier packets where they are; without it, they may be overwritten. It is false also where that is not clear
// without decoding more.
func (r *Reader) Buffered() bool {
	switch {
	case r.err != nil || r.srcErr != nil:
		return true
	case r.headerLen == 0:
		return r.blockBuffered()
	case len(r.rest) < r.headerLen:
		return false
	}
	capLen, _ := r.sizes(r.rest)
	return capLen > r.limit || len(r.rest) >= r.headerLen+int(capLen)
}

// Next returns the next packet: [io.EOF] after the last one of a sound
// capture, an [*Error] where it is damaged or ends early. The packet and its
// bytes are overwritten by the following call.
func (r *Reader) Next() (*Packet, error) {
	b := r.rest
	if r.headerLen == 0 || len(b) < r.headerLen {
		return r.nextSlow()
	}
	h := b[:16]
	sec := binary.LittleEndian.Uint32(h[0:])
	fraction := binary.LittleEndian.Uint32(h[4:])
	if r.bigEndian {
		sec, fraction = bits.ReverseBytes32(sec), bits.ReverseBytes32(fraction)
	}
	capLen, wireLen := r.sizes(h)
	end := r.headerLen + int(capLen)
	if capLen > r.limit || end > len(b) {
		return r.nextSlow()
	}
	p := &r.packet
	p.Time = int64(sec)*second + int64(fraction)*r.tick
	p.Data = b[r.headerLen:end:end]
	p.WireLen = wireLen
	if r.headerLen > 16 {
		r.readDevice(b[16:24])
	}
	r.rest = b[end:]
	r.count++
	return p, nil
}

// offset is where the unconsumed bytes begin in the uncompressed input.
func (r *Reader) offset() int64 { return r.read - int64(len(r.rest)) }

// fill reads until at least n bytes are unconsumed. If the input ends before,
// it returns src's error, and rest holds what there was.
func (r *Reader) fill(n int) error {
	for empty := 0; len(r.rest) < n; {
		if r.srcErr != nil {
			return r.srcErr
		}
		r.makeRoom()
		start := len(r.buf) - len(r.rest)
		got, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+got]
		r.rest = r.buf[start:]
		r.read += int64(got)
		r.srcErr = err
		if got > 0 {
			empty = 0
		} else if empty++; empty == 100 && err == nil {
			r.srcErr = io.ErrNoProgress
		}
	}
	return nil
}

// makeRoom moves the unconsumed bytes to the front of the buffer. It grows
// only where it has been full: once to bufferSize, and beyond that if a packet
// fills it. So memory follows the bytes that have come, never a length that a
// header claims.
func (r *Reader) makeRoom() {
	switch size := cap(r.buf); {
	case size < bufferSize && len(r.buf) == size:
		r.buf = make([]byte, 0, bufferSize)
	case len(r.rest) == size:
		r.buf = make([]byte, 0, 2*size)
	case len(r.rest) == len(r.buf):
		return // they are at the front: not to be moved for each read of a large packet
	}
	r.buf = append(r.buf[:0], r.rest...)
	r.rest = r.buf
}

// skip consumes n bytes without keeping them.
func (r *Reader) skip(n int64) error {
	for n > 0 {
		if err := r.fill(1); err != nil {
			return err
		}
		step := min(n, int64(len(r.rest)))
		r.rest = r.rest[step:]
		n -= step
	}
	return nil
}

// nextSlow is Next where the packet is not in the buffer, or not pcap's.
func (r *Reader) nextSlow() (*Packet, error) {
	if r.headerLen == 0 {
		return r.nextBlock()
	}
	if err := r.refill(); err != nil {
		return nil, err
	}
	return r.Next()
}

// refill reads on until a whole packet begins the unconsumed bytes.
func (r *Reader) refill() error {
	switch {
	case r.err != nil:
		return r.err
	case r.headerLen == 0:
		_, _, err := r.peekPacket()
		return err
	}
	return r.refillRecord()
}
