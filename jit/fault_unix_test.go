//go:build amd64 && unix

package jit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/vm/arena"
)

// A faulty is a piece of machine code with a fault in it.
type faulty struct {
	name  string
	entry uintptr
	base  uintptr
	args  *[4]uint64 // the first is the address or number that makes the fault
	text  string     // of the error
	addr  uintptr    // that the error tells
}

func (f *faulty) run() error { return guarded(f.entry, f.base, unsafe.Pointer(f.args)) }

// check runs the code and looks at the error.
func (f *faulty) check(t *testing.T) {
	t.Helper()
	var fault *Fault
	err := f.run()
	if !errors.As(err, &fault) || fault.Addr != f.addr || !strings.Contains(err.Error(), f.text) {
		t.Errorf("%s: %v, want a fault at %#x (%s)", f.name, err, f.addr, f.text)
	}
}

const (
	badAddress  = "invalid memory address"
	badQuotient = "integer divide by zero" // of both reasons for #DE
)

// faults returns all kinds of fault that machine code can have.
func faults(t *testing.T) []*faulty {
	load := func(a *amd64.Assembler) {
		a.Load(amd64.W64, amd64.RAX, amd64.At(amd64.RDI, 0))
		a.Load(amd64.W64, amd64.RAX, amd64.At(amd64.RAX, 0))
	}
	store := func(a *amd64.Assembler) {
		a.Load(amd64.W64, amd64.RAX, amd64.At(amd64.RDI, 0))
		a.Store(amd64.W8, amd64.AtIndex(amd64.R15, amd64.RAX, 0), amd64.RAX)
	}
	jump := func(a *amd64.Assembler) {
		a.JmpMem(amd64.At(amd64.RDI, 0))
	}
	div := func(a *amd64.Assembler) {
		a.MovRI(amd64.RAX, 1<<63)
		a.Cdq(amd64.W64)
		a.Load(amd64.W64, amd64.RCX, amd64.At(amd64.RDI, 0))
		a.Idiv(amd64.W64, amd64.RCX)
	}
	mem, hole := arenaHole(t)
	closed, truncated := closedPage(t), truncatedFile(t)
	data := uintptr(unsafe.Pointer(&errClosed))

	var all []*faulty
	add := func(name string, body func(*amd64.Assembler), arg, base uintptr, text string, addr uintptr) {
		f := &faulty{name: name, base: base, args: &[4]uint64{uint64(arg)}, text: text, addr: addr}
		f.entry = code(t, wreckAll(t, body)...)
		all = append(all, f)
	}
	add("load from nil", load, 0, 0, badAddress, 0)
	add("load from a closed page", load, closed+8, 0, badAddress, closed+8)
	add("store to a closed page", store, closed, 0, badAddress, closed)
	add("store to a hole of the arena", store, hole, mem, badAddress, mem+hole)
	add("load behind the end of a file", load, truncated, 0, badAddress, truncated)
	add("load from no address at all", load, 1<<63, 0, badAddress, 0) // the processor does not tell it
	add("jump to nil", jump, 0, 0, badAddress, 0)
	add("jump to a closed page", jump, closed, 0, badAddress, closed)
	add("jump to data", jump, data, 0, badAddress, data)
	add("division by 0", div, 0, 0, badQuotient, 0)
	add("quotient too large", div, ^uintptr(0), 0, badQuotient, 0)

	f := &faulty{name: "privileged instruction", entry: code(t, hlt), text: badAddress}
	self := &faulty{name: "store to the code itself", args: new([4]uint64), text: badAddress}
	self.entry = code(t, assemble(t, store)...)
	self.args[0], self.addr = uint64(self.entry), self.entry
	behind := &faulty{name: "jump behind the code", args: new([4]uint64), text: badAddress}
	piece := assemble(t, jump)
	behind.entry = code(t, piece...)
	behind.args[0] = uint64(behind.entry) + uint64(len(piece))
	return append(all, f, self, behind)
}

// arenaHole returns the base of an arena and an address in it without memory.
func arenaHole(t *testing.T) (base, hole uintptr) {
	mem, err := arena.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	addr, err := mem.Alloc(1)
	if err != nil {
		t.Fatal(err)
	}
	return uintptr(mem.Base()), uintptr(addr) + arena.Granule
}

