package abi_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// TestContextsAreWhole checks that the fields lie in order, aligned, without
// overlap, and cover the structure but for the three bytes of padding that
// struct __sk_buff has behind tstamp_type.
func TestContextsAreWhole(t *testing.T) {
	for _, c := range []*abi.Context{&abi.SKBuff, &abi.XDPMD, &abi.BPFFlowKeys} {
		end := 0
		for _, f := range c.Fields {
			if f.Offset != end && !(f.Name == "hwtstamp" && f.Offset == end+3) {
				t.Errorf("%s.%s starts at %d, the field before ends at %d", c.Name, f.Name, f.Offset, end)
			}
			if (f.Loads == 0) != (f.Readers == 0) || (f.Stores == 0) != (f.Writers == 0) {
				t.Errorf("%s.%s: widths without program types or types without widths", c.Name, f.Name)
			}
			end = f.Offset + f.Size
		}
		if end != c.Size {
			t.Errorf("%s: the last field ends at %d, the size is %d", c.Name, end, c.Size)
		}
	}
}

func TestAccess(t *testing.T) {
	tests := []struct {
		typ       abi.ProgType
		off, size int
		write     bool
		field     string
		ok        bool
	}{
		{abi.SocketFilter, 0, 4, false, "len", true},
		{abi.SocketFilter, 1, 1, false, "len", true},
		{abi.SocketFilter, 2, 2, false, "len", true},
		{abi.SocketFilter, 1, 2, false, "len", false},
		{abi.SocketFilter, 0, 8, false, "len", false},
		{abi.SocketFilter, 0, 3, false, "len", false},
		{abi.SocketFilter, 0, 0, false, "len", false},
		{abi.SocketFilter, 0, 4, true, "len", false},
		{abi.SocketFilter, 76, 4, false, "data", false},
		{abi.SchedCLS, 76, 4, false, "data", true},
		{abi.SchedCLS, 76, 2, false, "data", false},
		{abi.SchedCLS, 8, 4, true, "mark", true},
		{abi.SchedCLS, 8, 2, true, "mark", false},
		{abi.SocketFilter, 8, 4, true, "mark", false},
		{abi.SocketFilter, 48, 8, true, "cb", true},
		{abi.SocketFilter, 64, 8, true, "cb", false},
		{abi.CGroupSKB, 112, 4, false, "remote_ip6", true},
		{abi.CGroupSKB, 112, 2, false, "remote_ip6", false},
		{abi.SchedCLS, 112, 4, false, "remote_ip6", false},
		{abi.SchedCLS, 181, 1, false, "", false},
		{abi.SchedCLS, 192, 4, false, "", false},
		{abi.SchedCLS, -4, 4, false, "", false},
		{abi.SocketFilter, 168, 8, false, "sk", true},
		{abi.XDP, 0, 4, false, "data", true},
		{abi.XDP, 12, 4, false, "ingress_ifindex", true},
		{abi.XDP, 12, 2, false, "ingress_ifindex", false},
		{abi.XDP, 20, 4, false, "egress_ifindex", false},
		{abi.XDP, 16, 4, true, "rx_queue_index", false},
	}
	for _, tt := range tests {
		f, ok := abi.ContextOf(tt.typ).Access(tt.typ, tt.off, tt.size, tt.write)
		name := ""
		if f != nil {
			name = f.Name
		}
		if name != tt.field || ok != tt.ok {
			t.Errorf("%v: access of %d bytes at %d, write %v: %q %v, want %q %v",
				tt.typ, tt.size, tt.off, tt.write, name, ok, tt.field, tt.ok)
		}
	}
	if abi.ContextOf(2) != nil {
		t.Error("kprobe has a context")
	}
}

func TestHelpers(t *testing.T) {
	last := int32(0)
	for _, h := range abi.Helpers {
		if h.ID <= last || ebpf.HelperName(h.ID) == "" {
			t.Errorf("helper %d %q is out of order or unknown", h.ID, h.Name())
		}
		last = h.ID
	}
	if abi.HelperByID(1000) != nil {
		t.Error("there is a helper 1000")
	}
}

func TestHooks(t *testing.T) {
	for _, h := range abi.Hooks() {
		got, err := abi.ParseHook(h.String())
		if err != nil || got != h {
			t.Errorf("ParseHook(%q) = %v, %v", h, got, err)
		}
		if info := h.Info(); !info.Length && (int32(info.Match) > info.Max || int32(info.NoMatch) < info.Min) {
			t.Errorf("%v: returns outside [%d, %d]", h, info.Min, info.Max)
		}
	}
	if _, err := abi.ParseHook("tcx"); err == nil {
		t.Error("ParseHook accepts tcx")
	}
	if got := abi.HookTC.VerdictName(0xffffffff); got != "TC_ACT_UNSPEC" {
		t.Errorf("tc -1 is %s", got)
	}
	if got := abi.ProgType(6).String() + abi.ProgType(99).String(); got != "xdp99" {
		t.Errorf("names of program types: %s", got)
	}
}

func TestProgTypes(t *testing.T) {
	for _, typ := range abi.ProgTypes() {
		if got, err := abi.ParseProgType(typ.String()); err != nil || got != typ {
			t.Errorf("ParseProgType(%q) = %v, %v", typ, got, err)
		}
		if abi.ContextOf(typ) == nil && !typ.HasByteContext() {
			t.Errorf("%v has no context", typ)
		}
	}
	if got, err := abi.ParseProgType("tc"); err != nil || got != abi.SchedCLS {
		t.Errorf("tc is %v, %v", got, err)
	}
	if _, err := abi.ParseProgType("netfilter"); err == nil {
		t.Error("ParseProgType accepts netfilter")
	}
	for _, tt := range []struct {
		typ  abi.ProgType
		ret  uint32
		want string
	}{
		{abi.XDP, 3, "XDP_TX"}, {abi.SchedACT, 2, "TC_ACT_SHOT"}, {abi.LWTXmit, 128, "BPF_LWT_REROUTE"},
		{abi.LWTIn, 5, "5"}, {abi.SocketFilter, 0, "0"}, {abi.FlowDissector, 2, "BPF_DROP"},
	} {
		if got := tt.typ.VerdictName(tt.ret); got != tt.want {
			t.Errorf("%v %d is %s, want %s", tt.typ, tt.ret, got, tt.want)
		}
	}
}
