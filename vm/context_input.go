package vm

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// An input is a field of a context that metadata decide. Protocols are
// EtherTypes, as people write them, not in the byte order of the field.
type input struct {
	name string
	most uint64 // the kernel's own field may be narrower than the context's
	set  func(m *cbpf.Metadata, v uint64)
}

var skbInputs = []input{
	{"pkt_type", 7, func(m *cbpf.Metadata, v uint64) { m.PacketType = uint8(v) }},
	{"mark", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.Mark = uint32(v) }},
	{"queue_mapping", math.MaxUint16, func(m *cbpf.Metadata, v uint64) { m.Queue = uint16(v) }},
	{"protocol", math.MaxUint16, func(m *cbpf.Metadata, v uint64) { m.Protocol = uint16(v) }},
	{"vlan_tci", math.MaxUint16, setVLANTCI},
	{"vlan_proto", math.MaxUint16, func(m *cbpf.Metadata, v uint64) { m.VLANPresent, m.VLANProto = true, uint16(v) }},
	{"priority", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.Priority = uint32(v) }},
	{"ingress_ifindex", math.MaxInt32, func(m *cbpf.Metadata, v uint64) { m.IngressIfIndex = uint32(v) }},
	{"ifindex", math.MaxInt32, setIfIndex},
	{"tc_index", math.MaxUint16, func(m *cbpf.Metadata, v uint64) { m.TCIndex = uint16(v) }},
	{"cb[0]", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.CB[0] = uint32(v) }},
	{"cb[1]", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.CB[1] = uint32(v) }},
	{"cb[2]", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.CB[2] = uint32(v) }},
	{"cb[3]", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.CB[3] = uint32(v) }},
	{"cb[4]", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.CB[4] = uint32(v) }},
	{"hash", math.MaxUint32, func(m *cbpf.Metadata, v uint64) { m.RxHash = uint32(v) }},
	{"tstamp", math.MaxUint64, func(m *cbpf.Metadata, v uint64) { m.Timestamp = v }},
	{"gso_segs", math.MaxUint16, func(m *cbpf.Metadata, v uint64) { m.GSOSegments = uint16(v) }},
	{"gso_size", math.MaxUint16, func(m *cbpf.Metadata, v uint64) { m.GSOSize = uint16(v) }},
}

var xdpInputs = []input{
	{"ingress_ifindex", math.MaxInt32, setIfIndex},
	// One more in an sk_buff, where 0 is for none.
	{"rx_queue_index", math.MaxUint16 - 1, func(m *cbpf.Metadata, v uint64) { m.Queue = uint16(v) + 1 }},
}

func setIfIndex(m *cbpf.Metadata, v uint64) { m.HasDevice, m.IfIndex = true, uint32(v) }

func setVLANTCI(m *cbpf.Metadata, v uint64) {
	if !m.VLANPresent {
		m.VLANPresent, m.VLANProto = true, etherVLAN
	}
	m.VLANTCI = uint16(v)
}

// SetContext changes the metadata of a packet so that a program of type t finds
// a value in a field of its context, by the field's name in C: "mark",
// "ingress_ifindex", "cb[2]". protocol and vlan_proto are EtherTypes in host
// order. A VLAN tag has both vlan_tci and vlan_proto, by default 0x8100. The
// error is about a name that such programs cannot read or that has another
// source, and lists the others; or about a value that is too large.
func SetContext(m *cbpf.Metadata, t abi.ProgType, name string, value uint64) error {
	inputs := skbInputs
	if t == abi.XDP {
		inputs = xdpInputs
	}
	i := slices.IndexFunc(inputs, func(in input) bool { return in.name == name })
	if i < 0 || !inputs[i].readBy(t) {
		return unknownField(inputs, t, name)
	}
	if value > inputs[i].most {
		return fmt.Errorf("%s is at most %d, not %d", name, inputs[i].most, value)
	}
	inputs[i].set(m, value)
	return nil
}

// readBy reports whether programs of type t may read the field.
func (in *input) readBy(t abi.ProgType) bool {
	name, _, _ := strings.Cut(in.name, "[")
	context := abi.ContextOf(t)
	return context != nil && context.Field(name).Readers.Has(t)
}

func unknownField(inputs []input, t abi.ProgType, name string) error {
	var names []string
	for i := range inputs {
		if inputs[i].readBy(t) {
			names = append(names, inputs[i].name)
		}
	}
	if names == nil {
		return fmt.Errorf("programs of type %v have no context whose fields could be set", t)
	}
	return fmt.Errorf("no field %q to be set in struct %s, but %s", name, abi.ContextOf(t).Name, strings.Join(names, ", "))
}
