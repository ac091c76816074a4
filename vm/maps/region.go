package maps

import (
	"cmp"
	"slices"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A region is the part of the arena where a map has the values that programs
// may point to.
type region struct {
	start, end uint64
	m          *Map
}

func (s *Set) addRegion(m *Map) {
	count := m.place.count
	switch m.spec.Kind {
	case abi.ArrayOfMaps, abi.HashOfMaps:
		return // programs see addresses of headers, which are not memory
	case abi.DevMap, abi.XSKMap:
		count = m.spec.MaxEntries
	}
	if count == 0 {
		return
	}
	start := uint64(m.place.elements)
	r := region{start, start + uint64(count)*uint64(m.place.stride), m}
	i, _ := s.region(start)
	s.values = slices.Insert(s.values, i, r)
}

// region returns the index of the first region that ends behind an address,
// and whether the address is in it.
func (s *Set) region(addr uint64) (i int, in bool) {
	i, _ = slices.BinarySearchFunc(s.values, addr, func(r region, addr uint64) int {
		return cmp.Compare(r.end, addr+1)
	})
	return i, i < len(s.values) && addr >= s.values[i].start
}

// ValueAt finds the value that an address lies in: the map, the address of the
// first byte of the value, and its length. Keys, links between elements and
// filling between values are not values; the map is nil for them. The value of
// a deleted element is one.
func (s *Set) ValueAt(addr uint64) (m *Map, start, length uint32) {
	i, in := s.region(addr)
	if !in {
		return nil, 0, 0
	}
	m = s.values[i].m
	inside := uint32(addr-s.values[i].start) % m.place.stride
	if inside < m.place.offset {
		return nil, 0, 0
	}
	inside -= m.place.offset
	if m.step != 0 {
		inside %= m.step
	}
	if inside >= m.spec.ValueSize {
		return nil, 0, 0
	}
	return m, uint32(addr) - inside, m.spec.ValueSize
}
