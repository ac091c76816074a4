// Package arena is the memory of a machine: one range of addresses from 0 to
// 4 GiB in which everything that a program can point to lies — packets,
// stacks, contexts, map values. A program's address is an offset into the
// range, so that addresses are the same on every run and every machine, fit
// the 32-bit data and data_end fields of the kernel's contexts, and become
// real pointers by one addition.
//
// Where the system has mmap, the whole range is reserved at once without
// memory behind it, and pages come into being when they are touched; the base
// never moves. Elsewhere a slice grows with the allocations, and the base
// moves when it does.
package arena

import (
	"errors"
	"fmt"
	"unsafe"
)

const (
	// Size is the end of the address range.
	Size = 1 << 32

	// Granule is the alignment of allocations and the gap left after each:
	// a multiple of every page size in use, so that the same program gets
	// the same addresses on every machine. The first granule is never
	// allocated: null pointers and small numbers are not addresses.
	Granule = 1 << 16
)

// ErrFull is the error of an allocation beyond [Size].
var ErrFull = errors.New("arena is full")

// An Arena is one such range. It is not safe for concurrent allocation;
// programs may share what has been allocated.
type Arena struct {
	mem  []byte // what may be touched: the whole range, or as far as allocated
	next uint64 // where the next allocation starts
}

// New reserves an arena. It costs address space, not memory.
func New() (*Arena, error) {
	if mem := takeSpare(); mem != nil {
		return &Arena{mem: mem, next: Granule}, nil
	}
	mem, err := reserve()
	if err != nil {
		return nil, fmt.Errorf("arena: %w", err)
	}
	return &Arena{mem: mem, next: Granule}, nil
}

// Alloc makes size zero bytes usable and returns their address, a multiple of
// [Granule]. At least a granule behind them stays invalid, so a program that
// runs over an end does not land in another allocation.
func (a *Arena) Alloc(size uint64) (uint32, error) {
	start := a.next
	end := (start + max(min(size, Size), 1) + Granule - 1) &^ (Granule - 1)
	if end+Granule > Size {
		return 0, fmt.Errorf("arena: %d bytes: %w", size, ErrFull)
	}
	mem, err := commit(a.mem, start, end)
	if err != nil {
		return 0, fmt.Errorf("arena: %d bytes: %w", size, err)
	}
	a.mem, a.next = mem, end+Granule
	return uint32(start), nil
}

// hugePage is the size of a huge page on most machines. Random access to a large
// table takes half the time if its pages are so large that the processor has all
// of their addresses at hand. But a page costs its size when a byte of it is
// touched.
const hugePage = 2 << 20

// FilledInOrder says that the size bytes at an allocated address will be touched
// from the first on. Behind the first 2 MiB the system then gives huge pages,
// where it has them.
func (a *Arena) FilledInOrder(addr uint32, size uint64) {
	if size > 2*hugePage {
		preferHuge(a.mem[uint64(addr)+hugePage : uint64(addr)+size])
	}
}

// Filled says that most pages of the size bytes at an allocated address have
// been touched. The system then moves them to huge pages, where it has them; the
// bytes may be read and written meanwhile.
func (a *Arena) Filled(addr uint32, size uint64) {
	if size > hugePage {
		makeHuge(a.mem[addr:][:size])
	}
}

// Bytes returns the n bytes at an allocated address. The slice is good until
// the next Alloc or Close.
func (a *Arena) Bytes(addr uint32, n int) []byte {
	return a.mem[addr:][:n:n]
}

// Base returns the pointer to address 0. It is good until the next Alloc or
// Close, and nothing at or near it may be touched: only allocated addresses.
func (a *Arena) Base() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(a.mem)) }

// Close gives the memory back. No address may be used after it.
func (a *Arena) Close() error {
	mem, end := a.mem, a.next
	a.mem, a.next = nil, Size
	if mem == nil || keepSpare(mem, end) {
		return nil
	}
	return release(mem)
}
