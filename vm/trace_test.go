package vm_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestTrace checks that each instruction is reported once, with the registers
// before it, that jumps and calls are followed, and that tracing changes
// neither the result nor the count.
func TestTrace(t *testing.T) {
	prog, err := ebpf.Assemble(`
		r6 = 7
		if r6 == 7 goto over
		r0 = 0
	over:
		call f
		exit
	f:
		r0 = r6
		r0 += 1
		exit`)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	trace := func(s *vm.Step) {
		steps = append(steps, fmt.Sprintf("%d:%d r0=%d r6=%d %v", s.Packet, s.Index, s.Registers[0], s.Registers[6], s.Insn))
	}
	run := func(o vm.Options) []engine.Result {
		m, err := vm.New(abi.XDP, prog, o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		out := make([]engine.Result, 2)
		if err := m.Run([]engine.Packet{{Data: []byte{1}}, {Data: []byte{2}}}, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	plain, traced := run(vm.Options{}), run(vm.Options{Trace: trace})
	for i := range plain {
		if plain[i].Return != 8 || traced[i].Return != 8 || plain[i].Executed != traced[i].Executed || plain[i].Executed != 7 {
			t.Errorf("packet %d: returned %d after %d, traced %d after %d", i, plain[i].Return, plain[i].Executed, traced[i].Return, traced[i].Executed)
		}
	}
	want := []string{
		"0:0 r0=0 r6=0 r6 = 7",
		"0:1 r0=0 r6=7 if r6 == 0x7 goto pc+1",
		"0:3 r0=0 r6=7 call pc+1",
		"0:5 r0=0 r6=7 r0 = r6",
		"0:6 r0=7 r6=7 r0 += 1",
		"0:7 r0=8 r6=7 exit",
		"0:4 r0=8 r6=7 exit",
	}
	if diff := cmp.Diff(want, steps[:len(steps)/2]); diff != "" {
		t.Error(diff)
	}
	steps = nil
	if out := run(vm.Options{Trace: trace, Budget: 3}); len(steps) != 6 || out[0].Fault != vm.ErrBudget || out[0].Executed != 3 {
		t.Errorf("with a budget of 3: %d steps of two packets, %v after %d", len(steps), out[0].Fault, out[0].Executed)
	}
}
