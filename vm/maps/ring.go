package maps

import "sync"

// A ring is a ring buffer: a program reserves a record, fills it in and
// submits or discards it; user space takes the records in the order of their
// reservation. A record is
//
//	0  length of the data; bit 31: not submitted yet; bit 30: discarded
//	4  id of the map
//	8  data, and up to 7 bytes of filling
//
// at its position modulo the size. One that goes over the end goes on behind
// it: as much memory again lies there. (The kernel maps the first pages there
// a second time, which comes to the same.)
type ring struct {
	refusal
	data, size uint32
	mu         sync.Mutex
	consumer   uint64 // position of the oldest record that was not taken
	pending    uint64 // no later than that of the oldest that is not submitted
	producer   uint64 // where the next record will be
}

const (
	recordHead    = 8
	recordBusy    = 1 << 31
	recordDiscard = 1 << 30
	recordMax     = 1<<30 - 1
)

func newRing(m *Map) (kind, error) {
	r := &ring{refusal: refusal{m, ENOTSUPP}, size: m.spec.MaxEntries}
	var err error
	r.data, err = m.set.mem.Alloc(2 * uint64(r.size))
	return r, err
}

func (r *ring) layout() layout { return layout{elements: r.data} }

func (r *ring) place(pos uint64) uint32 { return r.data + uint32(pos)&(r.size-1) }

// span is how far it is from a record to the next.
func span(length uint64) uint64 { return round8(length + recordHead) }

// reserve is __bpf_ringbuf_reserve. The room ends one byte early, and no
// record may lie a whole ring ahead of one that is not submitted.
func (r *ring) reserve(size uint64) (addr uint32) {
	if size > recordMax || span(size) > uint64(r.size) {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.pending < r.producer {
		head := r.load(r.place(r.pending))
		if head&recordBusy != 0 {
			break
		}
		r.pending += span(uint64(head &^ recordDiscard))
	}
	end, limit := r.producer+span(size), uint64(r.size)-1
	if end-r.consumer > limit || end-r.pending > limit {
		return 0
	}
	head := r.place(r.producer)
	r.store(head, uint32(size)|recordBusy)
	r.store(head+4, r.id)
	r.producer = end
	return head + recordHead
}

// reserved returns the length of the reserved record whose data is at addr.
func (r *ring) reserved(addr uint32) (length uint32, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pos := r.pending; pos < r.producer; {
		head := r.load(r.place(pos))
		length := head &^ (recordBusy | recordDiscard)
		if r.place(pos)+recordHead == addr {
			return length, head&recordBusy != 0
		}
		pos += span(uint64(length))
	}
	return 0, false
}

func (r *ring) commit(addr uint32, discard bool) {
	head := r.load(addr-recordHead) &^ recordBusy
	if discard {
		head |= recordDiscard
	}
	r.store(addr-recordHead, head)
}

// drain takes the records up to the first that is not submitted.
func (r *ring) drain(visit func(int, []byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.consumer < r.producer {
		at := r.place(r.consumer)
		head := r.load(at)
		if head&recordBusy != 0 {
			return
		}
		length := head &^ recordDiscard
		if head&recordDiscard == 0 {
			visit(0, r.bytes(at+recordHead, length))
		}
		r.consumer += span(uint64(length))
		r.pending = max(r.pending, r.consumer)
	}
}

// Reserve is ringbuf_reserve: it returns the address of size bytes that the
// program may use until it submits or discards them, 0 if there is no room.
func (m *Map) Reserve(size, flags uint64) uint32 {
	r, ok := m.kind.(*ring)
	if !ok || flags != 0 {
		return 0
	}
	return r.reserve(size)
}

// Flags of ringbuf_submit, ringbuf_discard and ringbuf_output. Readers here are
// not asleep, so they change nothing.
const (
	RingNoWakeup    = 1
	RingForceWakeup = 2
)

// Output is ringbuf_output: Reserve, copy and submit.
func (m *Map) Output(data []byte, flags uint64) Errno {
	r, ok := m.kind.(*ring)
	if !ok || flags&^(RingNoWakeup|RingForceWakeup) != 0 {
		return EINVAL
	}
	addr := r.reserve(uint64(len(data)))
	if addr == 0 {
		return EAGAIN
	}
	copy(m.bytes(addr, uint32(len(data))), data)
	r.commit(addr, false)
	return 0
}

// What ringbuf_query tells.
const (
	RingAvailable = iota // bytes that were not taken yet, with heads
	RingSize
	RingConsumer // position of the consumer
	RingProducer
)

// Query is ringbuf_query.
func (m *Map) Query(what uint64) uint64 {
	r, ok := m.kind.(*ring)
	if !ok {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch what {
	case RingAvailable:
		return r.producer - r.consumer
	case RingSize:
		return uint64(r.size)
	case RingConsumer:
		return r.consumer
	case RingProducer:
		return r.producer
	}
	return 0
}

// Record finds the reserved record whose data is at addr, in whichever ring
// buffer of the set: its map and its length. It returns nil if there is none.
func (s *Set) Record(addr uint64) (m *Map, length uint32) {
	for _, r := range s.rings {
		if addr-uint64(r.data) < 2*uint64(r.size) {
			if length, ok := r.reserved(uint32(addr)); ok {
				return r.Map, length
			}
		}
	}
	return nil, 0
}

// Commit is ringbuf_submit, or ringbuf_discard, of the reserved record whose
// data is at addr. It reports whether there is one.
func (s *Set) Commit(addr uint64, discard bool) bool {
	m, _ := s.Record(addr)
	if m == nil {
		return false
	}
	m.kind.(*ring).commit(uint32(addr), discard)
	return true
}
