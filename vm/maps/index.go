package maps

import (
	"sync/atomic"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// Kinds that hold other objects have an array of slots of 8 bytes, each 0 or a
// word that stands for the object and a second word that some kinds use. A
// slot changes as a whole.
type index struct {
	*Map
	data uint32
}

func newIndex(m *Map) (*index, error) {
	data, err := m.set.mem.Alloc(8 * uint64(m.spec.MaxEntries))
	return &index{m, data}, err
}

func (x *index) layout() layout { return layout{elements: x.data, stride: 8} }

// slot returns the address of the slot for a key, 0 for a key beyond the end.
func (x *index) slot(key []byte) uint32 {
	i := get32(key)
	if i >= x.spec.MaxEntries {
		return 0
	}
	return x.data + 8*i
}

// entry returns what is in a slot, 0 for a key beyond the end; entryAt does
// so for the key as a number.
func (x *index) entry(key []byte) uint64 { return x.entryAt(get32(key)) }

func (x *index) entryAt(i uint32) uint64 {
	if i >= x.spec.MaxEntries {
		return 0
	}
	return atomic.LoadUint64(x.pair(x.data + 8*i))
}

// exchange sets a slot and returns what was there.
func (x *index) exchange(slot uint32, v uint64) uint64 {
	return atomic.SwapUint64(x.pair(slot), v)
}

func (x *index) find([]byte) uint32          { return 0 }
func (x *index) take([]byte, []byte) Errno   { return ENOTSUPP }
func (x *index) next(key, next []byte) Errno { return nextIndex(x.spec.MaxEntries, key, next) }
func (x *index) read(key, value []byte) Errno {
	e := x.entry(key)
	if e == 0 {
		return ENOENT
	}
	put32(value, uint32(e))
	return 0
}

// each visits the slots that are not empty.
func (x *index) each(_ uint32, visit func([]byte, uint32) bool) (visited int) {
	var key [4]byte
	for i := range x.spec.MaxEntries {
		if x.entryAt(i) == 0 {
			continue
		}
		put32(key[:], i)
		visited++
		if !visit(key[:], x.data+8*i) {
			return visited
		}
	}
	return visited
}

// remove is fd_array_map_delete_elem.
func (x *index) remove(key []byte) Errno {
	slot := x.slot(key)
	switch {
	case slot == 0:
		return E2BIG
	case x.exchange(slot, 0) == 0:
		return ENOENT
	}
	return 0
}

// fdUpdate is bpf_fd_array_map_update_elem: it puts into a slot what get makes of
// the number in the value.
func (x *index) fdUpdate(key, value []byte, flags uint64, get func(uint32) (uint64, Errno)) Errno {
	slot := x.slot(key)
	switch {
	case flags != abi.UpdateAny:
		return EINVAL
	case slot == 0:
		return E2BIG
	}
	v, e := get(get32(value))
	if e == 0 {
		x.exchange(slot, v)
	}
	return e
}

// A progArray holds the programs for tail calls, each by its id.
type progArray struct{ *index }

func newProgArray(m *Map) (kind, error) {
	x, err := newIndex(m)
	return progArray{x}, err
}

func (p progArray) write(key, value []byte, flags uint64, _ int) Errno {
	return p.fdUpdate(key, value, flags, func(id uint32) (uint64, Errno) {
		return uint64(id), p.checkProgram(id)
	})
}

// checkProgram says whether a program may stand in the map.
func (m *Map) checkProgram(id uint32) Errno {
	switch {
	case id == 0:
		return EBADF
	case m.set.CheckProgram != nil:
		return m.set.CheckProgram(m.spec.Kind, id)
	}
	return 0
}

// A cgroupArray would hold control groups. There are none here, so no number
// stands for one and all slots stay empty.
type cgroupArray struct{ *index }

func newCGroupArray(m *Map) (kind, error) {
	x, err := newIndex(m)
	return cgroupArray{x}, err
}

func (c cgroupArray) read([]byte, []byte) Errno { return ENOTSUPP }

func (c cgroupArray) write(key, value []byte, flags uint64, _ int) Errno {
	return c.fdUpdate(key, value, flags, func(uint32) (uint64, Errno) { return 0, EBADF })
}

// TailCall returns the id of the program at an index of a prog_array, 0 if
// there is none: tail_call then goes on behind the call.
func (m *Map) TailCall(i uint32) uint32 {
	if i >= m.spec.MaxEntries {
		return 0
	}
	return uint32(atomic.LoadUint64(m.pair(m.place.elements + 8*i)))
}
