package jit

import (
	"runtime"
	"sync"
	"testing"

	"github.com/bpflab/bpflab/jit/amd64"
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

// assemble returns the bytes of a piece of code that ends with RET.
func assemble(tb testing.TB, body func(a *amd64.Assembler)) []byte {
	tb.Helper()
	var a amd64.Assembler
	body(&a)
	a.Ret()
	finished, err := a.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return finished.Bytes
}

// wreckAll is assemble behind code that ruins every register that machine code
// may change, apart from RDI and R15, with its arguments: XMM0 to XMM15, which
// package amd64 knows no instructions for, by the bytes in args.
func wreckAll(tb testing.TB, body func(a *amd64.Assembler)) []byte {
	tb.Helper()
	var vectors []byte
	for x := range byte(16) {
		vectors = append(vectors, 0x40|x>>3<<2, 0x0f, 0x10, x&7<<3|7) // movups xmm, xmmword ptr [rdi]
	}
	return append(vectors, assemble(tb, func(a *amd64.Assembler) { wreck(a); body(a) })...)
}

// wreck ruins the general-purpose registers of wreckAll.
func wreck(a *amd64.Assembler) {
	for r := amd64.RAX; r <= amd64.R14; r++ {
		if r != amd64.RSP && r != amd64.RBP && r != amd64.RDI {
			a.MovRI(r, 0xdead_beef_dead_0000+uint64(r))
		}
	}
}

func TestClosedCodeIsNotEntered(t *testing.T) {
	if err := Supported(); err != nil {
		require.Skip(t, "%v", err)
	}
	m, err := newMemory([]byte{ret})
	if err != nil {
		t.Fatal(err)
	}
	if err := guarded(m.addr(), 0, nil); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := guarded(m.addr(), 0, nil); err != errClosed {
			t.Errorf("after Close: %v, want %v", err, errClosed)
		}
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

// A helper that ends its goroutine, as t.Fatal does, is no fault either.
func TestGoexitPasses(t *testing.T) {
	entry, returned := code(t, ret), false
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() {
			if err := faultOf(recover()); err != nil {
				t.Error(err)
			}
		}()
		enter(entry, 0, nil)
		runtime.Goexit()
		returned = true
	})
	wg.Wait()
	if returned {
		t.Error("Goexit returned")
	}
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

func BenchmarkMemory(b *testing.B) {
	if err := Supported(); err != nil {
		require.Skip(b, "%v", err)
	}
	page := make([]byte, 4096)
	for b.Loop() {
		m, err := newMemory(page)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
