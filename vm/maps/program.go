package maps

import "unsafe"

// What follows is for helper functions: operations as programs use them. They
// do not allocate. Whether a program may call them on a map at all
// ([abi.MapInfo.Calls]) is for the caller to check, when the program is loaded;
// so are the lengths of key and value, and that frozen or read-only values are
// not written.

// Find is map_lookup_elem on a CPU, and map_lookup_percpu_elem for any CPU: it
// returns the address of the value, 0 if there is none. In a map of maps it is
// the address of the inner map's header.
func (m *Map) Find(key []byte, cpu int) uint32 {
	if m.step != 0 && uint(cpu) >= uint(m.set.cpus) {
		return 0
	}
	return m.FindAt(m.set.mem.Base(), unsafe.Pointer(unsafe.SliceData(key)), uint32(cpu))
}

// FindAt is Find for a machine, which has the arena's base at hand and knows
// that the CPU is one of the set's. It goes straight to the kinds that programs
// look up most.
func (m *Map) FindAt(base, key unsafe.Pointer, cpu uint32) uint32 {
	var addr uint32
	switch {
	case m.array != nil:
		return m.array.value(load32(key), cpu)
	case m.hash != nil:
		addr = m.hash.findAt(base, key)
	default:
		addr = m.kind.find(unsafe.Slice((*byte)(key), m.spec.KeySize))
	}
	if addr == 0 {
		return 0
	}
	return addr + cpu*m.step
}

// Put is map_update_elem by a program on a CPU. In a per-CPU map it sets the
// value of that CPU, in a new element those of the others to zero.
func (m *Map) Put(key, value []byte, flags uint64, cpu int) Errno {
	if uint(cpu) >= uint(m.set.cpus) {
		return EINVAL
	}
	return m.kind.write(key, value, flags, cpu)
}

// Remove is map_delete_elem.
func (m *Map) Remove(key []byte) Errno { return m.kind.remove(key) }

// ForEach is for_each_map_elem on a CPU: it calls visit with each key and the
// address of its value, until visit returns false, and returns how many it
// visited. In a hash map, visit may delete the element and others.
func (m *Map) ForEach(cpu int, visit func(key []byte, value uint32) bool) (visited int) {
	return m.kind.each(uint32(cpu)*m.step, visit)
}

// Push is map_push_elem, for queues, stacks and bloom filters.
func (m *Map) Push(value []byte, flags uint64) Errno { return m.kind.write(nil, value, flags, 0) }

// Pop is map_pop_elem, for queues and stacks.
func (m *Map) Pop(value []byte) Errno { return m.kind.take(nil, value) }

// Peek is map_peek_elem. In a bloom filter the value goes in.
func (m *Map) Peek(value []byte) Errno { return m.kind.read(nil, value) }

// Bytes returns the value at an address that Find or ForEach gave, as memory.
func (m *Map) Bytes(addr uint32) []byte { return m.bytes(addr, m.spec.ValueSize) }
