package vm_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// TestEcnSetCE marks headers from the network header on, as cgroup_skb programs
// have them: what it returns and the first bytes afterwards.
func TestEcnSetCE(t *testing.T) {
	for _, tt := range []struct {
		name          string
		protocol      uint16
		before, after string
		want          uint32
	}{
		{"IPv4, ECT(0)", 0x0800, "4502001400000000400600000a0000010a000002", "45030014000000004006fffe0a0000010a000002", 1},
		{"IPv4, ECT(1)", 0x0800, "4501001400000000400612340a0000010a000002", "4503001400000000400612320a0000010a000002", 1},
		{"IPv4, already", 0x0800, "4503001400000000400612340a0000010a000002", "4503001400000000400612340a0000010a000002", 1},
		{"IPv4, not capable", 0x0800, "4500001400000000400612340a0000010a000002", "4500001400000000400612340a0000010a000002", 0},
		{"IPv4, cut", 0x0800, "4502001400000000400612340a0000010a0000", "4502001400000000400612340a0000010a0000", 0},
		{"IPv6, cut", 0x86dd, "6020000000000640fe80", "6020000000000640fe80", 0},
		{"another protocol", 0x0806, "4502001400000000400612340a0000010a000002", "4502001400000000400612340a0000010a000002", 0},
	} {
		data, err := hex.DecodeString(tt.before)
		if err != nil {
			t.Fatal(err)
		}
		p := engine.Packet{Data: data, WireLen: uint32(len(data))}
		p.Meta.Protocol = tt.protocol
		res := runPacket(t, abi.CGroupSKB, "call bpf_skb_ecn_set_ce\nexit", p, vm.Options{})
		if got := hex.EncodeToString(res.Data); res.Return != tt.want || got != tt.after || res.Fault != nil {
			t.Errorf("%s: %d, %s, %v, want %d, %s", tt.name, res.Return, got, res.Fault, tt.want, tt.after)
		}
	}
}

// TestUnderCGroup asks for control groups: packets have no socket, and arrays
// of control groups cannot be filled.
func TestUnderCGroup(t *testing.T) {
	prog, err := ebpf.Assemble("r2 = map[fd:0]\nr3 = 0\ncall bpf_skb_under_cgroup\nexit")
	if err != nil {
		t.Fatal(err)
	}
	groups := abi.MapSpec{Name: "groups", Kind: abi.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 2}
	m, err := vm.Load(vm.Collection{Programs: []vm.Program{{Type: abi.SchedCLS, Insns: prog}}, Maps: []abi.MapSpec{groups}}, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if res := runMachine(t, m, make([]byte, 64)); int32(res.Return) != -2 || res.Fault != nil {
		t.Errorf("%d, %v, want -ENOENT", int32(res.Return), res.Fault)
	}
	key := make([]byte, 4)
	if err := m.Maps().ByName("groups").Update(key, key, abi.UpdateAny); !errors.Is(err, maps.EBADF) {
		t.Errorf("update: %v", err)
	}
}
