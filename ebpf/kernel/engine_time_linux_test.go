package kernel_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestTime: a loop takes the time that no processor does without, and packets that
// the kernel refuses do not count.
func TestTime(t *testing.T) {
	available(t)
	in := []engine.Packet{{Data: packet(60), WireLen: 60}, {Data: packet(5), WireLen: 5}, {Data: packet(100), WireLen: 100}}
	loop := []ebpf.Instruction{
		ebpf.Mov64Imm(ebpf.R1, 5000),
		ebpf.ALU64Imm(ebpf.Sub, ebpf.R1, 1),
		ebpf.JumpIfImm(ebpf.Jne, ebpf.R1, 0, -2),
		ebpf.Mov64Imm(ebpf.R0, 2),
		ebpf.Return(),
	}
	e, err := kernel.NewEngine("time", abi.XDP, loop)
	if err != nil {
		t.Fatal(err)
	}
	ns, n, err := e.Time(in, 100)
	if err != nil || n != 2 {
		t.Fatalf("%d packets timed, %v", n, err)
	}
	if ns < 500 { // 5000 subtractions, each of the result of the one before
		t.Errorf("%v ns for 10000 instructions", ns)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Time(in, 1); err == nil {
		t.Error("a closed engine has the time")
	}
}
