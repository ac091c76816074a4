package abi

import (
	"fmt"
	"slices"
	"strings"
)

// What programs return that attach to packets in a place that is no [Hook].
var (
	lwtVerdicts       = []Verdict{{0, "BPF_OK"}, {2, "BPF_DROP"}, {7, "BPF_REDIRECT"}, {128, "BPF_LWT_REROUTE"}}
	dissectorVerdicts = []Verdict{{0, "BPF_OK"}, {2, "BPF_DROP"}, {129, "BPF_FLOW_DISSECTOR_CONTINUE"}}
)

// verdicts lists what programs of type t return by name.
func (t ProgType) verdicts() []Verdict {
	switch {
	case t == XDP:
		return hooks[HookXDP].Verdicts
	case schedTypes.Has(t):
		return hooks[HookTC].Verdicts
	case lwtTypes.Has(t):
		return lwtVerdicts
	case t == FlowDissector:
		return dissectorVerdicts
	}
	return nil
}

// VerdictName returns the kernel's name for what a program of type t returned,
// such as "XDP_PASS", or the number where there are no names or not this one.
func (t ProgType) VerdictName(ret uint32) string {
	for _, v := range t.verdicts() {
		if v.Value == int32(ret) {
			return v.Name
		}
	}
	return fmt.Sprint(ret)
}

// ProgTypes returns the program types of which this package knows what R1
// points to, in the order of their numbers.
func ProgTypes() []ProgType {
	var all []ProgType
	for t := range ProgType(len(progTypes)) {
		if allTypes.Has(t) {
			all = append(all, t)
		}
	}
	return all
}

// ParseProgType finds a program type by the name of a hook (see [ParseHook]) or
// by its own, such as "lwt_xmit" or "sched_cls".
func ParseProgType(name string) (ProgType, error) {
	if h, err := ParseHook(name); err == nil {
		return h.Type(), nil
	}
	types := ProgTypes()
	if i := slices.IndexFunc(types, func(t ProgType) bool { return t.String() == name }); i >= 0 {
		return types[i], nil
	}
	return 0, fmt.Errorf("unknown program type %q, want a hook (%s) or one of %s", name, nameList(Hooks()), nameList(types))
}

func nameList[T fmt.Stringer](all []T) string {
	var names []string
	for _, v := range all {
		names = append(names, v.String())
	}
	return strings.Join(names, ", ")
}
