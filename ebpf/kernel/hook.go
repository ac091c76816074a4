package kernel

import (
	"fmt"
	"strings"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
)

// A HookKind is a kind of place in the kernel where programs run.
type HookKind uint8

const (
	HookSocket        HookKind = iota + 1 // a packet socket on an interface
	HookXDP                               // an interface's receive path, before the network stack
	HookTCXIn                             // traffic control of what an interface receives
	HookTCXOut                            // and of what it sends
	HookCGroup                            // packets of the sockets of a control group, both ways
	HookCGroupIn                          // those received
	HookCGroupOut                         // those sent
	HookTracepoint                        // a tracepoint, with the record that tracefs describes
	HookRawTracepoint                     // a tracepoint, with the arguments it was given
	HookTracepointBTF                     // likewise, with the arguments' types known to the verifier
	HookUprobe                            // where a function of a file is entered
	HookUretprobe                         // and where it returns
)

// hookKinds describes the kinds; the index is the HookKind.
var hookKinds = [...]struct {
	name  string
	where string // what stands behind the colon
	typ   abi.ProgType
}{
	HookSocket:        {"socket", "INTERFACE", abi.SocketFilter},
	HookXDP:           {"xdp", "INTERFACE", abi.XDP},
	HookTCXIn:         {"tcx-in", "INTERFACE", abi.SchedCLS},
	HookTCXOut:        {"tcx-out", "INTERFACE", abi.SchedCLS},
	HookCGroup:        {"cgroup", "PATH", abi.CGroupSKB},
	HookCGroupIn:      {"cgroup-in", "PATH", abi.CGroupSKB},
	HookCGroupOut:     {"cgroup-out", "PATH", abi.CGroupSKB},
	HookTracepoint:    {"tp", "CATEGORY/NAME", abi.Tracepoint},
	HookRawTracepoint: {"raw_tp", "NAME", abi.RawTracepoint},
	HookTracepointBTF: {"tp_btf", "NAME", abi.Tracing},
	HookUprobe:        {"uprobe", "BINARY:SYMBOL", abi.Kprobe},
	HookUretprobe:     {"uretprobe", "BINARY:SYMBOL", abi.Kprobe},
}

// HookKinds returns the kinds in the order in which help texts list them.
func HookKinds() []HookKind {
	var all []HookKind
	for k := range hookKinds {
		if k > 0 {
			all = append(all, HookKind(k))
		}
	}
	return all
}

// String returns the kind's name on the command line.
func (k HookKind) String() string {
	if k == 0 || int(k) >= len(hookKinds) {
		return fmt.Sprintf("hook %d", uint8(k))
	}
	return hookKinds[k].name
}

// Usage returns how a hook of the kind is written, such as "xdp:INTERFACE".
func (k HookKind) Usage() string { return k.String() + ":" + hookKinds[k].where }

// Type returns the type of the programs that run there.
func (k HookKind) Type() abi.ProgType { return hookKinds[k].typ }

// OnInterface reports whether hooks of the kind belong to an interface.
func (k HookKind) OnInterface() bool { return hookKinds[k].where == "INTERFACE" }

// A Hook is a place in the kernel where a program can be attached.
type Hook struct {
	Kind   HookKind
	Where  string // the interface, the directory, the tracepoint or the file
	Symbol string // the function in the file, for uprobes
}

// String returns the hook as [ParseHook] reads it.
func (h Hook) String() string {
	if h.Symbol != "" {
		return h.Kind.String() + ":" + h.Where + ":" + h.Symbol
	}
	return h.Kind.String() + ":" + h.Where
}

// ParseHook reads a hook: a kind and what it is of, as in "xdp:eth0",
// "cgroup:/sys/fs/cgroup/web", "tp:syscalls/sys_enter_openat" or
// "uprobe:/usr/bin/bash:readline". Whether there is such a thing is found out
// when a program is attached to it.
func ParseHook(text string) (Hook, error) {
	name, where, _ := strings.Cut(text, ":")
	for _, k := range HookKinds() {
		if k.String() != name {
			continue
		}
		h := Hook{Kind: k, Where: where}
		complete := where != ""
		switch k {
		case HookTracepoint:
			category, event, _ := strings.Cut(where, "/")
			complete = category != "" && event != "" && !strings.Contains(event, "/")
		case HookUprobe, HookUretprobe:
			h.Where, h.Symbol, _ = strings.Cut(where, ":")
			complete = h.Where != "" && h.Symbol != ""
		}
		if !complete {
			return Hook{}, fmt.Errorf("the hook %q is incomplete: %s", text, k.Usage())
		}
		return h, nil
	}
	return Hook{}, fmt.Errorf("unknown hook %q, want one of %s", text, hookList())
}

func hookList() string {
	var names []string
	for _, k := range HookKinds() {
		names = append(names, k.Usage())
	}
	return strings.Join(names, ", ")
}

// sections are the sections of objects that name a place to attach to behind a
// "/"; the aliases are libbpf's.
var sections = map[string]HookKind{
	"tracepoint": HookTracepoint, "tp": HookTracepoint,
	"raw_tracepoint": HookRawTracepoint, "raw_tp": HookRawTracepoint,
	"tp_btf": HookTracepointBTF,
	"uprobe": HookUprobe, "uprobe.s": HookUprobe,
	"uretprobe": HookUretprobe, "uretprobe.s": HookUretprobe,
}

// HookOf returns the hook that the section of a program names, such as
// "tracepoint/syscalls/sys_enter_openat"; false if it names none, as "xdp",
// which leaves the interface open.
func HookOf(p *object.Program) (Hook, bool) {
	name, where, _ := strings.Cut(strings.TrimPrefix(p.Section, "?"), "/")
	kind, ok := sections[name]
	if !ok {
		return Hook{}, false
	}
	// libbpf takes a path without its first "/" for one from the root.
	if (kind == HookUprobe || kind == HookUretprobe) && !strings.HasPrefix(where, "/") {
		where = "/" + where
	}
	h, err := ParseHook(kind.String() + ":" + where)
	return h, err == nil
}

// Fits reports whether programs of an object can be attached to hooks of a
// kind: whether they have the type, and if the section tells a direction,
// whether it is that one.
func (k HookKind) Fits(p *object.Program) bool {
	if p.Type != k.Type() {
		return false
	}
	in, out := strings.HasSuffix(p.Section, "/ingress"), strings.HasSuffix(p.Section, "/egress")
	switch k {
	case HookTCXIn, HookCGroupIn:
		return !out
	case HookTCXOut, HookCGroupOut:
		return !in
	}
	return true
}
