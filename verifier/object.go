package verifier

import (
	"slices"

	"github.com/bpflab/bpflab/ebpf/object"
)

// Attach types that make a difference: BPF_CGROUP_INET_EGRESS and
// BPF_XDP_DEVMAP.
const (
	attachEgress = 1
	attachDevMap = 33
)

// ProgramsOf makes programs to verify of the linked programs of an object,
// with their lines of source.
func ProgramsOf(l *object.Linked) []*Program {
	var out []*Program
	for _, p := range l.Programs {
		functions := map[int]string{}
		for _, f := range p.Functions {
			functions[f.Start] = f.Name
		}
		out = append(out, &Program{
			Name: p.Name, Type: p.Type, Insns: p.Insns, Maps: l.Maps, Absent: p.Absent, Functions: functions, ContextSize: p.Type.ContextBytes(),
			NotGPL: !slices.Contains(compatible, p.License), Egress: p.AttachType == attachEgress,
			DevMap: p.AttachType == attachDevMap,
			Source: func(slot int) Source {
				line := p.LineAt(slot)
				if line == nil {
					return Source{}
				}
				return Source{File: line.File, Line: line.Number, Text: line.Text}
			},
		})
	}
	return out
}

// compatible are the licenses that the kernel takes for compatible with the
// GPL (license_is_gpl_compatible).
var compatible = []string{"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
