//go:build amd64 && unix

package jit

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is one piece of machine code. No page is ever writable and executable at
// once (W^X): a bug in a program's stores cannot become code, and systems which
// forbid pages of both kinds (SELinux, OpenBSD, hardened macOS) have nothing to
// object to. Where the code cannot be put into sharedCode, it gets pages of its
// own, which are written first and made executable then.
type memory struct {
	bytes  []byte // nil after Close
	shared bool
}

// pageSize is that of all systems on amd64.
const pageSize = 4096

// astray is what a jump behind the code finds: HLT, which is not allowed
// outside the kernel and ends in SIGSEGV, from which guarded recovers. UD2 and
// INT3 are the usual choice, but of their signals, SIGILL and SIGTRAP, Go
// makes no panic.
var astray = bytes.Repeat([]byte{0xf4}, pageSize)

// newMemory makes a copy of code executable, with at least one byte of astray
// behind it. Nothing in code may depend on where it lies. The error is the
// system's.
func newMemory(code []byte) (*memory, error) {
	if len(code) == 0 {
		return nil, errors.New("executable memory: no code")
	}
	if piece, ok := theSharedCode().put(code); ok {
		return &memory{bytes: piece, shared: true}, nil
	}
	size := (len(code) + pageSize) &^ (pageSize - 1)
	pages, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("executable memory: mmap of %d bytes: %w", size, err)
	}
	copy(pages[copy(pages, code):], astray)
	// amd64 keeps its instruction cache coherent with stores, and no other
	// thread can have run these addresses before they are known.
	if err := unix.Mprotect(pages, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return nil, errors.Join(fmt.Errorf("executable memory: mprotect: %w", err), unix.Munmap(pages))
	}
	return &memory{bytes: pages}, nil
}

// addr returns the address of the code's first byte, or 0 after Close, which
// guarded refuses to enter. Whoever keeps an address must not outlive m.
func (m *memory) addr() uintptr { return addressOf(m.bytes) }

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// Close gives the memory back; closing again does nothing. No goroutine may be
// in the code, or enter it from now on.
func (m *memory) Close() error {
	bytes := m.bytes
	m.bytes = nil
	switch {
	case bytes == nil:
		return nil
	case m.shared:
		return theSharedCode().free(bytes)
	}
	if err := unix.Munmap(bytes); err != nil {
		return fmt.Errorf("executable memory: munmap: %w", err)
	}
	return nil
}
