package capture

import (
	"io"
	"slices"
)

// Detach takes the packets that follow out of r, at least one and no more than
// are at hand, and makes piece the reader of them, for another goroutine to
// decode and judge. It looks at nothing but their lengths. What piece was before
// is overwritten: its buffer is what r reads into, so that it stays in the cache
// of a processor that always brings the same piece. The zero Reader is ready
// for use.
//
// Numbers, offsets and interfaces are those of the whole capture. The errors
// are those of Next, except that damage inside a pcapng block is for the
// piece to report, to which it is the end: r may go on behind it.
func (r *Reader) Detach(piece *Reader) error {
	buf := piece.buf[:0]
	if cap(buf) < bufferSize {
		buf = make([]byte, 0, bufferSize)
	}
	r.buf = append(buf, r.rest...)
	r.rest = r.buf
	n, end := r.atHand()
	if n == 0 {
		if err := r.refill(); err != nil {
			return err
		}
		n, end = r.atHand()
	}
	*piece = *r
	piece.whole, piece.packet.piece = r, piece
	piece.rest = r.rest[:end]
	piece.buf = r.buf[:len(r.buf)-len(r.rest)+end]
	piece.read = r.offset() + int64(end)
	piece.src, piece.srcErr = nil, io.EOF
	// The rest stays where it is until more is read, elsewhere.
	r.rest = slices.Clip(r.rest[end:])
	r.buf = r.rest
	r.count += n
	return nil
}

// atHand counts the packets at the front of the buffer that are there to their
// last byte, and returns where they end.
func (r *Reader) atHand() (n, end int) {
	if r.headerLen != 0 {
		return r.wholeRecords()
	}
	return r.wholeBlocks()
}

func (r *Reader) wholeRecords() (n, at int) {
	window := r.rest
	for len(window)-at >= r.headerLen {
		h := window[at : at+16]
		capLen, _ := r.lengths.sort(r.uint32(h[8:]), r.uint32(h[12:]))
		end := at + r.headerLen + int(capLen)
		if capLen > r.limit || end > len(window) {
			break
		}
		n, at = n+1, end
	}
	return n, at
}

// wholeBlocks stops at a block that may change how those behind it are read.
func (r *Reader) wholeBlocks() (n, at int) {
	for window := r.rest; len(window) >= 12; window = r.rest[at:] {
		total := r.uint32(window[4:])
		if !isPacket(r.uint32(window)) || total < 12 || total%4 != 0 || uint64(total) > uint64(min(len(window), maxBlock)) {
			break
		}
		n, at = n+1, at+int(total)
	}
	return n, at
}
