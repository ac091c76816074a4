package jit

import (
	"context"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestRunContextKeepsResults looks at all results of a batch whose packets change,
// at its end.
func TestRunContextKeepsResults(t *testing.T) {
	needMachineCode(t)
	p := proveText(t, abi.SchedCLS, `
		r6 = r1
		r2 = 60
		r3 = 0
		call bpf_skb_change_tail
		r0 = 0
		exit`)
	e, err := New(vm.Options{}, p)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	in := callPackets(20)
	out := make([]engine.Result, 20)
	if err := e.RunContext(context.Background(), in, out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		n := min(len(out[i].Data), len(in[i].Data))
		if string(out[i].Data[:n]) != string(in[i].Data[:n]) {
			t.Errorf("packet %d: %x, want %x", i, out[i].Data[:n], in[i].Data[:n])
		}
	}
}

// TestSignedLength extends a length by its sign: lean code does not do so.
func TestSignedLength(t *testing.T) {
	in := callPackets(5)
	for i := range in {
		in[i].WireLen = 0xfffffff0 + uint32(i)
	}
	sameAsInterpreter(t, in, nil, proveText(t, abi.SchedCLS, `
		r0 = *(s32 *)(r1 + 0)
		r0 >>= 40
		exit`))
}
