//go:build amd64

package jit

import (
	"bytes"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Most pieces of code are small, and making pages executable is slow: it changes
// page tables that other processors may have at hand. So pieces share a file
// without a name that is mapped once, to be read and executed. Code gets into it
// by system calls; no mapping of it is ever writable.

const (
	sharedSize = 1 << 20
	lineSize   = 64 // pieces start at multiples of a cache line
)

// A sharedCode is such a file, and which of its lines are taken.
type sharedCode struct {
	mu     sync.Mutex
	file   int
	pages  []byte // nil where there can be none
	taken  [sharedSize / lineSize]bool
	next   int // line from which the search for free ones starts
	filled int // bytes from the start on that have been written to
}

// theSharedCode is the process's.
var theSharedCode = sync.OnceValue(func() *sharedCode {
	s := &sharedCode{}
	file, err := unix.MemfdCreate("bpflab", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL { // Linux before 6.3 has no such flag: all are executable
		file, err = unix.MemfdCreate("bpflab", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return s
	}
	if unix.Ftruncate(file, sharedSize) == nil {
		if pages, err := unix.Mmap(file, 0, sharedSize, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_SHARED); err == nil {
			s.file, s.pages = file, pages
			return s
		}
	}
	unix.Close(file)
	return s
})

// put finds a place for code and writes it there. It says no if there is none.
func (s *sharedCode) put(code []byte) (piece []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := len(code)/lineSize + 1 // at least one byte of astray is behind it
	first, ok := s.find(lines)
	if !ok || s.fill((first+lines)*lineSize) != nil || s.write(first*lineSize, code) != nil {
		return nil, false
	}
	s.mark(first, lines, true)
	s.next = first + lines
	return s.pages[first*lineSize:][:lines*lineSize], true
}

// find returns the first of so many free lines in a row.
func (s *sharedCode) find(lines int) (first int, ok bool) {
	for _, start := range []int{s.next, 0} {
		free := 0
		for i := start; i < len(s.pages)/lineSize; i++ {
			if free++; s.taken[i] {
				free = 0
			}
			if free == lines {
				return i + 1 - lines, true
			}
		}
	}
	return 0, false
}

// fill makes sure that what has not been written to up to there is astray.
func (s *sharedCode) fill(end int) error {
	for ; s.filled < end; s.filled += pageSize {
		if err := s.write(s.filled, astray); err != nil {
			return err
		}
	}
	return nil
}

func (s *sharedCode) write(at int, b []byte) error {
	n, err := unix.Pwrite(s.file, b, int64(at))
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	return err
}

func (s *sharedCode) mark(first, lines int, taken bool) {
	for i := range lines {
		s.taken[first+i] = taken
	}
}

// free takes a piece back. What would still enter it goes astray.
func (s *sharedCode) free(piece []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := int(addressOf(piece) - addressOf(s.pages))
	if err := s.write(at, bytes.Repeat(astray[:1], len(piece))); err != nil {
		return fmt.Errorf("executable memory: %w", err)
	}
	s.mark(at/lineSize, len(piece)/lineSize, false)
	s.next = min(s.next, at/lineSize)
	return nil
}
