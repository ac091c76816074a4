package kernel

import (
	"fmt"
	"slices"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/ebpf/object"
)

// FilterOptions say what a program built around a filter does.
type FilterOptions struct {
	// Match and NoMatch are what it returns for packets that the filter
	// matches, and for others. [Untouched] is what leaves a packet alone.
	Match, NoMatch int32
	// Copy puts the packets that match into a ring buffer, for [Packets].
	Copy bool
	// SnapLen is the most bytes to copy of a packet, 0 for [MaxCopy].
	SnapLen int
	// RingSize is the size of the ring buffer in bytes, a power of two and at
	// least 256 KiB; 0 for 16 MiB.
	RingSize int
}

// MaxCopy is how many bytes of a packet are copied at most.
const MaxCopy = 1 << 16

// Untouched returns the verdict by which a program leaves a packet to whatever
// comes next at a hook: XDP_PASS, TCX_NEXT, or 1 for a control group.
func Untouched(k HookKind) int32 {
	switch k {
	case HookXDP:
		return 2
	case HookTCXIn, HookTCXOut:
		return -1
	}
	return 1
}

// Dropped returns the verdict by which a program drops a packet: XDP_DROP,
// TCX_DROP, or 0 for a control group.
func Dropped(k HookKind) int32 {
	switch k {
	case HookXDP:
		return 1
	case HookTCXIn, HookTCXOut:
		return 2
	}
	return 0
}

// The maps of such a program.
const (
	countsMap  = "counts"
	packetsMap = "packets"
)

// Indexes of countsMap.
const (
	countSeen = iota
	countMatched
	countLost // matched, but the ring buffer was full
	countsLen
)

// A record in packetsMap begins with these fields; the packet follows.
const (
	recordTime      = 0  // u64: CLOCK_MONOTONIC, nanoseconds
	recordWireLen   = 8  // u32
	recordCapLen    = 12 // u32
	recordIndex     = 16 // u32: of the interface
	recordTCI       = 20 // u32: the VLAN tag taken out of the packet
	recordTPID      = 24 // u32: and what it was announced by, in network order; 0 if there was none
	recordType      = 28 // u32: PACKET_HOST to PACKET_OUTGOING
	recordHeaderLen = 32
)

// roomSizes are the sizes of the packets that records have room for. The kernel
// wants to know the size of a record when it verifies the program.
var roomSizes = [...]int{128, 512, 2048, 10240, MaxCopy}

// NewFilterProgram builds a program for an xdp, tcx or cgroup hook around a
// classic filter, which it calls as a function. The filter must be compiled for
// what the hook sees: at a control group, packets from the network header on; at
// tcx, live ones, of which the kernel has taken out the VLAN tag. The program
// counts, copies what matches if it is to, and returns its verdict.
func NewFilterProgram(k HookKind, filter []bpf.RawInstruction, o FilterOptions) (*object.Linked, error) {
	at := lift.Options{Access: lift.LoadBytes, Returns: &lift.Returns{Match: 1, NoMatch: 0}}
	switch k {
	case HookXDP:
		// All of the packet is in the linear part, else the interface does not
		// take the program.
		at.Hook, at.Access = abi.HookXDP, lift.Direct
	case HookTCXIn, HookTCXOut:
		at.Hook = abi.HookTC
	case HookCGroup, HookCGroupIn, HookCGroupOut:
		at.Hook = abi.HookCGroupSKB
	default:
		return nil, fmt.Errorf("no program is built around a filter for %v hooks", k)
	}
	filter, err := withDirection(k, filter)
	if err != nil {
		return nil, err
	}
	lifted, err := lift.Lift(filter, at)
	if err != nil {
		return nil, err
	}
	unit, err := ebpf.AssembleUnit(filterText(at.Hook, o))
	if err != nil {
		panic("kernel: the text of the filter program: " + err.Error())
	}
	// The text ends with a stand-in for the filter.
	insns := append(unit.Insns[:len(unit.Insns)-1], lifted.Insns...)
	return &object.Linked{
		Programs: []object.LinkedProgram{{
			Program: &object.Program{Name: "bpflab_filter", Type: k.Type(), License: license},
			Insns:   insns,
		}},
		Maps: filterMaps(o),
	}, nil
}

// withDirection makes a filter that asks for the packet type, as inbound and
// outbound do, right for hooks of one direction. That a packet is outgoing the
// kernel notes for packet sockets only; elsewhere it is the hook that tells.
func withDirection(k HookKind, filter []bpf.RawInstruction) ([]bpf.RawInstruction, error) {
	const outgoing = 4 // PACKET_OUTGOING
	filter = slices.Clone(filter)
	for i, ins := range filter {
		isLoad := ins.Op&0x07 == cbpf.ClassLD && ins.Op&0xe0 == cbpf.ModeABS
		if !isLoad || ins.K != cbpf.AdOff+cbpf.AdPacketType {
			continue
		}
		switch k {
		case HookTCXOut, HookCGroupOut:
			filter[i] = bpf.RawInstruction{Op: cbpf.ClassLD | cbpf.ModeIMM, K: outgoing}
		case HookCGroup:
			return nil, &lift.Error{Index: i, Msg: "at a cgroup hook for both ways a packet does not tell which way it goes: cgroup-in and cgroup-out do"}
		}
	}
	return filter, nil
}

func filterMaps(o FilterOptions) []abi.MapSpec {
	maps := []abi.MapSpec{{Name: countsMap, Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: countsLen}}
	if !o.Copy {
		return maps
	}
	size := o.RingSize
	if size == 0 {
		size = defaultRingSize
	}
	return append(maps, abi.MapSpec{Name: packetsMap, Kind: abi.RingBuf, MaxEntries: uint32(size)})
}

// FilterStats are what a program of [NewFilterProgram] counts.
type FilterStats struct {
	Seen    uint64 `json:"seen"`    // packets it ran on
	Matched uint64 `json:"matched"` // of them
	Lost    uint64 `json:"lost"`    // of those, not copied because the ring buffer was full
}
