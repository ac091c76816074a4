package maps

import (
	"runtime"
	"sync/atomic"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// put copies a value into the element whose first value is at addr. A program
// sets the value of its CPU; user space those of all. The spin lock in a value
// is left alone (copy_map_value in include/linux/bpf.h).
func (m *Map) put(addr uint32, value []byte, from int) {
	if m.step != 0 && from != userSpace {
		addr += uint32(from) * m.step
	}
	if lock := m.spec.SpinLock; lock != nil {
		copy(m.bytes(addr, *lock), value)
		copy(m.bytes(addr+*lock+4, m.spec.ValueSize-*lock-4), value[*lock+4:])
		return
	}
	copy(m.bytes(addr, uint32(len(value))), value)
}

// get copies the value or values at addr out, for user space. The spin lock
// reads as zero.
func (m *Map) get(addr uint32, value []byte) {
	copy(value, m.bytes(addr, uint32(len(value))))
	if lock := m.spec.SpinLock; lock != nil {
		clear(value[*lock:][:4])
	}
}

// putLocked is put while holding the lock in the value.
func (m *Map) putLocked(addr uint32, value []byte, from int, flags uint64) {
	if flags&abi.UpdateLock == 0 {
		m.put(addr, value, from)
		return
	}
	m.Lock(addr)
	m.put(addr, value, from)
	m.Unlock(addr)
}

// locklessly reports whether flags ask for a lock that the value has not.
func (m *Map) locklessly(flags uint64) bool {
	return flags&abi.UpdateLock != 0 && m.spec.SpinLock == nil
}

// Lock takes the spin lock in the value at addr, as the helper spin_lock does
// for a program. It waits for ever if the lock is never given back.
func (m *Map) Lock(addr uint32) {
	for !m.TryLock(addr) {
		runtime.Gosched()
	}
}

// TryLock takes the lock if it is free, and reports whether it was.
func (m *Map) TryLock(addr uint32) bool {
	return atomic.CompareAndSwapUint32(m.word(addr+*m.spec.SpinLock), 0, 1)
}

// Unlock gives the lock back.
func (m *Map) Unlock(addr uint32) { m.store(addr+*m.spec.SpinLock, 0) }
