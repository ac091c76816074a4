package jit

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestReach has a map that fills the addresses which instructions reach from the
// base: the map's own values are behind it, and so would be the state of a
// machine that shares it.
func TestReach(t *testing.T) {
	proof := proveText(t, abi.SchedCLS, `
		.map big type array key 4 value 1048576 entries 2500
		*(u32 *)(r10 - 4) = 2300
		r1 = map[big]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		r1 = *(u64 *)(r0 + 8)
		r1 += 7
		*(u64 *)(r0 + 8) = r1
		r0 = *(u64 *)(r0 + 8)
	out:	exit`)
	needMachineCode(t)
	e, err := New(vm.Options{}, proof)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Share(vm.Options{}); err == nil {
		t.Error("shared")
	}
	in := callPackets(3)
	out := make([]engine.Result, len(in))
	if err := e.Run(in, out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if want := uint64(7 * (i + 1)); out[i].R0 != want {
			t.Errorf("run %d: %d, want %d", i, out[i].R0, want)
		}
	}
}

// TestCauseWithLargeMap looks for the cause of a fault with such a map, which is
// not copied: that would take minutes, and the memory of this machine.
func TestCauseWithLargeMap(t *testing.T) {
	e := engineOf(t, abi.SchedCLS, `
		.map big type array key 4 value 1048576 entries 2500
		.map small type array key 4 value 8 entries 1
		r1 = map[small][0]+0
		r0 = *(u32 *)(r1 + 0)
		exit`, vm.Options{})
	fault := &Fault{}
	e.findCause(fault, callPackets(3))
	if fault.Packet >= 0 || fault.Checked != nil {
		t.Errorf("packet %d: %v", fault.Packet, fault.Checked)
	}
}

// TestPacketOutOfReach has a packet for which there is room behind such a map
// only, where lean code cannot have it.
func TestPacketOutOfReach(t *testing.T) {
	e := engineOf(t, abi.SchedCLS, `
		.map big type array key 4 value 1048576 entries 2500
		r2 = *(u32 *)(r1 + 76)
		r3 = *(u32 *)(r1 + 80)
		r4 = r2
		r4 += 14
		r0 = 1
		if r4 > r3 goto out
		r0 = *(u8 *)(r2 + 13)
	out:	exit`, vm.Options{})
	in := []engine.Packet{{Data: make([]byte, 64)}, {Data: make([]byte, 1<<19)}, {Data: make([]byte, 64)}, {Data: make([]byte, 13)}}
	in[0].Data[13], in[1].Data[13], in[2].Data[13] = 7, 8, 9
	for range 2 {
		var out [4]engine.Result
		if err := e.Run(in, out[:]); err != nil || out[0].R0 != 7 || out[1].R0 != 8 || out[2].R0 != 9 || out[3].R0 != 1 {
			t.Errorf("%+v, %v", out, err)
		}
		if err := e.Select(""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAddressesMove has a program that notes where packets are, and a packet that
// moves them.
func TestAddressesMove(t *testing.T) {
	in := make([]engine.Packet, 3)
	for i := range in {
		in[i].Data = make([]byte, 64)
	}
	in[1].Data = make([]byte, 1<<19)
	sameAsInterpreter(t, in, nil, proveText(t, abi.SchedCLS, `
		.map place type array key 4 value 8 entries 1
		r2 = *(u32 *)(r1 + 76)
		r1 = map[place][0]+0
		*(u64 *)(r1 + 0) = r2
		r0 = 1
		exit`))
}
