package jit

import (
	"errors"
	"fmt"
	"sync"
)

// ErrUnsupported is the error of a host on which no machine code can run; what
// wraps it says why.
var ErrUnsupported = errors.New("no machine code on this host")

// Supported returns nil if programs can run as machine code here, and else an
// error that wraps [ErrUnsupported] and says why not: another architecture or
// system, or a policy (SELinux, seccomp, prctl's PR_SET_MDWE) by which memory
// may not be made executable. It finds out by doing it, once.
func Supported() error { return supported() }

var supported = sync.OnceValue(func() error {
	if err := probe(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return nil
})

// probe enters the smallest function there is.
func probe() error {
	const ret = 0xc3
	m, err := newMemory([]byte{ret})
	if err != nil {
		return err
	}
	return errors.Join(guarded(m.addr(), 0, nil), m.Close())
}
