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
