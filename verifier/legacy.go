package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
)

// legacyLoad steps a packet load of classic BPF (check_ld_abs). It checks its
// bounds itself and ends the program where the bytes are not there, so that
// nothing may be held then.
func (v *verifier) legacyLoad(ins ebpf.Instruction) *failure {
	if !v.p.Type.HasLegacyLoads() {
		return v.fail(LegacyType, -1, "%v programs have no legacy packet loads", v.p.Type)
	}
	if f := v.readable(ebpf.R6); f != nil {
		return f
	}
	if v.reg(ebpf.R6).kind != contextPtr {
		return v.fail(LegacyContext, int(ebpf.R6), "legacy packet loads want the context in R6, which is %s", v.reg(ebpf.R6).kind)
	}
	if f := v.unmoved(ebpf.R6); f != nil {
		return f
	}
	if v.held() != nil {
		return v.fail(LegacyHeld, -1, "a legacy packet load can end the program, with a reference or a lock still held")
	}
	if ins.Op.Mode() == ebpf.ModeIND {
		if f := v.readable(ins.Src); f != nil {
			return f
		}
	}
	v.clobber(v.state.top())
	*v.reg(ebpf.R0) = unsigned(ins.Op.Bytes())
	return v.legacyMiss()
}

// legacyMiss follows the way of a load that finds no bytes: the function
// returns 0. That of the program ends in the same way as the program does.
func (v *verifier) legacyMiss() *failure {
	lo, hi, limited := v.returns()
	if len(v.state.frames) == 1 {
		if limited && (lo > 0 || hi < 0) {
			return v.fail(ReturnRange, 0, "a legacy packet load can end the program with 0, but what it may return is %d to %d", lo, hi)
		}
		return nil
	}
	here, next := v.state, v.next
	v.state = v.clone(here)
	*v.reg(ebpf.R0) = known(0)
	f := v.exit()
	v.fork(v.state, v.next)
	v.state, v.next = here, next
	return f
}
