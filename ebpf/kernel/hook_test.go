package kernel_test

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
)

func TestParseHook(t *testing.T) {
	for text, want := range map[string]kernel.Hook{
		"socket:eth0":                    {Kind: kernel.HookSocket, Where: "eth0"},
		"tcx-out:br0.7":                  {Kind: kernel.HookTCXOut, Where: "br0.7"},
		"cgroup:/sys/fs/cgroup/a:b":      {Kind: kernel.HookCGroup, Where: "/sys/fs/cgroup/a:b"},
		"tp:syscalls/sys_enter_openat":   {Kind: kernel.HookTracepoint, Where: "syscalls/sys_enter_openat"},
		"uprobe:/usr/bin/x:std::f(a, b)": {Kind: kernel.HookUprobe, Where: "/usr/bin/x", Symbol: "std::f(a, b)"},
	} {
		got, err := kernel.ParseHook(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":              `unknown hook "", want one of socket:INTERFACE, xdp:INTERFACE`,
		"eth0":          "unknown hook",
		"xdp":           "is incomplete: xdp:INTERFACE",
		"xdp:":          "is incomplete: xdp:INTERFACE",
		"tp:openat":     "is incomplete: tp:CATEGORY/NAME",
		"tp:a/b/c":      "is incomplete",
		"uprobe:/bin/x": "is incomplete: uprobe:BINARY:SYMBOL",
		"kprobe:f":      "unknown hook",
	} {
		if _, err := kernel.ParseHook(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestHookOf(t *testing.T) {
	for section, want := range map[string]string{
		"tracepoint/syscalls/sys_enter_openat": "tp:syscalls/sys_enter_openat",
		"tp/sched/sched_switch":                "tp:sched/sched_switch",
		"raw_tp/sys_enter":                     "raw_tp:sys_enter",
		"?raw_tracepoint/sys_exit":             "raw_tp:sys_exit",
		"tp_btf/sys_enter":                     "tp_btf:sys_enter",
		"uprobe//usr/bin/bash:readline":        "uprobe:/usr/bin/bash:readline",
		"uretprobe/usr/bin/bash:readline":      "uretprobe:/usr/bin/bash:readline",
		"uprobe":                               "",
		"uprobe/readline":                      "",
		"xdp":                                  "",
		"xdp/eth0":                             "",
		"tc/ingress":                           "",
	} {
		h, ok := kernel.HookOf(&object.Program{Section: section})
		if ok != (want != "") || ok && h.String() != want {
			t.Errorf("%s: %v %v", section, h, ok)
		}
	}
}

func TestHookFits(t *testing.T) {
	egress := &object.Program{Type: abi.SchedCLS, Section: "tc/egress"}
	either := &object.Program{Type: abi.SchedCLS, Section: "classifier"}
	if kernel.HookTCXIn.Fits(egress) || !kernel.HookTCXOut.Fits(egress) || !kernel.HookTCXIn.Fits(either) || kernel.HookXDP.Fits(either) {
		t.Error("a program fits at another hook than its own")
	}
	for _, k := range kernel.HookKinds() {
		if h, err := kernel.ParseHook(strings.ReplaceAll(k.Usage(), "CATEGORY/NAME", "a/b")); err != nil || h.Kind != k {
			t.Errorf("%v: %v %v", k, h, err)
		}
	}
}

func TestParseAttachOptions(t *testing.T) {
	for text, want := range map[string]kernel.Order{
		"head": {Head: true}, "tail": {}, "before:17": {Before: true, Program: "17"}, "after:firewall": {Program: "firewall"},
	} {
		if got, err := kernel.ParseOrder(text); err != nil || got != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "first", "before", "before:", "head:1"} {
		if _, err := kernel.ParseOrder(text); err == nil {
			t.Errorf("%q is an order", text)
		}
	}
	if m, err := kernel.ParseXDPMode("generic"); err != nil || m != kernel.XDPGeneric || m.String() != "generic" {
		t.Error(m, err)
	}
	if _, err := kernel.ParseXDPMode("offload"); err == nil {
		t.Error("offload is a mode")
	}
}
