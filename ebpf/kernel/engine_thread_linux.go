package kernel

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// A thread is an operating system's thread for test runs: it can be kept on one
// processor, and in a network namespace of its own, which has no device but its
// own loopback. It ends with stop.
type thread struct {
	work     chan func()
	done     chan struct{}
	isolated error // nil if the thread has a network namespace of its own
	cpu      int64 // that it is kept on, -1 for none
}

func startThread(isolate bool) *thread {
	t := &thread{work: make(chan func()), done: make(chan struct{}), cpu: -1}
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if isolate {
			t.isolated = unix.Unshare(unix.CLONE_NEWNET)
		}
		t.done <- struct{}{}
		for f := range t.work {
			f()
			t.done <- struct{}{}
		}
	}()
	<-t.done
	return t
}

// do runs f on the thread and waits for it.
func (t *thread) do(f func()) {
	t.work <- f
	<-t.done
}

func (t *thread) stop() { close(t.work) }

// stayOn keeps the thread on a processor. It is called on the thread.
func (t *thread) stayOn(cpu uint32) error {
	if t.cpu == int64(cpu) {
		return nil
	}
	var set unix.CPUSet
	set.Set(int(min(cpu, 1<<20)))
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("processor %d: %w", cpu, err)
	}
	t.cpu = int64(cpu)
	return nil
}
