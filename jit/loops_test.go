package jit

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// Programs that take long: they must come to an end when they are told to, and
// the Go runtime must be able to do what it does meanwhile.

// endless are programs that run for hours.
var endless = map[string]string{
	"may_goto in may_goto": `
		r6 = 0
		r7 = 0
	again:	may_goto out
		r6 += 1
		r1 = r6
		call f
		r7 ^= r0
		goto again
	out:	r0 = r7
		exit
	f:	r0 = r1
	more:	may_goto done
		r0 *= 3
		r0 += 1
		goto more
	done:	exit`,
	"bpf_loop in bpf_loop": `
		*(u64 *)(r10 - 8) = 0
		r1 = 8000000
		r2 = subprog[outer]
		r3 = r10
		r3 += -8
		r4 = 0
		call bpf_loop
		r0 = *(u64 *)(r10 - 8)
		exit
	outer:	r1 = 8000000
		r3 = r2
		r2 = subprog[inner]
		r4 = 0
		call bpf_loop
		r0 = 0
		exit
	inner:	r1 = *(u64 *)(r2 + 0)
		r1 += 1
		*(u64 *)(r2 + 0) = r1
		r0 = 0
		exit`,
	"may_goto in bpf_loop": `
		r1 = 8000000
		r2 = subprog[f]
		r3 = 0
		r4 = 0
		call bpf_loop
		exit
	f:	r0 = 0
	more:	may_goto done
		r0 *= 3
		r0 += 1
		goto more
	done:	r0 = 0
		exit`,
	"bpf_loop in may_goto": `
	again:	may_goto out
		r1 = 1000
		r2 = subprog[f]
		r3 = 0
		r4 = 0
		call bpf_loop
		goto again
	out:	r0 = 0
		exit
	f:	r0 = 0
		exit`,
	"a helper": `
		r6 = 0
	again:	may_goto out
		call bpf_get_prandom_u32
		r6 ^= r0
		r1 = r6
		call f
		goto again
	out:	r0 = r6
		exit
	f:	r6 = 0
	more:	may_goto done
		call bpf_get_prandom_u32
		r6 += r0
		goto more
	done:	r0 = r6
		exit`,
}

func engineOf(t testing.TB, typ abi.ProgType, text string, o vm.Options) *Engine {
	t.Helper()
	needMachineCode(t)
	e, err := New(o, proveText(t, typ, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

var smallPacket = []engine.Packet{{Data: make([]byte, 64), WireLen: 64}}

func TestBudgetEndsPrograms(t *testing.T) {
	for name, text := range endless {
		t.Run(name, func(t *testing.T) {
			e := engineOf(t, abi.SchedCLS, text, vm.Options{Budget: 1 << 24})
			for range 2 {
				var out [1]engine.Result
				if err := e.Run(smallPacket, out[:]); err != nil || out[0].Fault != vm.ErrBudget || out[0].R0 != 0 {
					t.Errorf("%+v, %v", out[0], err)
				}
			}
		})
	}
}

// TestContextEndsPrograms also measures how long that takes, which is not
// asserted: less than a millisecond if the processor is there.
func TestContextEndsPrograms(t *testing.T) {
	for name, text := range endless {
		t.Run(name, func(t *testing.T) {
			e := engineOf(t, abi.SchedCLS, text, vm.Options{Budget: 1 << 50})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var cancelled atomic.Int64
			time.AfterFunc(5*time.Millisecond, func() { cancelled.Store(time.Now().UnixNano()); cancel() })
			var out [1]engine.Result
			if err := e.RunContext(ctx, smallPacket, out[:]); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			t.Logf("%v after the end of the context", time.Duration(time.Now().UnixNano()-cancelled.Load()))
			// The engine is good for another run, which has no such end.
			done, stop := context.WithTimeout(t.Context(), time.Millisecond)
			defer stop()
			if err := e.RunContext(done, smallPacket, out[:]); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

// busy is a program that takes some milliseconds, and comes back to Go now and
// then.
const busy = `
	r6 = 0
	r7 = 0
	r8 = 88
	r9 = 99
again:	may_goto out
	r6 += 1
	if r6 > 20000 goto out
	r1 = r6
	call f
	r7 *= 7
	r7 ^= r0
	if r6 & 0xff goto again
	*(u32 *)(r10 - 4) = 0
	r1 = r10
	r1 += -4
	r2 = 4
	r3 = 0
	r4 = 0
	r5 = r6
	call bpf_csum_diff
	r7 += r0
	goto again
out:	r0 = r7
	r0 ^= r8
	r0 ^= r9
	exit
f:	r0 = r1
	r2 = 0
more:	may_goto done
	r2 += 1
	if r2 > 100 goto done
	r0 *= 3
	r0 += 1
	goto more
done:	exit`

// TestUnderRuntime runs machine code while the garbage collector, growing
// stacks, the profiler and the tracer want to have the same threads.
func TestUnderRuntime(t *testing.T) {
	needMachineCode(t)
	proof := proveText(t, abi.SchedCLS, busy)
	m, err := vm.LoadProved(vm.Options{}, proof)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var want [1]engine.Result
	if err := m.Run(smallPacket, want[:]); err != nil || want[0].Fault != nil {
		t.Fatal(want[0].Fault, err)
	}
	var profile, events bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Log(err) // a profile of the test itself is being made
	} else {
		defer pprof.StopCPUProfile()
	}
	if err := trace.Start(&events); err != nil {
		t.Log(err)
	} else {
		defer trace.Stop()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	stop := make(chan struct{})
	var others, runs sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for range 3 {
		runs.Go(func() {
			e, err := New(vm.Options{}, proof)
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Close()
			for depth := range 12 {
				growStack(depth*20, func() {
					var got [1]engine.Result
					if err := e.Run(smallPacket, got[:]); err != nil || got[0].R0 != want[0].R0 {
						t.Errorf("%#x, %v, want %#x", got[0].R0, err, want[0].R0)
					}
				})
			}
		})
	}
	runs.Wait()
	close(stop)
	others.Wait()
}

// growStack calls f n frames deeper.
func growStack(n int, f func()) {
	var frame [64]byte
	if n > 0 {
		growStack(n-1, f)
	} else {
		f()
	}
	runtime.KeepAlive(&frame)
}

// TestFunctionsCountAgainstTheBudget has a short loop around a long function.
func TestFunctionsCountAgainstTheBudget(t *testing.T) {
	text := `
		r6 = 0
	again:	may_goto out
		r6 += 1
		if r6 > 1000 goto out
		r1 = r6
		call f
		goto again
	out:	r0 = r6
		exit
	f:	r0 = r1
	` + strings.Repeat("r0 *= 3\n", 300) + "exit"
	for budget, want := range map[uint64]error{1 << 20: nil, 1 << 17: vm.ErrBudget} {
		e := engineOf(t, abi.SchedCLS, text, vm.Options{Budget: budget})
		var out [1]engine.Result
		if err := e.Run(smallPacket, out[:]); err != nil || out[0].Fault != want {
			t.Errorf("budget %d: %+v, %v", budget, out[0], err)
		}
	}
}
