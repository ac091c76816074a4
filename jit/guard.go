package jit

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// A Fault is a hardware exception in machine code: a bug of the compiler or of
// the verifier, as verified programs have none. The processor's state is lost;
// which instruction it was, a checked run of the same packets finds out.
type Fault struct {
	Err  runtime.Error // what the Go runtime made of the signal
	Addr uintptr       // what was accessed, 0 if not known (or below the first page)

	// What the packets do in checked mode: the first at which a program is
	// stopped, and why, as a rule a [*vm.Fault] that names the instruction; nil
	// and a number below 0 if they all run well.
	Packet  int
	Checked error
}

func (f *Fault) Error() string {
	if f.Addr != 0 {
		return fmt.Sprintf("machine code faulted at address %#x: %v; %s", f.Addr, f.Err, f.explain())
	}
	return fmt.Sprintf("machine code faulted: %v; %s", f.Err, f.explain())
}

func (f *Fault) Unwrap() error { return f.Err }

// errClosed is the error of entering code whose memory has been freed.
var errClosed = errors.New("machine code has been closed")

// guarded is enter, except that a fault of the code is returned as a *Fault.
//
// It shows how to enter machine code under one guard any number of times, with
// Go code in between. The setting, which makes panics of accesses to all that
// is not mapped, not only of those near address 0, belongs to the goroutine
// and is put back. That this is written twice, and recover not called when
// all went well, makes the guard half as dear.
func guarded(code, base uintptr, args unsafe.Pointer) (fault error) {
	if code == 0 {
		return errClosed
	}
	panicOnFault, done := debug.SetPanicOnFault(true), false
	defer func() {
		if !done {
			debug.SetPanicOnFault(panicOnFault)
			fault = faultOf(recover())
		}
	}()
	enter(code, base, args)
	debug.SetPanicOnFault(panicOnFault)
	done = true
	return nil
}

// faultOf returns the fault that was recovered as r by the function which
// calls it. Panics of Go code pass: helpers and the engine run under the same
// guard, and their bugs are not the program's.
func faultOf(r any) error {
	if r == nil {
		return nil // runtime.Goexit, as by a helper that ends a test
	}
	err, ok := r.(runtime.Error)
	if !ok || !inMachineCode() {
		panic(r)
	}
	f := &Fault{Err: err, Packet: -1}
	if a, ok := err.(interface{ Addr() uintptr }); ok {
		f.Addr = a.Addr()
	}
	return f
}

// inMachineCode tells, while a panic is handled, whether it was raised by
// a signal in machine code. The runtime makes such a signal look as if the
// Go function that entered the code had called sigpanic: it does not know the
// address of the instruction, but finds that of a Go function on top of the
// stack, and takes the whole for a call through a bad function pointer. That
// is what the rule rests on that machine code pushes nothing.
func inMachineCode() bool {
	var pcs [16]uintptr // sigpanic is the fourth or fifth
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if frame.Function == "runtime.sigpanic" {
			frame, _ = frames.Next()
			return frame.Function == enterName
		}
		if !more {
			return false
		}
	}
}

var enterName = runtime.FuncForPC(reflect.ValueOf(enter).Pointer()).Name()
