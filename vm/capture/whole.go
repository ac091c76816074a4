package capture

import "encoding/binary"

// takeWhole consumes all packets that are there to their last byte, and in pcapng
// the blocks between them as well. It looks at nothing of a packet but its
// lengths.
func (r *Reader) takeWhole() {
	if r.headerLen != 0 {
		r.takeRecords()
	} else {
		r.takeBlocks()
	}
}

func (r *Reader) takeRecords() {
	window, l := r.rest, r.layout
	n, at := 0, 0
	for len(window)-at >= l.headerLen {
		capLen, _ := l.sizes(window[at : at+16])
		end := at + l.headerLen + int(capLen)
		if capLen > l.limit || end > len(window) {
			break
		}
		n, at = n+1, end
	}
	r.rest = window[at:]
	r.count += n
}

// takeBlocks begins no other section behind packets, as a [Piece] must be able to
// decode again any of its packets.
func (r *Reader) takeBlocks() {
	first := r.offset()
	for r.err == nil {
		r.takePacketBlocks()
		if !r.hasBlock() {
			return
		}
		block := r.rest
		if binary.LittleEndian.Uint32(block) == blockSection && r.offset() > first {
			return
		}
		if kind, body, err := r.peekBlock(); err != nil || r.takeBlock(kind, body) != nil {
			r.rest = block // and r.err says what is wrong with it
		}
	}
}

func (r *Reader) takePacketBlocks() {
	for b := r.rest; len(b) >= 12; b = r.rest {
		total := r.uint32(b[4:])
		if !isPacket(r.uint32(b)) || total < 12 || total%4 != 0 || uint64(total) > uint64(min(len(b), maxBlock)) {
			return
		}
		r.rest = b[total:]
		r.count++
	}
}

// hasBlock reports whether the block that begins here is there to its last byte,
// or is damaged.
func (r *Reader) hasBlock() bool {
	if len(r.rest) < 12 {
		return false
	}
	if binary.LittleEndian.Uint32(r.rest) == blockSection && r.sectionOrder() != nil {
		return true
	}
	total := r.uint32(r.rest[4:])
	return total < 12 || total%4 != 0 || uint64(total) <= uint64(len(r.rest))
}
