package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
)

// maxFrames is how many functions can be in progress at once
// (MAX_CALL_FRAMES).
const maxFrames = 8

// callLocal steps the call of a function of the program: it is followed into,
// with what the arguments are known to be.
func (v *verifier) callLocal(target int) *failure {
	if len(v.state.frames) == maxFrames {
		return v.fail(TooDeep, -1, "the call would need a frame more than the %d that there are", maxFrames)
	}
	v.enter(target, callback{})
	return nil
}

// enter goes on in a function of the program, with R1 to R5 as they are.
func (v *verifier) enter(target int, loop callback) {
	s := v.state
	caller := s.top()
	f := v.newFrame(s, int(v.a.fn[target]), v.pc)
	f.loop = loop
	copy(f.regs[1:6], caller.regs[1:6])
	v.clobber(caller)
	v.next = target
}

// clobber makes the registers unset that calls do not keep.
func (v *verifier) clobber(f *frame) {
	for i := range f.regs[:6] {
		f.regs[i] = reg{flags: clobbered}
	}
}

// exit steps the end of a function, which is that of the program if nothing
// called it.
func (v *verifier) exit() *failure {
	s := v.state
	last := len(s.frames) - 1
	if last == 0 {
		v.ended = true
		return v.returned()
	}
	f := s.frames[last]
	if f.regs[0].kind == stackPtr {
		return v.fail(PointerLeak, 0, "a function returns a pointer to a stack")
	}
	s.frames = s.frames[:last]
	if f.loop.helper != 0 {
		return v.callbackReturned(f)
	}
	s.top().regs[0] = f.regs[0]
	v.next = int(f.call) + 1
	return nil
}

// returned checks what the program returns (check_return_code).
func (v *verifier) returned() *failure {
	r0 := v.reg(ebpf.R0)
	if r0.kind == unset {
		return v.fail(ReturnUnset, 0, "the program ends without a return value: R0 is not set")
	}
	if f := v.held(); f != nil {
		return f
	}
	if r0.isPointer() {
		if f := v.leak(ebpf.R0); f != nil {
			return f
		}
	}
	lo, hi, ok := v.returns()
	if !ok {
		return nil
	}
	if r0.kind != scalar {
		return v.fail(ReturnRange, 0, "the program returns %s, where a number from %d to %d is wanted", r0.kind, lo, hi)
	}
	if r0.num.SMin() < lo || r0.num.SMax() > hi {
		return v.fail(ReturnRange, 0, "the program returns %v, but what %v programs may return is %d to %d", r0.num, v.p.Type, lo, hi)
	}
	return nil
}
