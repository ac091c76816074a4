package kernel

import (
	"fmt"
	"strings"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// filterText returns the assembly text of a program around a filter, without the
// filter: r6 is the context, r7 the packet's length, r8 how much of it is kept,
// r9 the record.
func filterText(h abi.Hook, o FilterOptions) string {
	var b strings.Builder
	for _, m := range filterMaps(o) {
		fmt.Fprintf(&b, ".map %s type %v key %d value %d entries %d\n", m.Name, m.Kind, m.KeySize, m.ValueSize, m.MaxEntries)
	}
	b.WriteString("r6 = r1\n")
	b.WriteString(countText(countSeen))
	b.WriteString("r1 = r6\ncall filter\nif r0 == 0 goto nomatch\n")
	b.WriteString(countText(countMatched))
	if o.Copy {
		b.WriteString(copyText(h, o))
	}
	fmt.Fprintf(&b, "match: r0 = %d\nexit\n", o.Match)
	fmt.Fprintf(&b, "nomatch: r0 = %d\nexit\n", o.NoMatch)
	b.WriteString("filter: exit\n")
	return b.String()
}

// countText adds one to a count of this CPU.
func countText(index int) string {
	return fmt.Sprintf(`
	*(u32 *)(r10 -4) = %[1]d
	r1 = map[%[2]s]
	r2 = r10
	r2 += -4
	call %[3]d
	if r0 == 0 goto counted%[1]d
	r1 = *(u64 *)(r0 +0)
	r1 += 1
	*(u64 *)(r0 +0) = r1
counted%[1]d:
`, index, countsMap, abi.MapLookupElem)
}

// copyText puts the packet into the ring buffer. From the choice of the room on
// there is one way for all of them: the verifier follows each of them there with
// its own size.
func copyText(h abi.Hook, o FilterOptions) string {
	keep := o.SnapLen
	if keep <= 0 || keep > MaxCopy {
		keep = MaxCopy
	}
	var b strings.Builder
	b.WriteString(lengthText(h))
	fmt.Fprintf(&b, "w8 = w7\nif r8 <= %[1]d goto whole\nr8 = %[1]d\nwhole: if r8 == 0 goto match\n", keep)
	for _, size := range roomSizes {
		fmt.Fprintf(&b, "r2 = %d\nif r8 <= %d goto reserve\n", size+recordHeaderLen, size)
	}
	fmt.Fprintf(&b, "goto lost\nreserve:\nr1 = map[%s]\nr3 = 0\ncall %d\n", packetsMap, abi.RingbufReserve)
	b.WriteString("if r0 == 0 goto lost\nr9 = r0\n")
	fmt.Fprintf(&b, "call %d\n", abi.KtimeGetNS)
	fmt.Fprintf(&b, "*(u64 *)(r9 +%d) = r0\n*(u32 *)(r9 +%d) = r7\n*(u32 *)(r9 +%d) = r8\n", recordTime, recordWireLen, recordCapLen)
	b.WriteString(contextText(h))
	load := abi.SKBLoadBytes
	if h == abi.HookXDP {
		load = abi.XDPLoadBytes
	}
	fmt.Fprintf(&b, "r1 = r6\nr2 = 0\nr3 = r9\nr3 += %d\nr4 = r8\ncall %d\n", recordHeaderLen, load)
	b.WriteString("r1 = r9\nr2 = 0\nif r0 != 0 goto discard\n")
	fmt.Fprintf(&b, "call %d\ngoto match\n", abi.RingbufSubmit)
	fmt.Fprintf(&b, "discard: call %d\nlost:\n", abi.RingbufDiscard)
	b.WriteString(countText(countLost))
	return b.String()
}

// lengthText puts the packet's length into r7.
func lengthText(h abi.Hook) string {
	c := h.Context()
	if h == abi.HookXDP {
		return fmt.Sprintf("r7 = *(u32 *)(r6 +%d)\nr1 = *(u32 *)(r6 +%d)\nr7 -= r1\n", c.Field("data_end").Offset, c.Field("data").Offset)
	}
	return fmt.Sprintf("r7 = *(u32 *)(r6 +%d)\n", c.Field("len").Offset)
}

// contextText copies fields of the context; XDP knows less.
func contextText(h abi.Hook) string {
	fields := []struct {
		to   int
		name string
	}{{recordIndex, "ifindex"}, {recordTCI, "vlan_tci"}, {recordTPID, "vlan_proto"}, {recordType, "pkt_type"}}
	if h == abi.HookXDP {
		fields[0].name = "ingress_ifindex"
	}
	var b strings.Builder
	for _, f := range fields {
		if field := h.Context().Field(f.name); field != nil {
			fmt.Fprintf(&b, "r1 = *(u32 *)(r6 +%d)\n*(u32 *)(r9 +%d) = r1\n", field.Offset, f.to)
		} else {
			fmt.Fprintf(&b, "*(u32 *)(r9 +%d) = 0\n", f.to)
		}
	}
	return b.String()
}
