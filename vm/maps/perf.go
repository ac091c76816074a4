package maps

import "sync"

// A perfArray takes records that programs send to user space, by CPU. Each
// slot holds the number of a reader, plus 1: the CPU whose events it reads. In
// the kernel user space opens a perf event for each CPU and puts it into the
// slot of that number; here that is so from the start, as far as there are
// slots. User space may take readers away (Delete), and put the one of a CPU
// back (Update, with the number of the CPU as value).
type perfArray struct {
	*index
	mu      sync.Mutex
	records []record
	data    []byte // of the records, one behind the other
}

type record struct{ cpu, length int }

const (
	// perfPending is how many bytes may wait for user space, as in the
	// buffers of the kernel, which drops what does not fit.
	perfPending = 1 << 22

	// perfRecord is the largest record: the kernel's has its length, with
	// a head, in 16 bits.
	perfRecord = 1<<16 - 24

	// perfOverhead is counted for each record, so that empty ones come to
	// an end, too.
	perfOverhead = 16
)

func newPerfArray(m *Map) (kind, error) {
	x, err := newIndex(m)
	if err != nil {
		return nil, err
	}
	for cpu := range min(m.spec.MaxEntries, uint32(m.set.cpus)) {
		x.exchange(x.data+8*cpu, uint64(cpu)+1)
	}
	return &perfArray{index: x}, nil
}

func (p *perfArray) read([]byte, []byte) Errno { return ENOTSUPP }

func (p *perfArray) write(key, value []byte, flags uint64, _ int) Errno {
	return p.fdUpdate(key, value, flags, func(cpu uint32) (uint64, Errno) {
		if cpu >= uint32(p.set.cpus) {
			return 0, EBADF
		}
		return uint64(cpu) + 1, 0
	})
}

// PerfCurrentCPU is the index that stands for the CPU of the program.
const PerfCurrentCPU = 1<<32 - 1

// PerfOutput is perf_event_output by a program on a CPU: index is the lower half
// of its flags. The record is data, and behind it the part of the packet that
// the flags of a program for packets ask for. It fails as the kernel does
// where no reader is, or the reader of another CPU.
func (m *Map) PerfOutput(index uint64, cpu int, data, packet []byte) Errno {
	p, ok := m.kind.(*perfArray)
	if !ok || index > PerfCurrentCPU {
		return EINVAL
	}
	if index == PerfCurrentCPU {
		index = uint64(cpu)
	}
	if index >= uint64(m.spec.MaxEntries) {
		return E2BIG
	}
	switch p.entryAt(uint32(index)) {
	case 0:
		return ENOENT
	case uint64(cpu) + 1:
		return p.append(cpu, data, packet)
	}
	return EOPNOTSUPP
}

func (p *perfArray) append(cpu int, data, packet []byte) Errno {
	n := len(data) + len(packet)
	if n > perfRecord {
		return E2BIG
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.data)+n+perfOverhead*(len(p.records)+1) > perfPending {
		return ENOSPC
	}
	p.records = append(p.records, record{cpu, n})
	p.data = append(append(p.data, data...), packet...)
	return 0
}

func (p *perfArray) drain(visit func(int, []byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := 0
	for _, r := range p.records {
		visit(r.cpu, p.data[at:][:r.length:r.length])
		at += r.length
	}
	p.records, p.data = p.records[:0], p.data[:0]
}

// Drain takes the records that programs have sent through a ring buffer or a
// perf event array, in order, and calls visit with each: the CPU that sent it
// (0 in a ring buffer) and the data, which is good until visit returns. Visit
// must not use the map. The data is as long as the program said; readers of the
// kernel's perf events get up to 7 bytes of filling behind it. In other kinds
// there are no records.
func (m *Map) Drain(visit func(cpu int, data []byte)) {
	if d, ok := m.kind.(interface{ drain(func(int, []byte)) }); ok && !m.closed() {
		d.drain(visit)
	}
}
