package kernel_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/jit/amd64"
)

// TestCode shows what the kernel has made of a program with a map, a helper
// function, and a function of its own.
func TestCode(t *testing.T) {
	available(t)
	l := linked(t, "shown", `
		r1 = *(u32 *)(r1 +8)
		*(u32 *)(r10 -4) = r1
		r1 = map[counts]
		r2 = r10
		r2 += -4
		call bpf_map_delete_elem
		call two
		exit
	two:	r0 = 2
		exit`, abi.MapSpec{Name: "counts", Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	p, _, err := collection(t, l).Load(&l.Programs[0])
	if err != nil {
		t.Fatalf("%+v", err)
	}
	code, err := p.Code()
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := kernel.ReadSymbols()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(code.Text(symbols), "\n")
	// The field of the context has become one of struct sk_buff, elsewhere.
	if !strings.Contains(text, "r1 = map[counts]") || strings.Contains(text, "(r1 +8)") || strings.Contains(text, "invalid") ||
		!strings.Contains(text, "call pc+1\nexit\n") {
		t.Error(text)
	}
	if !strings.Contains(text, "call htab_map_delete_elem#") && !strings.Contains(text, "call unknown#") {
		t.Errorf("the helper function has no name:\n%s", text)
	}
	if code.Functions == nil {
		t.Skip("the kernel interprets programs")
	}
	if len(code.Functions) != 2 {
		t.Fatalf("%d functions in machine code", len(code.Functions))
	}
	for i, f := range code.Functions {
		if runtime.GOARCH != "amd64" {
			break
		}
		lines := amd64.Text(f.Code)
		if last := lines[len(lines)-1].Text; !strings.HasPrefix(last, "jmp") && last != "ret" && last != "int3" {
			t.Errorf("function %d ends in %q", i, last)
		}
	}
	info, err := p.Info()
	if err != nil || info.Translated != 8*len(code.Translated) {
		t.Errorf("%d slots, %+v, %v", len(code.Translated), info, err)
	}
}
