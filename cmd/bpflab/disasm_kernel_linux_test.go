package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/testdata/require"
)

// TestDisasmKernel shows what the kernel makes of the project's objects.
func TestDisasmKernel(t *testing.T) {
	askable(t)
	objects, err := filepath.Glob("../../testdata/programs/*.o")
	if err != nil || len(objects) == 0 {
		t.Fatal("no objects", err)
	}
	for _, name := range objects {
		status, out, errOut := bpflab("", "disasm", "--kernel", name)
		if status != exitDone || !strings.Contains(out, "in the kernel: ") || strings.Contains(out, "invalid") {
			t.Errorf("%s: status %d\n%.1000s%s", name, status, out, errOut)
		}
	}
}

// TestDisasmKernelForms checks the text, beside ours, and the JSON.
func TestDisasmKernelForms(t *testing.T) {
	askable(t)
	const program = ".map m type hash key 4 value 8 entries 1\nr1 = *(u32 *)(r1 +8)\n*(u32 *)(r10 -4) = r1\nr1 = map[m]\nr2 = r10\nr2 += -4\ncall bpf_map_delete_elem\nr0 = 0\nexit"
	status, out, errOut := bpflab(program, "disasm", "--jit", "--kernel", "--type", "tc", "-")
	ours, kernels, ok := strings.Cut(out, "; program standard input, type sched_cls, in the kernel: ")
	if status != exitDone || !ok || !strings.Contains(ours, "r1 = *(u32 *)(r1 +8)") || strings.Contains(kernels, "(r1 +8)") || !strings.Contains(kernels, "r1 = map[m]") {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
	status, out, errOut = bpflab(program, "disasm", "--kernel", "--json", "--type", "tc", "-")
	var got kernelListing
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != exitDone || len(got.Translated) != 9 || got.Instructions != 9 || got.Type != "sched_cls" {
		t.Errorf("status %d, %v\n%s%s", status, err, out, errOut)
	}
	status, _, errOut = bpflab("r0 = *(u64 *)(r0 +0)\nexit", "disasm", "--kernel", "-")
	if status != exitNo || !strings.Contains(errOut, "R0 !read_ok") {
		t.Errorf("a bad program: status %d\n%s", status, errOut)
	}
}

// TestKernelNotPermitted asks as a user who may not.
func TestKernelNotPermitted(t *testing.T) {
	require.Root(t)
	run := asNobody(t)
	for _, args := range [][]string{{"disasm", "--kernel", "-"}, {"verify", "--kernel-log", "-"}} {
		out, status := run("r0 = 2\nexit", args...)
		if status != exitUnsupported || !strings.Contains(out, "it takes root") || !strings.Contains(out, "bpflab doctor") {
			t.Errorf("%q: status %d\n%s", args, status, out)
		}
	}
}

// TestVerifyKernelLog prints the kernel's log and what it makes of a program.
func TestVerifyKernelLog(t *testing.T) {
	askable(t)
	status, out, errOut := bpflab("r0 = 2\nexit", "verify", "--kernel-log", "-")
	if status != exitDone || !strings.Contains(out, "; 16 bytes translated, ") || !strings.Contains(out, "  0: (b7) r0 = 2") {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
	status, out, errOut = bpflab("r0 = *(u8 *)(r0 +0)\nexit", "verify", "--kernel-log", "--json", "-")
	var got struct{ Kernel *kernelVerdict }
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != exitNo || got.Kernel == nil || len(got.Kernel.Log) < 3 {
		t.Errorf("status %d, %v\n%s%s", status, err, out, errOut)
	}
}
