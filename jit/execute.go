package jit

import (
	"runtime"
	"runtime/debug"

	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// callback is how many instructions a call by Go counts as: functions without
// loops count none themselves.
const callback = 8

// runAll lets the machine run the programs, which calls execute for each packet.
func (e *Engine) runAll(in []engine.Packet, out []engine.Result) (err error) {
	if e.code == nil {
		if err := e.compile(); err != nil {
			return err
		}
	}
	panicOnFault, done := debug.SetPanicOnFault(true), false
	defer func() {
		if !done {
			debug.SetPanicOnFault(panicOnFault)
			err = faultOf(recover())
		}
	}()
	err = e.machine.Run(in, out)
	debug.SetPanicOnFault(panicOnFault)
	done = true
	return err
}

// execute runs machine code from where the machine stands to the end of the run,
// and does for it what it leaves to Go.
func (e *Engine) execute() vm.Stop {
	if e.code == nil && e.compile() != nil { // thrown away by Share
		return vm.StopFault
	}
	n, x := e.native, e.exchange
	if e.ctx.Err() != nil || !n.Budget(0, slice) {
		return vm.StopBudget
	}
	given := x.Slice
	at := e.code.entry(n.Start())
	base := uintptr(n.Base())
	for {
		enter(at, base, nil)
		switch x.Why {
		case whyExit:
			return vm.StopExit
		case whyCall:
			if !n.Call(int(x.Slot)) {
				return vm.StopFault
			}
			at = uintptr(x.Resume)
		default:
			why, more := vm.StopFault, false
			if at, why, more = e.serve(&given); !more {
				return why
			}
		}
	}
}

// serve does what code leaves for more rarely than for helper functions. It
// returns where the code goes on, or why the run ends.
func (e *Engine) serve(given *int64) (at uintptr, why vm.Stop, more bool) {
	n, x := e.native, e.exchange
	switch x.Why {
	case whyStep:
		slot := int(x.Slot)
		next, why, more := n.Step(slot)
		if more && next != slot+1 {
			return e.code.entry(next), why, true
		}
		return uintptr(x.Resume), why, more
	case whyLoad:
		return uintptr(x.Resume), vm.StopFault, n.Load(int(x.Slot))
	case whyReturn:
		at := e.code.entry(n.Return())
		x.Slice -= callback
		return at, vm.StopBudget, x.Slice >= 0 || e.nextSlice(given)
	case whySlice:
		return uintptr(x.Resume), vm.StopBudget, e.nextSlice(given)
	}
	return 0, vm.StopFault, false // whyNowhere
}

// nextSlice lets others have the processor and gives the code another slice,
// unless the run is to end.
func (e *Engine) nextSlice(given *int64) bool {
	x := e.exchange
	if e.ctx.Err() != nil || !e.native.Budget(*given-x.Slice, slice) {
		return false
	}
	*given = x.Slice
	runtime.Gosched()
	return true
}
