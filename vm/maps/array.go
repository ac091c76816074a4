package maps

import (
	"github.com/bpflab/bpflab/ebpf/abi"
)

// An array is a vector of values, each rounded up to 8 bytes; a per-CPU array
// has the values of all CPUs of an index side by side. All elements exist from
// the start and are zero. Pages that were never touched cost nothing.
type array struct {
	*Map
	data, count, stride uint32
	perCPU              uint32 // Map.step
}

func newArray(m *Map) (kind, error) {
	a := &array{Map: m, count: m.spec.MaxEntries, perCPU: m.step}
	stride := round8(uint64(m.spec.ValueSize))
	if m.step != 0 {
		stride *= uint64(m.set.cpus)
	}
	var err error
	a.data, err = m.set.mem.Alloc(product(uint64(m.spec.MaxEntries), stride))
	a.stride = uint32(stride)
	return a, err
}

// product is a*b, or more than an arena can hold.
func product(a, b uint64) uint64 {
	if a != 0 && b > (1<<48)/a {
		return 1 << 48
	}
	return a * b
}

func (a *array) layout() layout {
	return layout{elements: a.data, stride: a.stride, count: a.spec.MaxEntries}
}

func (a *array) find(key []byte) uint32 { return a.value(get32(key), 0) }

// value returns the address of a CPU's value, 0 for an index beyond the end.
func (a *array) value(i, cpu uint32) uint32 {
	if i >= a.count {
		return 0
	}
	return a.data + i*a.stride + cpu*a.perCPU
}

func (a *array) read(key, value []byte) Errno {
	addr := a.find(key)
	if addr == 0 {
		return ENOENT
	}
	a.get(addr, value)
	return 0
}

func (a *array) write(key, value []byte, flags uint64, from int) Errno {
	unknown := flags&^abi.UpdateLock > abi.UpdateExist
	if a.step != 0 && from == userSpace {
		unknown = flags > abi.UpdateExist // bpf_percpu_array_update knows no lock
	}
	addr := a.find(key)
	switch {
	case unknown:
		return EINVAL
	case addr == 0:
		return E2BIG
	case flags&abi.UpdateNoExist != 0:
		return EEXIST
	case a.locklessly(flags):
		return EINVAL
	}
	a.putLocked(addr, value, from, flags)
	return 0
}

func (a *array) remove([]byte) Errno       { return EINVAL }
func (a *array) take([]byte, []byte) Errno { return ENOTSUPP }

func (a *array) next(key, next []byte) Errno {
	return nextIndex(a.spec.MaxEntries, key, next)
}

// nextIndex counts through the keys of a kind that is indexed: a key behind
// the end is followed by the first.
func nextIndex(n uint32, key, next []byte) Errno {
	if key == nil || get32(key) >= n {
		put32(next, 0)
		return 0
	}
	i := get32(key)
	if i == n-1 {
		return ENOENT
	}
	put32(next, i+1)
	return 0
}

func (a *array) each(offset uint32, visit func([]byte, uint32) bool) int {
	var key [4]byte
	for i := range a.count {
		put32(key[:], i)
		if !visit(key[:], a.data+i*a.stride+offset) {
			return int(i) + 1
		}
	}
	return int(a.count)
}
