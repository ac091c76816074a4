package jit

import (
	"errors"
	"runtime"
	"testing"

	"github.com/bpflab/bpflab/testdata/require"
)

// Whole programs of one byte.
const (
	ret = 0xc3
	hlt = 0xf4 // privileged
)

// code makes machine code executable for the length of the test.
func code(tb testing.TB, bytes ...byte) uintptr {
	tb.Helper()
	if err := Supported(); err != nil {
		require.Skip(tb, "%v", err)
	}
	m, err := newMemory(bytes)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m.addr()
}

func TestGuarded(t *testing.T) {
	if err := guarded(code(t, ret), 0, nil); err != nil {
		t.Error(err)
	}
	var fault *Fault
	if err := guarded(code(t, hlt), 0, nil); !errors.As(err, &fault) {
		t.Errorf("HLT: %v, want a fault", err)
	}
	if err := guarded(0, 0, nil); err != errClosed {
		t.Errorf("no code: %v, want %v", err, errClosed)
	}
}

// A nil pointer in Go code under the same guard is nobody's fault but ours.
func TestGoPanicsPass(t *testing.T) {
	entry := code(t, ret)
	helper := func(p *int) (err error) {
		defer func() { err = faultOf(recover()) }()
		enter(entry, 0, nil)
		*p = 1
		return nil
	}
	defer func() {
		if _, ok := recover().(runtime.Error); !ok {
			t.Error("the panic of a nil pointer did not pass")
		}
	}()
	t.Errorf("returned %v", helper(nil))
}

func BenchmarkEnter(b *testing.B) {
	entry := code(b, ret)
	for b.Loop() {
		enter(entry, 0, nil)
	}
}

func BenchmarkGuarded(b *testing.B) {
	entry := code(b, ret)
	for b.Loop() {
		if err := guarded(entry, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
}
