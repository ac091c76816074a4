package verifier

import (
	"maps"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A Program is what [Verify] judges: plain data, which it does not change.
type Program struct {
	Name  string // for reports
	Type  abi.ProgType
	Insns []ebpf.Instruction

	// Maps are the maps that the program can name: references in Insns
	// ([ebpf.WideMapFD] and the others) are indexes into it.
	Maps []abi.MapSpec

	// Absent says, by slot, which calls are of functions that are not there.
	// A program may contain them where it finds out before it calls; proving
	// that it does is part of the verdict.
	Absent map[int]string

	// NotGPL says that the program's license is not compatible with the GPL,
	// so that some helper functions are not for it.
	NotGPL bool

	// Egress says that a cgroup_skb program is for packets that leave; such
	// programs may return 2 and 3, too.
	Egress bool

	// Helpers are the prototypes of helper functions beside those in
	// [abi.Helpers]. One of a number that is there must be the same.
	Helpers []abi.Helper

	// ContextSize is the size in bytes of a context that is bytes
	// ([abi.ProgType.HasByteContext]).
	ContextSize int

	// DevMap says that an XDP program is for packets redirected through a
	// device map, which have an egress_ifindex.
	DevMap bool

	// Functions are the names of the program's functions by first slot, as far
	// as they are known, for reports.
	Functions map[int]string

	// Source tells where an instruction comes from, for reports. It may be nil.
	Source func(slot int) Source
}

// A Source is the place that an instruction comes from: a line of C, or a part
// of a filter expression. The zero value stands for "unknown".
type Source struct {
	File   string `json:"file,omitempty"` // "" for a filter expression
	Line   int    `json:"line,omitempty"` // from 1, of File
	Column int    `json:"column,omitempty"`
	Text   string `json:"text,omitempty"` // the line, or the part of the expression
}

// clone makes the copy that a [Proof] owns: nothing in it is shared with the
// caller.
func (p *Program) clone() Program {
	c := *p
	c.Insns = slices.Clone(p.Insns)
	c.Maps = cloneMaps(p.Maps)
	c.Helpers = slices.Clone(p.Helpers)
	for i := range c.Helpers {
		c.Helpers[i].Args = slices.Clone(c.Helpers[i].Args)
	}
	c.Functions = maps.Clone(p.Functions)
	c.Absent = make(map[int]string, len(p.Absent))
	for slot, why := range p.Absent {
		c.Absent[slot] = why
	}
	return c
}

func cloneMaps(specs []abi.MapSpec) []abi.MapSpec {
	out := slices.Clone(specs)
	for i := range out {
		m := &out[i]
		m.Contents = slices.Clone(m.Contents)
		for j := range m.Contents {
			e := &m.Contents[j]
			e.Key, e.Value = slices.Clone(e.Key), slices.Clone(e.Value)
		}
		if m.Inner != nil {
			m.Inner = &cloneMaps([]abi.MapSpec{*m.Inner})[0]
		}
		if m.SpinLock != nil {
			offset := *m.SpinLock
			m.SpinLock = &offset
		}
	}
	return out
}
