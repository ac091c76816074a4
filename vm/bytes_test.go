package vm_test

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// TestByteContext runs programs whose context is bytes given by the caller.
func TestByteContext(t *testing.T) {
	data := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	for _, typ := range []abi.ProgType{abi.Kprobe, abi.Tracepoint, abi.PerfEvent, abi.RawTracepoint, abi.Tracing, abi.Syscall} {
		res := run(t, typ, "r0 = *(u64 *)(r1 + 0)\n*(u8 *)(r1 + 7) = r2\nexit", data)
		if res.R0 != 0x0807060504030201 || res.Return != 0x04030201 || res.Fault != nil {
			t.Errorf("%v: %#x, %#x, %v", typ, res.R0, res.Return, res.Fault)
		}
		if string(res.Data) != "\x01\x02\x03\x04\x05\x06\x07\x08" || &res.Data[0] == &data[0] {
			t.Errorf("%v: left %x", typ, res.Data)
		}
	}
	res := run(t, abi.RawTracepoint, "lock *(u32 *)(r1 + 4) += r2\nr0 = r2\nexit", data)
	if res.R0 != 8 || string(res.Data) != "\x01\x02\x03\x04\x0d\x06\x07\x08" || data[4] != 5 {
		t.Errorf("%d, left %x of %x", res.R0, res.Data, data)
	}
}

// TestByteContextBounds checks both ends of the memory, and that of none.
func TestByteContextBounds(t *testing.T) {
	for _, tt := range []struct {
		text string
		data []byte
		want string
	}{
		{"r0 = *(u32 *)(r1 + 5)", make([]byte, 8), "the last 1 bytes lie behind the context"},
		{"*(u8 *)(r1 - 1) = 0", make([]byte, 8), "1 bytes before the context"},
		{"r0 = *(u8 *)(r1 + 0)", nil, "0 bytes behind the context"},
	} {
		res := run(t, abi.Tracing, tt.text+"\nr0 = 0\nexit", tt.data)
		if res.Fault == nil || !strings.Contains(res.Fault.Error(), tt.want) || res.R0 != 0 {
			t.Errorf("%s of %d bytes: %v, want %s", tt.text, len(tt.data), res.Fault, tt.want)
		}
	}
}
