package replay

import (
	"iter"
	"slices"

	"github.com/bpflab/bpflab/vm/capture"
)

// A Match is a packet that a filter matches.
type Match struct {
	Number int // in the capture, from 1
	reader *capture.Reader
	offset int64
}

// Packet decodes the packet. It is valid until the next call for any match, and
// like the match itself no longer than the visit.
func (m Match) Packet() *capture.Packet { return m.reader.PacketAt(m.offset) }

// Matches are packets that a filter matches, in their order.
type Matches struct {
	reader *capture.Reader
	first  int   // the number of the packet that those of hits count from
	begin  int64 // the offset that those of hits count from
	hits   []hit
}

// A hit is where a match is, in few bytes: there may be one for each packet.
type hit struct{ number, offset uint32 }

// Len returns how many there are.
func (m *Matches) Len() int { return len(m.hits) }

// All iterates over them.
func (m *Matches) All() iter.Seq[Match] {
	return func(yield func(Match) bool) {
		for _, h := range m.hits {
			if !yield(Match{m.first + int(h.number), m.reader, m.begin + int64(h.offset)}) {
				return
			}
		}
	}
}

func (m *Matches) clear() { m.hits = m.hits[:0] }

// add appends the packets of a batch whose verdicts are not 0. It finds them
// without a branch, which in mixed traffic the processor would often guess wrong.
func (m *Matches) add(b *capture.Batch, verdicts []uint32) {
	n := len(m.hits)
	if n == 0 {
		m.first, m.begin = b.First, b.Offset
	}
	number, offset := uint32(b.First-m.first), uint32(b.Offset-m.begin)
	m.hits = slices.Grow(m.hits, len(verdicts)+1)
	hits, starts := m.hits[:n+len(verdicts)+1], b.Starts[:len(verdicts)]
	for i, v := range verdicts {
		hits[n] = hit{number + uint32(i), offset + starts[i]}
		n += int((v | -v) >> 31)
	}
	m.hits = hits[:n]
}
