package vm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestSetContext sets each field to the largest value it takes, which is the
// most that its width in the kernel has room for, and reads it in a program.
func TestSetContext(t *testing.T) {
	tests := []struct {
		typ   abi.ProgType
		field string
		most  uint64
	}{
		{abi.SchedCLS, "pkt_type", 7},
		{abi.SocketFilter, "mark", 1<<32 - 1},
		{abi.SchedCLS, "queue_mapping", 1<<16 - 1},
		{abi.SchedCLS, "protocol", 1<<16 - 1},
		{abi.SchedCLS, "vlan_tci", 1<<16 - 1},
		{abi.SchedCLS, "vlan_proto", 1<<16 - 1},
		{abi.CGroupSKB, "priority", 1<<32 - 1},
		{abi.SchedCLS, "ingress_ifindex", 1<<31 - 1},
		{abi.LWTIn, "ifindex", 1<<31 - 1},
		{abi.SchedCLS, "tc_index", 1<<16 - 1},
		{abi.SchedACT, "cb[0]", 1<<32 - 1},
		{abi.SchedACT, "cb[4]", 1<<32 - 1},
		{abi.SchedCLS, "hash", 1<<32 - 1},
		{abi.SchedCLS, "tstamp", 1<<64 - 1},
		{abi.SchedCLS, "gso_segs", 1<<16 - 1},
		{abi.SchedCLS, "gso_size", 1<<16 - 1},
		{abi.XDP, "ingress_ifindex", 1<<31 - 1},
		{abi.XDP, "rx_queue_index", 1<<16 - 2},
	}
	for _, tt := range tests {
		var meta cbpf.Metadata
		if err := vm.SetContext(&meta, tt.typ, tt.field, tt.most); err != nil {
			t.Error(err)
		}
		if tt.most != 1<<64-1 {
			if err := vm.SetContext(&meta, tt.typ, tt.field, tt.most+1); err == nil {
				t.Errorf("%s of %d: no error", tt.field, tt.most+1)
			}
		}
		if got := loadField(t, tt.typ, tt.field, meta); got != tt.most {
			t.Errorf("%s is %#x, want %#x", tt.field, got, tt.most)
		}
	}
}

// loadField returns what a program finds in a field.
func loadField(t *testing.T, typ abi.ProgType, name string, meta cbpf.Metadata) uint64 {
	t.Helper()
	base, index, _ := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	field := abi.ContextOf(typ).Field(base)
	off, bits := field.Offset, 8*field.Size
	if index != "" {
		off, bits = off+4*int(index[0]-'0'), 32
	}
	text := fmt.Sprintf("r0 = *(u%d *)(r1 + %d)\nexit", bits, off)
	res := runPacket(t, typ, text, engine.Packet{Data: make([]byte, 60), WireLen: 60, Meta: meta}, vm.Options{})
	if res.Fault != nil {
		t.Fatalf("%s: %v", name, res.Fault)
	}
	return res.R0
}

// TestSetContextVLAN: either field makes a tag; a protocol given is kept, and
// stands in the byte order of the wire.
func TestSetContextVLAN(t *testing.T) {
	var meta cbpf.Metadata
	set := func(name string, v uint64) {
		t.Helper()
		if err := vm.SetContext(&meta, abi.SchedCLS, name, v); err != nil {
			t.Fatal(err)
		}
	}
	set("vlan_tci", 5)
	if !meta.VLANPresent || meta.VLANProto != 0x8100 {
		t.Errorf("%+v", meta)
	}
	set("vlan_proto", 0x88a8)
	set("vlan_tci", 6)
	if got := loadField(t, abi.SchedCLS, "vlan_proto", meta); got != 0xa888 || meta.VLANTCI != 6 {
		t.Errorf("%#x, %+v", got, meta)
	}
}

func TestSetContextErrors(t *testing.T) {
	var meta cbpf.Metadata
	for _, tt := range []struct {
		typ         abi.ProgType
		field, want string
	}{
		{abi.XDP, "mark", `no field "mark" to be set in struct xdp_md, but ingress_ifindex, rx_queue_index`},
		{abi.SchedCLS, "data", `no field "data" to be set in struct __sk_buff, but pkt_type, `},
		{abi.SchedCLS, "cb", `cb[4]`},
		{abi.SocketFilter, "tstamp", "gso_segs, gso_size"},
		{abi.FlowDissector, "mark", "programs of type flow_dissector have no context whose fields could be set"},
		{abi.RawTracepoint, "mark", "programs of type raw_tracepoint have no context whose fields could be set"},
	} {
		err := vm.SetContext(&meta, tt.typ, tt.field, 1)
		if err == nil || !strings.Contains(err.Error(), tt.want) || meta != (cbpf.Metadata{}) {
			t.Errorf("%v %s: %v", tt.typ, tt.field, err)
		}
	}
}
