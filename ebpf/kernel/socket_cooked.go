package kernel

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"

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

// cookedHeader has the lengths of the cooked headers.
var cookedHeader = map[cbpf.LinkType]uint32{cbpf.LinkLinuxSLL: 16, cbpf.LinkLinuxSLL2: 20}

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

// SocketFilter turns a filter for packets of a link type as a capture delivers
// them into one for packets as the kernel's filter sees them. They differ where
// the header is cooked, LINUX_SLL and LINUX_SLL2: it is not there. [OpenCapture]
// does this by itself with a classic filter; it is for one that is to be
// translated to eBPF first. The error is a [*CookedError].
//
// libpcap does the same (fix_program). "ld #len" stays as it is in both, and does
// not count the cooked header.
func SocketFilter(prog []bpf.RawInstruction, t cbpf.LinkType) ([]bpf.RawInstruction, error) {
	header, ok := cookedHeader[t]
	if !ok {
		return prog, nil
	}
	prog = slices.Clone(prog)
	for i := range prog {
		ins := &prog[i]
		if !readsPacket(*ins) || ins.K >= cbpf.LLOff {
			continue
		}
		if ins.K >= header {
			ins.K -= header
			continue
		}
		field, ok := cookedFields[t][*ins]
		if !ok {
			return nil, &CookedError{i, *ins}
		}
		ins.K = cbpf.AdOff + field
	}
	if t == cbpf.LinkLinuxSLL2 { // of AnyDevice
		prog = append(slices.Clone(notLooped), prog...)
	}
	return prog, nil
}

const packetOutgoing = 4 // PACKET_OUTGOING

// notLooped begins the filter for all devices: the loopback device, which is
// number 1 in every network namespace, would show each packet twice, so those
// that it sends are left out. The program behind it finds the accumulator as it
// is at the start.
var notLooped = []bpf.RawInstruction{
	{Op: cbpf.ClassLD | cbpf.SizeW | cbpf.ModeABS, K: cbpf.AdOff + cbpf.AdPacketType},
	{Op: cbpf.ClassJMP | cbpf.JEQ, K: packetOutgoing, Jf: 3},
	{Op: cbpf.ClassLD | cbpf.SizeW | cbpf.ModeABS, K: cbpf.AdOff + cbpf.AdIfIndex},
	{Op: cbpf.ClassJMP | cbpf.JEQ, K: 1, Jf: 1},
	{Op: cbpf.ClassRET | cbpf.SrcK},
	{Op: cbpf.ClassLD | cbpf.ModeIMM},
}

func readsPacket(ins bpf.RawInstruction) bool {
	class, mode := ins.Op&7, ins.Op&0xe0
	return class == cbpf.ClassLD && (mode == cbpf.ModeABS || mode == cbpf.ModeIND) || class == cbpf.ClassLDX && mode == cbpf.ModeMSH
}
