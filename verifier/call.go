package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier/num"
)

// A helperCall is what is learned about a call while its arguments are checked
// (struct bpf_call_arg_meta in the kernel).
type helperCall struct {
	*abi.Helper
	mapArg  int32         // the map among the arguments
	spec    *abi.MapSpec  // its description, nil if there is none
	size    uint64        // the largest that a size of memory is; of a record its size
	memory  ebpf.Register // the register whose memory the helper fills, R0 for none
	written uint64        // how many bytes of it at most
	owned   uint32        // the reference of the socket or record
	key     int64         // the key, if it is a known one of 4 bytes; else -1
	fn      int32         // slot of the function that the helper calls
}

// call steps the call of a helper function: may this program make it, are the
// arguments what the helper takes, what holds afterwards. It mirrors
// check_helper_call in kernel/bpf/verifier.c, whose order it keeps, but for
// the kind of the map, which the kernel checks last.
func (v *verifier) call(ins ebpf.Instruction) *failure {
	c, f := v.callee(ins)
	if f != nil {
		return f
	}
	for i := range c.Args {
		if f := v.argument(c, i); f != nil {
			return f
		}
	}
	if f := v.writesMap(c); f != nil {
		return f
	}
	if c.memory != 0 {
		if f := v.helperMemory(c.memory, int64(c.written), true); f != nil {
			return f
		}
	}
	if c.Releases {
		v.giveBack(c.owned)
	}
	switch c.ID {
	case abi.SpinLock:
		if f := v.takeLock(); f != nil {
			return f
		}
	case abi.SpinUnlock:
		if f := v.dropLock(); f != nil {
			return f
		}
	case abi.TailCall:
		return v.tailCall(c)
	case abi.ForEachMapElem, abi.Loop:
		return v.callBack(c)
	}
	v.after(c)
	if held := len(v.state.refs); held > maxHeld {
		return v.fail(Unreleased, -1, "%d references are held, and cannot all be given back: there is not so much room for pointers", held)
	}
	return nil
}

// callee finds the helper and checks that the program may call it, here.
func (v *verifier) callee(ins ebpf.Instruction) (*helperCall, *failure) {
	if name, ok := v.p.Absent[v.pc]; ok {
		return nil, v.fail(AbsentFunction, -1, "the program calls %s, which is not there", name)
	}
	switch {
	case ins.Op == ebpf.CallX:
		// The kernel has no calls by register.
		return nil, v.fail(UnknownHelper, int(ins.Dst), "a call by register: only calls by number can be verified")
	case ins.Src == ebpf.CallKfunc:
		return nil, v.fail(KernelFunction, -1, "kernel function %d: there are none here", ins.Imm)
	}
	h := v.p.helperOf(ins)
	switch {
	case h == nil && ebpf.HelperName(ins.Imm) == "":
		return nil, v.fail(UnknownHelper, -1, "there is no helper function %d", ins.Imm)
	case h == nil:
		return nil, v.fail(UnknownHelper, -1, "%s does not exist here", ebpf.HelperName(ins.Imm))
	case !h.Types.Has(v.p.Type):
		return nil, v.fail(HelperType, -1, "%v programs cannot call %s", v.p.Type, h.Name())
	case h.GPLOnly && v.p.NotGPL:
		return nil, v.fail(HelperGPL, -1, "%s is only for programs whose license is compatible with the GPL", h.Name())
	case v.state.lock.held && h.ID == abi.SpinLock:
		return nil, v.fail(LockTwice, -1, "a spin lock is held already: programs can hold one at a time")
	case v.state.lock.held && h.ID != abi.SpinUnlock:
		// do_check: only the unlock may be called under a lock.
		return nil, v.fail(LockedCall, -1, "%s is called while a spin lock is held", h.Name())
	}
	return &helperCall{Helper: h, key: -1}, nil
}

// after ends a call: the argument registers are lost, R0 holds the result.
func (v *verifier) after(c *helperCall) {
	result := v.result(c)
	v.clobber(v.state.top())
	*v.reg(ebpf.R0) = result
	if c.MovesPacket {
		v.movePacket()
	}
}

// result is what R0 holds after a call.
func (v *verifier) result(c *helperCall) reg {
	switch c.Returns {
	case abi.ReturnsNothing:
		return reg{flags: clobbered}
	case abi.ReturnsValue:
		return v.foundValue(c)
	case abi.ReturnsRecord:
		r := v.acquire(recordPtr)
		r.obj = int32(c.size)
		return r
	case abi.ReturnsSocket:
		return v.acquire(socketPtr)
	case abi.ReturnsSockCommon:
		r := v.acquire(socketPtr)
		r.obj = sockCommon
		return r
	case abi.ReturnsLength:
		// do_refine_retval_range does so for probe_read_str and its kin.
		return number(num.SignedRange(-abi.MaxErrno, int64(c.size)))
	}
	if c.Min != 0 || c.Max != 0 {
		return number(num.SignedRange(c.Min, c.Max))
	}
	return anyNumber()
}

// tailCall steps the jump into another program, which has three outcomes.
// There is no such program: the call returns, and nothing has changed. There
// is one, and the caller is the program itself: the path ends. There is one,
// and the caller is a function: that program returns to the function's caller
// with any number, and may have moved the packet.
//
// Kernels look at the last outcome since 2025; before, they forgot the packet
// pointers on the first one (bpf_helper_changes_pkt_data in 6.12).
func (v *verifier) tailCall(c *helperCall) *failure {
	frames := v.state.frames
	if len(frames) == 1 {
		if f := v.held(); f != nil {
			return f
		}
		v.after(c)
		return nil
	}
	if v.state.top().loop.helper != 0 {
		return v.fail(CallbackContext, -1, "a tail call in a callback: the program called could return any number")
	}
	v.after(c)
	here, call := v.state, v.state.top().call
	v.state = v.clone(here)
	v.state.frames = v.state.frames[:len(v.state.frames)-1]
	v.movePacket()
	*v.reg(ebpf.R0) = anyNumber()
	v.fork(v.state, int(call)+1)
	v.state = here
	return nil
}
