package kernel

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
)

// A CookedError says that a filter reads a part of the cooked header that the
// kernel cannot give it: the header is made after the filter has run.
type CookedError struct {
	Index int // of the instruction
	Ins   bpf.RawInstruction
}

func (e *CookedError) Error() string {
	return fmt.Sprintf("instruction %d (%s) reads the cooked link header where the kernel has no such field",
		e.Index, cbpf.Mnemonic(e.Ins, e.Index))
}

// cookedFields says which extension of the kernel answers a load from a cooked
// header.
var cookedFields = map[cbpf.LinkType]map[bpf.RawInstruction]uint32{
	cbpf.LinkLinuxSLL: {
		{Op: cbpf.ClassLD | cbpf.SizeH | cbpf.ModeABS, K: 0}:  cbpf.AdPacketType,
		{Op: cbpf.ClassLD | cbpf.SizeH | cbpf.ModeABS, K: 2}:  cbpf.AdHWType,
		{Op: cbpf.ClassLD | cbpf.SizeH | cbpf.ModeABS, K: 14}: cbpf.AdProtocol,
	},
	cbpf.LinkLinuxSLL2: {
		{Op: cbpf.ClassLD | cbpf.SizeH | cbpf.ModeABS, K: 0}:  cbpf.AdProtocol,
		{Op: cbpf.ClassLD | cbpf.SizeW | cbpf.ModeABS, K: 4}:  cbpf.AdIfIndex,
		{Op: cbpf.ClassLD | cbpf.SizeH | cbpf.ModeABS, K: 8}:  cbpf.AdHWType,
		{Op: cbpf.ClassLD | cbpf.SizeB | cbpf.ModeABS, K: 10}: cbpf.AdPacketType,
	},
}

// inKernel turns a filter for the packets as they are delivered into one for the
// packets as the kernel's filter sees them, which differ where the header is
// cooked: it is not there. libpcap does the same (fix_program). "ld #len" stays
// as it is in both, and does not count the cooked header.
func (l *link) inKernel(prog []bpf.RawInstruction) ([]bpf.RawInstruction, error) {
	if l.header == 0 {
		return prog, nil
	}
	prog = slices.Clone(prog)
	for i := range prog {
		ins := &prog[i]
		if !readsPacket(*ins) || ins.K >= cbpf.LLOff {
			continue
		}
		if ins.K >= l.header {
			ins.K -= l.header
			continue
		}
		field, ok := cookedFields[l.typ][*ins]
		if !ok {
			return nil, &CookedError{i, *ins}
		}
		ins.K = cbpf.AdOff + field
	}
	if l.typ == cbpf.LinkLinuxSLL2 {
		prog = append(slices.Clone(notLooped), prog...)
	}
	return prog, nil
}

// notLooped begins the filter for all devices: a loopback device would show each
// packet twice, so those that it sends are left out. The program behind it finds
// the accumulator as it is at the start.
var notLooped = []bpf.RawInstruction{
	{Op: cbpf.ClassLD | cbpf.SizeW | cbpf.ModeABS, K: cbpf.AdOff + cbpf.AdPacketType},
	{Op: cbpf.ClassJMP | cbpf.JEQ, K: unix.PACKET_OUTGOING, Jf: 3},
	{Op: cbpf.ClassLD | cbpf.SizeW | cbpf.ModeABS, K: cbpf.AdOff + cbpf.AdHWType},
	{Op: cbpf.ClassJMP | cbpf.JEQ, K: unix.ARPHRD_LOOPBACK, Jf: 1},
	{Op: cbpf.ClassRET | cbpf.SrcK},
	{Op: cbpf.ClassLD | cbpf.ModeIMM},
}

func readsPacket(ins bpf.RawInstruction) bool {
	class, mode := ins.Op&7, ins.Op&0xe0
	return class == cbpf.ClassLD && (mode == cbpf.ModeABS || mode == cbpf.ModeIND) || class == cbpf.ClassLDX && mode == cbpf.ModeMSH
}
