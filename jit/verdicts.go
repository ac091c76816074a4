package jit

import (
	"cmp"
	"errors"
	"runtime/debug"
	"unsafe"

	"github.com/bpflab/bpflab/vm/engine"
)

// look judges packets with lean code and returns how many.
func (e *Engine) look(in []engine.Packet, out []engine.Result) (int, error) {
	e.frames = e.frames[:0]
	if e.lean.leaves {
		e.native.Watch()
	}
	if e.lean.perCPU && len(in) > 0 {
		in = in[:sameCPU(in)]
		e.native.UseProcessor(in[0].Meta.CPU)
	}
	for i := range in {
		e.frames = append(e.frames, engine.Frame{Data: in[i].Data, WireLen: in[i].WireLen})
	}
	e.results = append(e.results[:0], make([]uint32, len(in))...)
	n := e.verdicts(e.frames, e.results)
	clear(e.frames) // which hold packets of the caller
	for i := range n {
		out[i] = engine.Result{Return: e.results[i], R0: uint64(e.results[i]), Data: in[i].Data}
	}
	if n < len(in) {
		return n, cmp.Or(e.takeFault(), e.ctx.Err())
	}
	return n, nil
}

// sameCPU returns how many of the packets, from the first on, came to the same
// processor.
func sameCPU(in []engine.Packet) int {
	n := 1
	for n < len(in) && in[n].Meta.CPU == in[0].Meta.CPU {
		n++
	}
	return n
}

// Verdicts judges packets by their bytes; see [engine.Filter].
func (e *Engine) Verdicts(frames []engine.Frame, verdicts []uint32) (judged int) {
	if e.lean == nil && (e.closed || e.prepare() != nil || e.lean == nil) || e.lean.perCPU {
		return 0
	}
	if len(frames) <= e.lean.chunk { // as single packets are, for which a call more counts
		judged = e.judge(frames, verdicts)
	} else {
		judged = e.verdicts(frames, verdicts)
	}
	if judged < len(frames) && e.fault != nil {
		e.findCauseAmong(frames[judged:])
	}
	return judged
}

// findCauseAmong finds the cause of a fault at frames. It is kept for Run, which
// would not find the same fault again: what the program had done to maps before,
// it would do twice.
func (e *Engine) findCauseAmong(frames []engine.Frame) {
	if fault := (*Fault)(nil); errors.As(e.fault, &fault) {
		in := make([]engine.Packet, min(len(frames), e.lean.chunk))
		for i := range in {
			in[i] = engine.Packet{Data: frames[i].Data, WireLen: frames[i].WireLen}
		}
		e.findCause(fault, in)
	}
}

// verdicts runs lean code over packets, as many at a time as it may without
// coming back to Go, and returns how many it has judged.
func (e *Engine) verdicts(frames []engine.Frame, verdicts []uint32) (judged int) {
	for len(frames) > e.lean.chunk {
		n := e.judge(frames[:e.lean.chunk], verdicts)
		judged += n
		if n < e.lean.chunk || e.ctx.Err() != nil {
			return judged
		}
		frames, verdicts = frames[n:], verdicts[n:]
	}
	return judged + e.judge(frames, verdicts)
}

// judge enters lean code, under one guard, and does the calls that it leaves to
// Go. If it judges fewer packets than there are, it is because of a fault, or
// because the code cannot judge the next.
func (e *Engine) judge(frames []engine.Frame, verdicts []uint32) (judged int) {
	if len(frames) == 0 {
		return 0
	}
	first := unsafe.Pointer(unsafe.SliceData(frames))
	e.batch = batchArgs{frames: first, verdicts: unsafe.Pointer(unsafe.SliceData(verdicts[:len(frames)])), last: uintptr(first) + uintptr(len(frames))*uintptr(frameSize)}
	x, base := e.exchange, uintptr(e.native.Base())
	x.Why = whyExit
	panicOnFault, done := debug.SetPanicOnFault(true), false
	defer func() {
		if !done {
			debug.SetPanicOnFault(panicOnFault)
			judged, e.fault = 0, faultOf(recover())
		}
	}()
	enter(e.lean.start, base, unsafe.Pointer(&e.batch))
	for x.Why == whyCall {
		e.native.Call(int(x.Slot)) // such helper functions refuse nothing
		x.Why = whyExit
		enter(uintptr(x.Resume), base, nil)
	}
	debug.SetPanicOnFault(panicOnFault)
	done = true
	e.batch.frames = nil // the packets are the caller's
	if x.Why == whyBail {
		return int(x.Batch[0]-uint64(uintptr(first))) / int(frameSize)
	}
	return len(frames)
}
