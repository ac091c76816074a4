package maps

import "github.com/bpflab/bpflab/ebpf/abi"

// Maps of maps hold the addresses of the headers of their inner maps, in 8
// bytes each. User space speaks of inner maps by id. (In the kernel it puts a
// map in by file descriptor, and gets its id back.)

// inner returns the header of the map with an id, as bpf_map_fd_get_ptr does
// of a file descriptor.
func (m *Map) inner(id uint32) (uint64, Errno) {
	in := m.set.ByID(id)
	switch {
	case in == nil:
		return 0, EBADF
	case !sameShape(m.spec.Inner, &in.spec):
		return 0, EINVAL
	}
	return uint64(in.addr), 0
}

// innerID returns the id of an inner map by the address of its header.
func (m *Map) innerID(addr uint32) uint32 { return m.load(addr + HeaderID) }

type arrayOfMaps struct{ *index }

func newArrayOfMaps(m *Map) (kind, error) {
	x, err := newIndex(m)
	return arrayOfMaps{x}, err
}

func (a arrayOfMaps) find(key []byte) uint32 { return uint32(a.entry(key)) }

func (a arrayOfMaps) read(key, value []byte) Errno {
	addr := a.find(key)
	if addr == 0 {
		return ENOENT
	}
	put32(value, a.innerID(addr))
	return 0
}

func (a arrayOfMaps) write(key, value []byte, flags uint64, _ int) Errno {
	return a.fdUpdate(key, value, flags, a.inner)
}

type hashOfMaps struct{ *hash }

func newHashOfMaps(m *Map) (kind, error) {
	h, err := makeHash(m, 8)
	return hashOfMaps{h}, err
}

func (h hashOfMaps) find(key []byte) uint32 {
	value := h.hash.find(key)
	if value == 0 {
		return 0
	}
	return h.load(value)
}

func (h hashOfMaps) read(key, value []byte) Errno {
	addr := h.find(key)
	if addr == 0 {
		return ENOENT
	}
	put32(value, h.innerID(addr))
	return 0
}

// write is bpf_fd_htab_map_update_elem, which looks at the inner map first.
func (h hashOfMaps) write(key, value []byte, flags uint64, from int) Errno {
	addr, e := h.inner(get32(value))
	if e != 0 {
		return e
	}
	var full [8]byte
	put32(full[:], uint32(addr))
	return h.hash.write(key, full[:], flags&^abi.UpdateLock, from)
}

func (h hashOfMaps) take([]byte, []byte) Errno { return ENOTSUPP }
