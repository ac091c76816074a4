package verifier

import "github.com/bpflab/bpflab/ebpf"

const tailCall = 12

func (v *verifier) call(ins ebpf.Instruction) *failure                   { return v.fail(UnknownHelper, -1, "x") }
func (v *verifier) callbackReturned(f *frame) *failure                   { return nil }
func (v *verifier) mapLoad(ins ebpf.Instruction) *failure                { return v.fail(UnknownHelper, -1, "x") }
func (v *verifier) held() *failure                                       { return nil }
func (v *verifier) touchesLock(obj int32, off, end int64) bool           { return false }
func (v *verifier) frozen(obj int32, off int64, size int) (uint64, bool) { return 0, false }
func (s *state) dropRef(id uint32)                                       {}