// closedPage returns the address of a page that may not be touched.
func closedPage(t *testing.T) uintptr {
	page, err := unix.Mmap(-1, 0, pageSize, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(page) })
	return uintptr(unsafe.Pointer(unsafe.SliceData(page)))
}

// truncatedFile returns the address of a page of a mapped file that has become
// shorter: to touch it is a SIGBUS.
func truncatedFile(t *testing.T) uintptr {
	name := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(pageSize); err != nil {
		t.Fatal(err)
	}
	page, err := unix.Mmap(int(f.Fd()), 0, pageSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(page) })
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	return uintptr(unsafe.Pointer(unsafe.SliceData(page)))
}

// Every kind of fault is told as it is, a thousand times, and leaves a process
// in which all goes on.
func TestFaults(t *testing.T) {
	for _, f := range faults(t) {
		t.Run(f.name, func(t *testing.T) {
			for range 1000 {
				if f.check(t); t.Failed() {
					return
				}
			}
			if debug.SetPanicOnFault(false) {
				t.Error("the goroutine was left with panics on faults")
			}
			checkRuntime(t)
		})
	}
}

// checkRuntime fails if what a fault might damage does not work: tracebacks,
// panics, growing stacks, the garbage collector.
func checkRuntime(t *testing.T) {
	t.Helper()
	if stack := debug.Stack(); !bytes.Contains(stack, []byte("checkRuntime")) {
		t.Errorf("traceback:\n%s", stack)
	}
	func() {
		defer func() {
			if r := recover(); r != "again" {
				t.Errorf("recovered %v", r)
			}
		}()
		panic("again")
	}()
	if got := sumOfDepth(1000); got != 500500 {
		t.Errorf("recursion: %d", got)
	}
	runtime.GC()
}

// sumOfDepth is n + … + 1 by recursion, through frames of a quarter KiB.
func sumOfDepth(n int) int {
	if n == 0 {
		return 0
	}
	var frame [32]int
	frame[n%32] = n
	return sumOfDepth(n-1) + frame[n%32]
}

func TestFaultsOfManyGoroutines(t *testing.T) {
	all := faults(t)
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := range 64 {
				all[(g+i)%len(all)].check(t)
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	checkRuntime(t)
}

// The signal's panic may find the stack full: it must grow under a frame that
// never called anything, as the runtime sees it.
func TestFaultsAtTheEndOfTheStack(t *testing.T) {
	all := faults(t)
	for _, descend := range []func(int, func()){descend16, descend208, descend1K} {
		var wg sync.WaitGroup
		wg.Go(func() {
			i := 0
			descend(300, func() { all[i%len(all)].check(t); i++ })
		})
		wg.Wait()
	}
}

// descend16 and the others call f at each of n depths, on frames of different
// sizes, so that f starts at many distances from the end of the stack.
func descend16(n int, f func()) {
	if f(); n > 0 {
		descend16(n-1, f)
	}
}

func descend208(n int, f func()) {
	var frame [26]int
	if f(); n > 0 {
		descend208(n-1+frame[n%26], f)
	}
}

func descend1K(n int, f func()) {
	var frame [125]int
	if f(); n > 0 {
		descend1K(n-1+frame[n%125], f)
	}
}

// What the caller of guarded deferred is run after a fault, with the stack of
// the panic gone, and a panic that it began goes on.
func TestFaultDuringPanic(t *testing.T) {
	all := faults(t)
	defer func() {
		if r := recover(); r != "first" {
			t.Errorf("recovered %v, want the first panic", r)
		}
	}()
	defer func() {
		for _, f := range all {
			f.check(t)
		}
	}()
	panic("first")
}

// A setting that was there is left.
func TestPanicOnFaultIsKept(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	entry := code(t, ret)
	for _, f := range append(faults(t), &faulty{entry: entry}) {
		f.run()
		if !debug.SetPanicOnFault(true) {
			t.Fatalf("%s: the setting is gone", f.name)
		}
	}
}
