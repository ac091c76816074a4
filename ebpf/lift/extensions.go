package lift

import (
	"fmt"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// An extension is one way to supply a SKF_AD_ extension to a program.
type extension struct {
	field  string // a field of the context, if not empty,
	swap   bool   // holding 16 bits in network byte order,
	device bool   // or 0 if the packet has no device, which ends the program
	call   int32  // or else a helper without arguments
}

// extensionNames has every extension of the classic machine, for messages.
var extensionNames = map[uint32]string{
	cbpf.AdProtocol:       "protocol",
	cbpf.AdPacketType:     "pkttype",
	cbpf.AdIfIndex:        "ifindex",
	cbpf.AdNLAttr:         "nlattr",
	cbpf.AdNLAttrNest:     "nlattr_nest",
	cbpf.AdMark:           "mark",
	cbpf.AdQueue:          "queue",
	cbpf.AdHWType:         "hatype",
	cbpf.AdRxHash:         "rxhash",
	cbpf.AdCPU:            "cpu",
	cbpf.AdXorX:           "alu_xor_x",
	cbpf.AdVLANTag:        "vlan_tci",
	cbpf.AdVLANTagPresent: "vlan_present",
	cbpf.AdPayOffset:      "pay_offset",
	cbpf.AdRandom:         "random",
	cbpf.AdVLANTPID:       "vlan_tpid",
}

// skbExtensions are supplied where the context is a struct __sk_buff. Each
// field reads the same member of the kernel's sk_buff as the extension does.
var skbExtensions = map[uint32]extension{
	cbpf.AdProtocol:       {field: "protocol", swap: true},
	cbpf.AdPacketType:     {field: "pkt_type"},
	cbpf.AdIfIndex:        {field: "ifindex", device: true},
	cbpf.AdMark:           {field: "mark"},
	cbpf.AdQueue:          {field: "queue_mapping"},
	cbpf.AdRxHash:         {field: "hash"},
	cbpf.AdCPU:            {call: abi.GetSMPProcessorID},
	cbpf.AdVLANTag:        {field: "vlan_tci"},
	cbpf.AdVLANTagPresent: {field: "vlan_present"},
	cbpf.AdRandom:         {call: abi.GetPrandomU32},
	cbpf.AdVLANTPID:       {field: "vlan_proto", swap: true},
}

// xdpExtensions are supplied in XDP. The queue is the number of the receive
// queue; drivers that record it in the sk_buff later store one more there.
var xdpExtensions = map[uint32]extension{
	cbpf.AdIfIndex: {field: "ingress_ifindex"},
	cbpf.AdQueue:   {field: "rx_queue_index"},
	cbpf.AdCPU:     {call: abi.GetSMPProcessorID},
	cbpf.AdRandom:  {call: abi.GetPrandomU32},
}

func (in *insn) decodeExtension(ad uint32, index int, t *target) error {
	if ad == cbpf.AdXorX {
		in.kind, in.op, in.useX = alu, ebpf.Xor, true
		return nil
	}
	table := skbExtensions
	if !t.isSKB() {
		table = xdpExtensions
	}
	ext, ok := table[ad]
	if !ok {
		return &Error{index, fmt.Sprintf("hook %v cannot supply the extension %s", t.hook, extensionNames[ad])}
	}
	in.ext, in.kind = ext, loadField
	if ext.field == "" {
		in.kind = loadCall
	}
	// In tc a packet always has a device.
	in.ext.device = ext.device && t.hook != abi.HookTC
	return nil
}

// isSKB reports whether the context is a struct __sk_buff.
func (t *target) isSKB() bool { return t.hook.Context() == &abi.SKBuff }

// startsAt says which header packets at the hook begin with, fromStart if that
// depends on the socket.
func (t *target) startsAt() area {
	switch t.hook {
	case abi.HookXDP, abi.HookTC:
		return fromLink
	case abi.HookCGroupSKB:
		return fromNetwork
	}
	return fromStart
}
