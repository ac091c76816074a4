package maps

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// Maps lie in the arena. What several machines may read and write at a time is
// accessed with atomic operations of 4 or 8 bytes, aligned; values are copied
// as plain bytes, as the kernel copies them.

func (m *Map) at(addr uint32) unsafe.Pointer {
	return unsafe.Add(m.set.mem.Base(), uintptr(addr))
}

// bytes returns n bytes at an address that belongs to the map.
func (m *Map) bytes(addr uint32, n uint32) []byte {
	return unsafe.Slice((*byte)(m.at(addr)), n)
}

func (m *Map) word(addr uint32) *uint32 { return (*uint32)(m.at(addr)) }

func (m *Map) load(addr uint32) uint32     { return atomic.LoadUint32(m.word(addr)) }
func (m *Map) store(addr uint32, v uint32) { atomic.StoreUint32(m.word(addr), v) }

func (m *Map) pair(addr uint32) *uint64 { return (*uint64)(m.at(addr)) }

// Keys and values hold numbers as the machine does, little endian.

func get32(b []byte) uint32    { return binary.LittleEndian.Uint32(b) }
func put32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

func load32(p unsafe.Pointer) uint32 { return get32((*[4]byte)(p)[:]) }
func load64(p unsafe.Pointer) uint64 { return binary.LittleEndian.Uint64((*[8]byte)(p)[:]) }

// loadBytes returns the first n bytes at p as a number, n at most 8.
func loadBytes(p unsafe.Pointer, n uint32) uint64 {
	switch n {
	case 8:
		return load64(p)
	case 4:
		return uint64(load32(p))
	}
	var v uint64
	for i := range n {
		v |= uint64(*(*byte)(unsafe.Add(p, i))) << (8 * i)
	}
	return v
}
