package capture

import (
	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/engine"
)

// batchPackets bounds a batch. Its frames and their packets then stay in the
// first-level cache between the reader and the filter.
const batchPackets = 256

// A Batch is a row of packets of one link type where they lie in the reader's
// buffer. A filter that turns most of them down needs the bytes and the length
// of each; [Reader.PacketAt] decodes one that is wanted.
type Batch struct {
	Frames   []engine.Frame
	LinkType cbpf.LinkType // of all frames
	First    int           // number of the first packet in the capture, from 1

	// Offset plus Starts[i] is where the record or block of packet i begins in
	// the uncompressed capture, for [Reader.PacketAt].
	Offset int64
	Starts []uint32

	window []byte // what Offset is the offset of
}

// NextBatch replaces what b holds by the packets that follow, at least one and
// no more than are at hand: it asks the source only if there is none, so that
// packets of a live one come as soon as they are complete. The errors are
// those of Next, after the packets before the damage. What b held before is
// overwritten; the zero Batch is ready for use.
func (r *Reader) NextBatch(b *Batch) error {
	if b.Frames == nil {
		b.Frames, b.Starts = make([]engine.Frame, 0, batchPackets), make([]uint32, 0, batchPackets)
	}
	if r.frames(b); len(b.Frames) > 0 {
		return nil
	}
	if err := r.refill(); err != nil {
		return err
	}
	if r.frames(b); len(b.Frames) > 0 {
		return nil
	}
	p, err := r.Next() // of a rare kind of block, or damaged
	if err != nil {
		return err
	}
	b.Starts = append(b.Starts, 0)
	b.Frames = append(b.Frames, engine.Frame{Data: p.Data, WireLen: p.WireLen})
	b.LinkType = p.LinkType
	return nil
}

// PacketAt returns, a second time, the packet whose record begins at an offset.
// It must be one of the last batch, or of a [Piece] any; it is valid
// until the next call of this method or of one that reads on.
func (r *Reader) PacketAt(offset int64) *Packet {
	rest, count, err := r.rest, r.count, r.err
	r.rest, r.err = r.buf[offset-(r.read-int64(len(r.buf))):], nil
	p, _ := r.Next() // it was there before
	r.rest, r.count, r.err = rest, count, err
	return p
}

// frames makes a batch of the packets at the front of the buffer and consumes
// them. It stops before whatever takes more than decoding one kind of record.
func (r *Reader) frames(b *Batch) {
	b.Frames, b.Starts, b.First = b.Frames[:batchPackets], b.Starts[:batchPackets], r.count+1
	b.window, b.Offset = r.rest, r.offset()
	n, end := 0, 0
	if r.headerLen != 0 {
		n, end = r.recordFrames(b)
	} else {
		n, end = r.blockFrames(b)
	}
	b.Frames, b.Starts = b.Frames[:n], b.Starts[:n]
	r.rest = r.rest[end:]
	r.count += n
}

// recordFrames fills in the frames of pcap records, and returns how many and
// where they end.
func (r *Reader) recordFrames(b *Batch) (n, at int) {
	window, frames, starts := b.window, b.Frames, b.Starts[:len(b.Frames)]
	l := r.layout
	for n < len(frames) && len(window)-at >= l.headerLen {
		capLen, wireLen := l.sizes(window[at : at+16])
		end := at + l.headerLen + int(capLen)
		if capLen > l.limit || end > len(window) {
			break
		}
		frames[n] = engine.Frame{Data: window[at+l.headerLen : end : end], WireLen: wireLen}
		starts[n] = uint32(at)
		n, at = n+1, end
	}
	b.LinkType = r.packet.LinkType
	return n, at
}

// blockFrames is recordFrames for enhanced packet blocks. What makes it stop is
// either no damage or such that Next finds it.
func (r *Reader) blockFrames(b *Batch) (n, at int) {
	window, starts := b.window, b.Starts[:len(b.Frames)]
	interfaces := r.described()[r.sectionBase:]
	for n < len(b.Frames) && len(window)-at >= 32 {
		block := window[at:]
		total, id := r.uint32(block[4:]), r.uint32(block[8:])
		if r.uint32(block) != blockEnhanced || total < 32 || total%4 != 0 ||
			int64(total) > int64(len(block)) || int64(id) >= int64(len(interfaces)) {
			break
		}
		capLen, link := r.uint32(block[20:]), interfaces[id].LinkType
		if capLen > total-32 || r.uint32(block[total-4:]) != total || n > 0 && link != b.LinkType {
			break
		}
		end := 28 + int(capLen)
		b.Frames[n] = engine.Frame{Data: block[28:end:end], WireLen: r.uint32(block[24:])}
		b.LinkType, starts[n] = link, uint32(at)
		n, at = n+1, at+int(total)
	}
	return n, at
}
