//go:build amd64 && unix

package jit

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/bpflab/bpflab/jit/amd64"
)

// A counter is what the loop of sumLoop works on.
type counter struct {
	n   uint64 // how far to count, at least 1
	sum uint64 // of 1 to n
}

// sumLoop counts down in n steps of a cycle or so, and comes back with every
// register ruined.
func sumLoop(tb testing.TB) uintptr {
	return code(tb, wreckAll(tb, func(a *amd64.Assembler) {
		a.Load(amd64.W64, amd64.R14, amd64.At(amd64.RDI, 0))
		a.Zero(amd64.RAX)
		again := a.NewLabel()
		a.Bind(again)
		a.ALU(amd64.Add, amd64.W64, amd64.RAX, amd64.R14)
		a.ALUImm(amd64.Sub, amd64.W64, amd64.R14, 1)
		a.Jcc(amd64.CondNE, again)
		a.Store(amd64.W64, amd64.At(amd64.RDI, 8), amd64.RAX)
		wreck(a)
	})...)
}

// count runs the loop and fails if its sum is wrong.
func count(t *testing.T, entry uintptr, n uint64) {
	c := &counter{n: n}
	if err := guarded(entry, 0, unsafe.Pointer(c)); err != nil || c.sum != n*(n+1)/2 {
		t.Errorf("sum to %d: %d, %v", n, c.sum, err)
	}
}

// A disturbance is one thing that the runtime may do to a goroutine which is
// in machine code; it goes on until stop is set.
type disturbance func(t *testing.T, stop *atomic.Bool)

func TestUnderTheRuntime(t *testing.T) {
	for _, test := range []struct {
		name    string
		disturb disturbance
	}{
		{"garbage collection", collect},
		{"stacks that move", moveStacks},
		{"tracebacks of all goroutines", traceAll},
		{"CPU profile", profile},
		{"execution trace", traceExecution},
		{"all of it", func(t *testing.T, stop *atomic.Bool) {
			var wg sync.WaitGroup
			for _, d := range []disturbance{collect, moveStacks, traceAll, traceExecution, profile} {
				wg.Go(func() { d(t, stop) })
			}
			wg.Wait()
		}},
	} {
		t.Run(test.name, func(t *testing.T) { runDisturbed(t, test.disturb) })
	}
}

// runDisturbed has three goroutines run loops of up to twenty milliseconds, which
// nothing can interrupt, between many short ones and all kinds of fault. There are more threads than
// those, so that what disturbs them really runs meanwhile.
func runDisturbed(t *testing.T, disturb disturbance) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	entry, faults := sumLoop(t), faults(t)
	var stop atomic.Bool
	var disturber, workers sync.WaitGroup
	disturber.Go(func() { disturb(t, &stop) })
	for seed := range uint64(3) {
		workers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 5))
			for range 8 {
				count(t, entry, 1e6+rng.Uint64N(6e7))
				for range 100 {
					count(t, entry, 1+rng.Uint64N(1000))
				}
				sumOfDepth(rng.IntN(2000))
				for _, f := range faults {
					f.check(t)
				}
			}
		})
	}
	workers.Wait()
	stop.Store(true)
	disturber.Wait()
}

func collect(_ *testing.T, stop *atomic.Bool) {
	for !stop.Load() {
		runtime.GC()
	}
}

// moveStacks has new goroutines grow their stacks, with machine code run at
// every depth: each growth copies the frames that have entered code before.
func moveStacks(t *testing.T, stop *atomic.Bool) {
	entry := sumLoop(t)
	for !stop.Load() {
		var wg sync.WaitGroup
		wg.Go(func() { descend208(400, func() { count(t, entry, 3) }) })
		wg.Go(func() { descend1K(400, func() { count(t, entry, 3) }) })
		wg.Wait()
	}
}

func traceAll(_ *testing.T, stop *atomic.Bool) {
	buf := make([]byte, 1<<16)
	for !stop.Load() {
		runtime.Stack(buf, true)
		pprof.Lookup("goroutine").WriteTo(io.Discard, 2)
	}
}

// profile takes a CPU profile at 1000 Hz. Its samples in machine code have no
// function that the runtime knows, and are not lost.
func profile(t *testing.T, stop *atomic.Bool) {
	// The rate that StartCPUProfile sets by itself is 100; it says on standard
	// error that it cannot change this one.
	runtime.SetCPUProfileRate(1000)
	var buf bytes.Buffer
	if err := pprof.StartCPUProfile(&buf); err != nil {
		t.Log(err) // by go test -cpuprofile, which does as well
		waitFor(stop)
		return
	}
	waitFor(stop)
	pprof.StopCPUProfile()
	unzipped, err := gzip.NewReader(&buf)
	if err != nil {
		t.Error(err)
		return
	}
	text, err := io.ReadAll(unzipped)
	if err != nil || !bytes.Contains(text, []byte("runtime._ExternalCode")) {
		t.Errorf("no sample in machine code among %d bytes of profile, %v", len(text), err)
	}
}

func traceExecution(t *testing.T, stop *atomic.Bool) {
	for !stop.Load() {
		if err := trace.Start(io.Discard); err != nil {
			t.Log(err) // by go test -trace, which does as well
			break
		}
		for range 1000 {
			runtime.Gosched()
		}
		trace.Stop()
	}
	waitFor(stop)
}

func waitFor(stop *atomic.Bool) {
	for !stop.Load() {
		time.Sleep(time.Millisecond)
	}
}

func TestManyGoroutines(t *testing.T) {
	entry := sumLoop(t)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			for n := range uint64(500) {
				count(t, entry, n+1)
			}
		})
	}
	wg.Wait()
}
