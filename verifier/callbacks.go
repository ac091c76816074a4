package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier/num"
)

// bpf_loop and bpf_for_each_map_elem call a function of the program again and
// again, until it returns 1 or there is nothing left. To the program that is a
// loop: any number of rounds may have been made when the helper returns, none
// included. So the state at the call goes two ways, into the function and
// behind the call, and so does that at the end of each round. What a round
// changes, on the caller's stack, the next one finds; when the states at the
// entry of the function repeat, all rounds have been seen. That the loop ends
// is the helper's promise.

// anyRounds is how many rounds can be if nothing says less.
const anyRounds = abi.MaxLoops

// callBack steps the call of a helper that calls back (push_callback_call).
func (v *verifier) callBack(c *helperCall) *failure {
	if len(v.state.frames) == maxFrames {
		return v.fail(TooDeep, -1, "the callback would need a frame more than the %d that there are", maxFrames)
	}
	v.calls++
	loop := callback{helper: c.ID, call: v.calls, obj: c.mapArg, limit: anyRounds, stack: -1}
	if c.ID == abi.Loop {
		if r1 := v.reg(ebpf.R1); r1.kind != scalar {
			return v.fail(ArgumentKind, 1, "%s takes a number of rounds in R1, not %s", c.Name(), r1.kind)
		}
		loop.limit = int32(min(uint64(v.reg(ebpf.R1).num.UMax32()), anyRounds))
	}
	if p := v.reg(ebpf.R3); p.kind == stackPtr {
		off, _ := p.offset()
		loop.stack, loop.off = int8(p.frame), int32(off)
	}
	v.rounds(c, loop, int(c.fn))
	return nil
}

// rounds goes on behind the call of a helper that calls back and, if there may
// be another round, in the callback, too.
func (v *verifier) rounds(c *helperCall, loop callback, fn int) {
	if loop.rounds < loop.limit {
		here := v.state
		v.state = v.clone(here)
		v.enterRound(loop, fn)
		v.fork(v.state, fn)
		v.state = here
	}
	v.after(c)
	v.next = v.pc + 1
}

// enterRound goes on in the callback, with the arguments of the next round.
func (v *verifier) enterRound(loop callback, fn int) {
	loop.rounds++
	v.enter(fn, loop)
	regs := &v.state.top().regs
	clear(regs[1:6])
	switch loop.helper {
	case abi.Loop: // (index, pointer), set_loop_callback_state
		regs[1] = number(num.Range(0, uint64(loop.limit-1)))
		regs[2] = loop.pointer()
	case abi.ForEachMapElem: // (map, key, value, pointer), map_set_for_each_callback_args
		regs[1] = pointer(mapPtr)
		regs[1].obj = loop.obj
		regs[2] = v.element(mapKey, loop.obj)
		regs[3] = v.element(mapValue, loop.obj)
		regs[4] = loop.pointer()
	}
}

// pointer is what the program has given the helper to pass on.
func (c *callback) pointer() reg {
	if c.stack < 0 {
		return known(0)
	}
	p := pointerAt(stackPtr, int64(c.off))
	p.frame = uint8(c.stack)
	return p
}

// covers reports whether a callback that is in the state of c can go on in all
// ways in which one that is in the state of d can.
func (c *callback) covers(d *callback) bool {
	return c.helper == d.helper && c.obj == d.obj && c.stack == d.stack && c.off == d.off &&
		c.limit >= d.limit && c.limit-c.rounds >= d.limit-d.rounds
}

// callbackReturned steps the end of a round (prepare_func_exit). Other than in
// the kernel, a callback that is known to return 1 ends the loop. What a round
// acquires it need not give back, if the program does so after the last one;
// kernels up to 6.12 ask for it (check_reference_leak).
func (v *verifier) callbackReturned(f *frame) *failure {
	loop, fn, call, r0 := f.loop, int(v.a.funcs[f.fn].start), int(f.call), f.regs[0]
	switch {
	case r0.kind != scalar:
		return v.fail(CallbackReturn, 0, "a callback returns 0 or 1; here R0 is %s", r0.kind)
	case r0.num.SMin() < 0 || r0.num.SMax() > 1:
		return v.fail(CallbackReturn, 0, "a callback returns 0 or 1; here R0 is %v", r0.num)
	case v.state.lock.held:
		return v.fail(LockHeld, -1, "the callback returns while it holds a spin lock")
	}
	if n, ok := r0.constant(); ok && n == 1 {
		loop.limit = loop.rounds
	}
	end := v.pc
	v.pc = call
	v.rounds(&helperCall{Helper: abi.HelperByID(loop.helper), key: -1}, loop, fn)
	v.pc = end
	return nil
}
