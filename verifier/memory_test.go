package verifier_test

import (
	"runtime"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// TestMemoryIsBounded verifies a program that is made to have as many states,
// as large, as the steps allow: a loop over thousands of joins, with a full
// stack that matters.
func TestMemoryIsBounded(t *testing.T) {
	prog := []ebpf.Instruction{ebpf.Load(ebpf.SizeW, ebpf.R2, ebpf.R1, 0), ebpf.Load(ebpf.SizeW, ebpf.R3, ebpf.R1, 8)}
	for i := 1; i <= 64; i++ {
		prog = append(prog, ebpf.ALU64Imm(ebpf.And, ebpf.R3, 0xff), ebpf.Store(ebpf.SizeDW, ebpf.R10, int16(-8*i), ebpf.R3), ebpf.ALU64Imm(ebpf.Add, ebpf.R3, 1))
	}
	prog = append(prog, ebpf.Mov64Imm(ebpf.R9, 0))
	start := len(prog)
	for range 2500 {
		prog = append(prog, ebpf.JumpIfImm(ebpf.Jeq, ebpf.R2, 7, 1), ebpf.Mov64Imm(ebpf.R4, 0))
	}
	prog = append(prog, ebpf.ALU64Imm(ebpf.Add, ebpf.R9, 1), ebpf.JumpIfImm(ebpf.Jlt, ebpf.R9, 1000, int16(start-len(prog)-2)))
	for i := 1; i <= 64; i++ {
		prog = append(prog, ebpf.Load(ebpf.SizeDW, ebpf.R3, ebpf.R10, int16(-8*i)), ebpf.Mov64(ebpf.R4, ebpf.R10),
			ebpf.ALU64(ebpf.Add, ebpf.R4, ebpf.R3), ebpf.StoreImm(ebpf.SizeB, ebpf.R4, -512, 0))
	}
	prog = append(prog, ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, report := verifier.Verify(&verifier.Program{Type: abi.SchedCLS, Insns: prog}, verifier.Options{})
	runtime.ReadMemStats(&after)
	if report == nil || report.Code != verifier.TooComplex {
		t.Fatal(report)
	}
	if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 600 {
		t.Errorf("%d MB for %+v", allocated, report.Stats)
	} else {
		t.Logf("%d MB for %+v", allocated, report.Stats)
	}
}
