package vm

import (
	"sync/atomic"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf"
)

// atomic executes an atomic operation with the processor's own, so that
// machines which share memory may count in it together. As in the kernel the
// address must be aligned to the width and must not be in the context.
func (m *Machine) atomic(o *op) bool {
	base, width := o.dst, o.code-opAtomic
	switch int32(o.imm) {
	case ebpf.LoadAcquire:
		return m.loadAcquire(o, width)
	case ebpf.StoreRelease:
		return m.storeRelease(o, width)
	}
	addr := m.reg[base&15] + uint64(o.off)
	if !m.reachAtomic(addr, width, write) {
		return false
	}
	v, expected := m.reg[o.src&15], m.reg[0]
	var old uint64
	if width == 3 {
		old = exchange64((*uint64)(m.at(addr)), int32(o.imm), v, expected)
	} else {
		old = uint64(exchange32((*uint32)(m.at(addr)), int32(o.imm), uint32(v), uint32(expected)))
	}
	switch {
	case int32(o.imm) == ebpf.AtomicCmpXchg:
		m.reg[0] = old
	case int32(o.imm)&ebpf.AtomicFetch != 0:
		m.reg[o.src&15] = old
	}
	return true
}

func (m *Machine) reachAtomic(addr uint64, width opcode, kind accessKind) bool {
	n := uint64(1) << width
	if addr%n != 0 || !m.reachPlain(addr, n, kind) {
		return false
	}
	if kind == write {
		m.mayDirty(addr)
	}
	return true
}

// exchange64 does one read-modify-write and returns the value before it. All
// operations are made of the processor's compare-and-exchange, as most are in
// the kernel's JIT compilers.
func exchange64(p *uint64, operation int32, v, expected uint64) uint64 {
	for {
		old := atomic.LoadUint64(p)
		if atomic.CompareAndSwapUint64(p, old, apply(operation, old, v, expected)) {
			return old
		}
	}
}

func exchange32(p *uint32, operation int32, v, expected uint32) uint32 {
	for {
		old := atomic.LoadUint32(p)
		if atomic.CompareAndSwapUint32(p, old, apply(operation, old, v, expected)) {
			return old
		}
	}
}

// apply returns the value that an atomic operation leaves in the place of old.
func apply[T uint32 | uint64](operation int32, old, v, expected T) T {
	switch operation &^ ebpf.AtomicFetch {
	case ebpf.AtomicAdd:
		return old + v
	case ebpf.AtomicOr:
		return old | v
	case ebpf.AtomicAnd:
		return old & v
	case ebpf.AtomicXor:
		return old ^ v
	case ebpf.AtomicCmpXchg &^ ebpf.AtomicFetch:
		if old != expected {
			return old
		}
	}
	return v // exchange, or compare-and-exchange that compared equal
}

// Load-acquire and store-release of a byte or two go through the word around
// them, because Go's atomics start at 4 bytes; the arena reaches beyond every
// piece of memory that a program may touch, so the word is always there.

func (m *Machine) loadAcquire(o *op, width opcode) bool {
	addr := m.reg[o.src&15] + uint64(o.off)
	if !m.reachAtomic(addr, width, read) {
		return false
	}
	if width == 3 {
		m.reg[o.dst&15] = atomic.LoadUint64((*uint64)(m.at(addr)))
		return true
	}
	word, shift, mask := around(m.at(addr&^3), addr, width)
	m.reg[o.dst&15] = uint64(atomic.LoadUint32(word) >> shift & mask)
	return true
}

func (m *Machine) storeRelease(o *op, width opcode) bool {
	addr := m.reg[o.dst&15] + uint64(o.off)
	if !m.reachAtomic(addr, width, write) {
		return false
	}
	v := m.reg[o.src&15]
	if width == 3 {
		atomic.StoreUint64((*uint64)(m.at(addr)), v)
		return true
	}
	word, shift, mask := around(m.at(addr&^3), addr, width)
	for {
		old := atomic.LoadUint32(word)
		next := old&^(mask<<shift) | uint32(v)&mask<<shift
		if atomic.CompareAndSwapUint32(word, old, next) {
			return true
		}
	}
}

// around returns the aligned word that holds the value at addr, and where in
// the word it is.
func around(p unsafe.Pointer, addr uint64, width opcode) (word *uint32, shift, mask uint32) {
	return (*uint32)(p), uint32(addr&3) * 8, 1<<(8<<width) - 1
}
