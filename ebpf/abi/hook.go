package abi

import (
	"fmt"
	"math"
)

// A Hook is a place in the network stack where a filter can run.
type Hook uint8

const (
	HookSocket    Hook = iota // a socket, SO_ATTACH_BPF
	HookXDP                   // a network driver's receive path
	HookTC                    // traffic control, ingress or egress (tcx, clsact)
	HookCGroupSKB             // the sockets of a control group
)

// A Verdict is a value that a program may return and its name in the
// kernel's headers.
type Verdict struct {
	Value int32
	Name  string
}

// A HookInfo says how a hook runs programs and reads what they return.
type HookInfo struct {
	Name     string // as on the command line
	Type     ProgType
	Section  string // of an ELF object: what tells loaders the program type
	Match    uint32 // returned for a packet that the filter matches, unless Length
	NoMatch  uint32 // returned for one that it does not
	Length   bool   // a match returns what the filter returned: the length to keep
	Min, Max int32  // what the kernel's verifier accepts as a return value
	Verdicts []Verdict
}

// hooks is indexed by Hook. A filter that matches lets a packet pass, as in a
// socket filter; without a filter's verdict it is dropped.
var hooks = [...]HookInfo{
	HookSocket: {
		Name: "socket", Type: SocketFilter, Section: "socket", Length: true,
		Min: math.MinInt32, Max: math.MaxInt32,
	},
	HookXDP: {
		Name: "xdp", Type: XDP, Section: "xdp", Match: 2, NoMatch: 1,
		Min: math.MinInt32, Max: math.MaxInt32,
		Verdicts: []Verdict{
			{0, "XDP_ABORTED"}, {1, "XDP_DROP"}, {2, "XDP_PASS"},
			{3, "XDP_TX"}, {4, "XDP_REDIRECT"},
		},
	},
	HookTC: {
		Name: "tc", Type: SchedCLS, Section: "tc", Match: 0, NoMatch: 2,
		Min: math.MinInt32, Max: math.MaxInt32,
		Verdicts: []Verdict{
			{-1, "TC_ACT_UNSPEC"}, {0, "TC_ACT_OK"}, {1, "TC_ACT_RECLASSIFY"},
			{2, "TC_ACT_SHOT"}, {3, "TC_ACT_PIPE"}, {4, "TC_ACT_STOLEN"},
			{5, "TC_ACT_QUEUED"}, {6, "TC_ACT_REPEAT"}, {7, "TC_ACT_REDIRECT"},
			{8, "TC_ACT_TRAP"},
		},
	},
	HookCGroupSKB: {
		Name: "cgroup_skb", Type: CGroupSKB, Section: "cgroup_skb/ingress", Match: 1, NoMatch: 0,
		Min: 0, Max: 1,
	},
}

// Hooks returns the hooks in the order in which help texts list them.
func Hooks() []Hook { return []Hook{HookSocket, HookXDP, HookTC, HookCGroupSKB} }

// ParseHook finds a hook by its name: socket, xdp, tc or cgroup_skb.
func ParseHook(name string) (Hook, error) {
	for _, h := range Hooks() {
		if h.String() == name {
			return h, nil
		}
	}
	return 0, fmt.Errorf("unknown hook %q, want one of %s", name, nameList(Hooks()))
}

// Info returns the hook's row of the table.
func (h Hook) Info() HookInfo { return hooks[h] }

// Type returns the program type that attaches to the hook.
func (h Hook) Type() ProgType { return hooks[h].Type }

// Context returns what a program at the hook receives in R1.
func (h Hook) Context() *Context { return ContextOf(hooks[h].Type) }

// String returns the hook's name on the command line.
func (h Hook) String() string {
	if int(h) >= len(hooks) {
		return fmt.Sprintf("hook %d", uint8(h))
	}
	return hooks[h].Name
}

// VerdictName returns the kernel's name for a return value at the hook; see
// [ProgType.VerdictName].
func (h Hook) VerdictName(ret uint32) string { return h.Type().VerdictName(ret) }
