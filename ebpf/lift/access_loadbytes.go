package lift

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// loadBytesAccess reads the packet with the helper that copies bytes to the
// stack, which also reaches what lies outside the linear part: one call a
// load, and the helper knows the bounds.
type loadBytesAccess struct {
	*translator
}

func (l *loadBytesAccess) fixed(in *insn, dst ebpf.Register) {
	l.emit(ebpf.Mov64(ebpf.R1, l.regs.ctx), ebpf.Mov64Imm(ebpf.R2, int32(in.k)))
	l.copyBytes(in, dst, l.helper())
}

// indirect makes the sum on 32 bits, like the classic machine. The helper
// fails for one of 2^31 or more.
func (l *loadBytesAccess) indirect(in *insn) {
	l.emit(ebpf.Mov64(ebpf.R1, l.regs.ctx), ebpf.Mov32(ebpf.R2, l.regs.x))
	if in.k != 0 {
		l.emit(ebpf.ALU32Imm(ebpf.Add, ebpf.R2, int32(in.k)))
	}
	l.copyBytes(in, rA, l.helper())
}

func (l *loadBytesAccess) helper() int32 {
	if l.isSKB() {
		return abi.SKBLoadBytes
	}
	return abi.XDPLoadBytes
}

// The helper checks the bounds, so there is nothing to set up or to remember.

func (l *loadBytesAccess) prologue()    {}
func (l *loadBytesAccess) enter(*block) {}
func (l *loadBytesAccess) leave(*block) {}
func (l *loadBytesAccess) wroteX()      {}
func (l *loadBytesAccess) called()      {}
