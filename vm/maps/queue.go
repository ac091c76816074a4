package maps

import (
	"sync"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A queue gives its values back in the order in which they came, a stack the
// last one first. Both are a ring of values, each rounded up to 8 bytes. A
// value is a copy: there are no pointers into the map.
type queue struct {
	refusal
	data, stride uint32
	stack        bool
	mu           sync.Mutex
	first, count uint32
}

func newQueue(m *Map) (kind, error) {
	q := &queue{refusal: refusal{m, EINVAL}, stack: m.spec.Kind == abi.Stack}
	stride := round8(uint64(m.spec.ValueSize))
	q.stride = uint32(stride)
	var err error
	q.data, err = m.set.mem.Alloc(product(uint64(m.spec.MaxEntries), stride))
	return q, err
}

func (q *queue) layout() layout { return layout{elements: q.data, stride: q.stride} }

// place returns the address of the i-th oldest value.
func (q *queue) place(i uint32) uint32 {
	n := (uint64(q.first) + uint64(i)) % uint64(q.spec.MaxEntries)
	return q.data + uint32(n)*q.stride
}

// read is peek. An empty queue clears the value, too.
func (q *queue) read(_, value []byte) Errno {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.head(value)
}

func (q *queue) head(value []byte) Errno {
	switch {
	case q.count == 0:
		clear(value)
		return ENOENT
	case q.stack:
		q.get(q.place(q.count-1), value)
	default:
		q.get(q.place(0), value)
	}
	return 0
}

// take is pop.
func (q *queue) take(_, value []byte) Errno {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.head(value); e != 0 {
		return e
	}
	if !q.stack {
		q.drop()
	} else {
		q.count--
	}
	return 0
}

// drop forgets the oldest value.
func (q *queue) drop() {
	q.count--
	if q.first++; q.first == q.spec.MaxEntries {
		q.first = 0
	}
}

// write is push. With BPF_EXIST a full map drops its oldest value.
func (q *queue) write(_, value []byte, flags uint64, _ int) Errno {
	if flags != abi.UpdateAny && flags != abi.UpdateExist {
		return EINVAL
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == q.spec.MaxEntries {
		if flags == abi.UpdateAny {
			return E2BIG
		}
		q.drop()
	}
	q.put(q.place(q.count), value, userSpace)
	q.count++
	return 0
}
