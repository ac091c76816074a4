package jit

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

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

// TestPacketsAreLetGo: an engine keeps no packet of its caller's alive.
func TestPacketsAreLetGo(t *testing.T) {
	e := engineOf(t, abi.SchedCLS, "r0 = *(u32 *)(r1 + 0)\nexit", vm.Options{})
	var collected atomic.Int32
	func() {
		in := callPackets(20)
		frames := make([]engine.Frame, len(in))
		for i := range in {
			in[i].Data = make([]byte, 64)
			frames[i].Data = in[i].Data
			runtime.AddCleanup(&in[i].Data[0], func(*atomic.Int32) { collected.Add(1) }, &collected)
		}
		if err := e.Run(in, make([]engine.Result, len(in))); err != nil {
			t.Fatal(err)
		}
		e.Verdicts(frames, make([]uint32, len(in)))
	}()
	for deadline := time.Now().Add(5 * time.Second); collected.Load() < 20; {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d of 20 packets are gone", collected.Load())
		}
	}
	runtime.KeepAlive(e)
}
