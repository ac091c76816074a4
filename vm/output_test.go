package vm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
)

// store is code that puts a string with its 0 byte on the stack, from
// r10-256 on.
func store(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "*(u8 *)(r10 - %d) = %d\n", 256-i, s[i])
	}
	fmt.Fprintf(&b, "*(u8 *)(r10 - %d) = 0\n", 256-len(s))
	return b.String()
}

// TestTracePrintk prints in many formats, here and in the kernel, which returns
// the length or why it refuses the format.
func TestTracePrintk(t *testing.T) {
	const args = "r3 = 42\nr4 = -7\nr5 = 0xdeadbeef ll\n"
	for _, tt := range []struct{ format, want string }{
		{"hello", "hello"},
		{"%d %d %x", "42 -7 deadbeef"},
		{"%u %u %X", "42 4294967289 DEADBEEF"},
		{"%ld %ld %lx", "42 -7 deadbeef"},
		{"%lld %lli %llu", "42 -7 3735928559"},
		{"%i%%", "42%"},
		{"%5d|%-5d|%05x|", "   42|-7   |deadbeef|"},
		{"%05d|%05d", "00042|-0007"},
		{"%+d|% d|%d", "+42|-7|-559038737"},
		{"%c%c", "*\xf9"},
		{"a\tb\n", "a\tb\n"},
		{"%d %d %d %d", ""},
		{"%", ""},
		{"%z", ""},
		{"%lllx", ""},
		{"%f", ""},
		{"%px", "000000000000002a"},
		{"%pz", ""},
		{"%sx", ""},
		{"%cx", "*x"},
		{"\x01", ""},
		{"\x80", "\x80"},
		{"\x7f", ""},
		{"%s", ""}, // no string at 42: prints nothing
	} {
		text := store(tt.format) + fmt.Sprintf("r1 = r10\nr1 += -256\nr2 = %d\n", len(tt.format)+1) + args + "call bpf_trace_printk\nexit"
		res := run(t, abi.SchedCLS, text, make([]byte, 64))
		got := ""
		if len(res.Events) == 1 && res.Events[0].Source == "trace_printk" {
			got = string(res.Events[0].Data)
		}
		wantReturn := uint32(len(tt.want))
		if tt.want == "" && tt.format != "%s" {
			wantReturn = 1<<32 - 22
		}
		if got != tt.want || res.Return != wantReturn || res.Fault != nil {
			t.Errorf("%q: %q, %d, %v, want %q", tt.format, got, int32(res.Return), res.Fault, tt.want)
		}
		t.Run("kernel", func(t *testing.T) {
			needKernel(t)
			prog, err := ebpf.Assemble(text)
			if err != nil {
				t.Fatal(err)
			}
			if ret, _ := inKernel(t, abi.SchedCLS, prog, make([]byte, 64)); ret != wantReturn {
				t.Errorf("%q: in the kernel %d, here %d", tt.format, int32(ret), int32(wantReturn))
			}
		})
	}
}

func TestPrintAddresses(t *testing.T) {
	const address = "*(u64 *)(r10 - 16) = 0x0a01\n*(u64 *)(r10 - 8) = 0x12\nr3 = r10\nr3 += -16\nr4 = r3\nr5 = r3\n"
	for format, want := range map[string]string{
		"%pI4 %pi4": "1.10.0.0 001.010.000.000",
		"%pI6":      "010a:0000:0000:0000:1200:0000:0000:0000",
		"%pi6":      "010a0000000000001200000000000000",
		"<%s>":      "<\x01\n>",
		"<%pks>":    "<\x01\n>",
	} {
		res := run(t, abi.XDP, store(format)+address+fmt.Sprintf("r1 = r10\nr1 += -256\nr2 = %d\ncall bpf_trace_printk\nexit", len(format)+1), make([]byte, 64))
		if len(res.Events) != 1 || string(res.Events[0].Data) != want {
			t.Errorf("%q: %v, want %q", format, res, want)
		}
	}
}

var outputMaps = []abi.MapSpec{
	{Name: "ring", Kind: abi.RingBuf, MaxEntries: 4096},
	{Name: "perf", Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4},
	{Name: "devices", Kind: abi.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Contents: []abi.MapElement{{Key: []byte{1, 0, 0, 0}, Value: []byte{77, 0, 0, 0}}, {Key: []byte{2, 0, 0, 0}, Value: []byte{78, 0, 0, 0}}}},
	{Name: "queue", Kind: abi.Queue, ValueSize: 8, MaxEntries: 2},
	{Name: "locked", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1, SpinLock: new(uint32)},
}

// TestOutput sends events, redirects and uses queues.
func TestOutput(t *testing.T) {
	const reserve = "r1 = map[idx:0]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\n*(u64 *)(r0 + 0) = 0x41424344\nr1 = r0\nr2 = 0\n"
	const value = "*(u64 *)(r10 - 8) = 0x44434241\n"
	for _, tt := range []struct {
		name, text string
		typ        abi.ProgType
		want       string
	}{
		{"record", reserve + "call bpf_ringbuf_submit\nr0 = 0\n", abi.XDP, `ring 0 "DCBA\x00\x00\x00\x00"; 0 to 0`},
		{"discarded", reserve + "call bpf_ringbuf_discard\nr0 = 0\n", abi.XDP, "0 to 0"},
		{"forgotten", reserve + "r0 = 0\n", abi.XDP, "0 to 0"},
		{"output", value + "r1 = map[idx:0]\nr2 = r10\nr2 += -8\nr3 = 4\nr4 = 0\ncall bpf_ringbuf_output\n", abi.XDP, `ring 0 "ABCD"; 0 to 0`},
		{"perf", value + "r2 = map[idx:1]\nr3 = 0x3ffffffff ll\nr4 = r10\nr4 += -8\nr5 = 2\ncall bpf_perf_event_output\n", abi.XDP, `perf 0 "AB012"; 0 to 0`},
		{"perf too long", value + "r2 = map[idx:1]\nr3 = 0x11ffffffff ll\nr4 = r10\nr4 += -8\nr5 = 2\ncall bpf_perf_event_output\n", abi.XDP, "-14 to 0"},
		{"redirect", "r1 = 5\nr2 = 0\ncall bpf_redirect\n", abi.XDP, "4 to 5"},
		{"redirect flags", "r1 = 5\nr2 = 1\ncall bpf_redirect\n", abi.XDP, "0 to 0"},
		{"redirect tc", "r1 = 5\nr2 = 1\ncall bpf_redirect\n", abi.SchedCLS, "7 to 5"},
		{"not after all", "r1 = 5\nr2 = 1\ncall bpf_redirect\nr0 = 0\n", abi.SchedCLS, "0 to 0"},
		{"peer", "r1 = 6\nr2 = 0\ncall bpf_redirect_peer\n", abi.SchedCLS, "7 to 6"},
		{"neighbour", "r1 = 6\nr2 = 0\nr3 = 0\nr4 = 0\ncall bpf_redirect_neigh\n", abi.SchedCLS, "7 to 6"},
		{"clone", "r2 = 9\nr3 = 0\ncall bpf_clone_redirect\n", abi.SchedCLS, `clone_redirect 9 "0123456789abcdef"; 0 to 0`},
		{"map", "r1 = map[idx:2]\nr2 = 1\nr3 = 0\ncall bpf_redirect_map\n", abi.XDP, "4 to 77"},
		{"map default", "r1 = map[idx:2]\nr2 = 0\nr3 = 2\ncall bpf_redirect_map\n", abi.XDP, "2 to 0"},
		{"map bad flags", "r1 = map[idx:2]\nr2 = 1\nr3 = 32\ncall bpf_redirect_map\n", abi.XDP, "0 to 0"},
		{"queue", value + "r1 = map[idx:3]\nr2 = r10\nr2 += -8\nr3 = 0\ncall bpf_map_push_elem\nr1 = map[idx:3]\nr2 = r10\nr2 += -16\ncall bpf_map_pop_elem\nr0 = *(u32 *)(r10 - 16)\n", abi.XDP, "1145258561 to 0"},
		{"lock", "r6 = map[idx:4][0]+0\nr1 = r6\ncall bpf_spin_lock\nr7 = *(u32 *)(r6 + 0)\nr1 = r6\ncall bpf_spin_unlock\nr0 = *(u32 *)(r6 + 0)\nr0 += r7\n", abi.XDP, "1 to 0"},
		{"lock kept", "r1 = map[idx:4][0]+0\ncall bpf_spin_lock\nr0 = 0\n", abi.XDP, "0 to 0"},
		{"string", value + "r1 = r10\nr1 += -20\nr2 = 12\nr3 = r10\nr3 += -8\ncall bpf_probe_read_kernel_str\nr1 = *(u32 *)(r10 - 20)\nr0 += r1\n", abi.Tracing, "1145258566 to 0"},
		{"no memory", "r1 = r10\nr1 += -20\nr2 = 12\nr3 = 5\ncall bpf_probe_read_kernel\n", abi.Tracing, "-14 to 0"},
	} {
		prog, err := ebpf.Assemble(tt.text + "exit")
		if err != nil {
			t.Fatal(tt.name, err)
		}
		m, err := vm.Load(vm.Collection{Programs: []vm.Program{{Type: tt.typ, Insns: prog}}, Maps: outputMaps}, vm.Options{})
		if err != nil {
			t.Fatal(tt.name, err)
		}
		for range 2 { // nothing is left for the second packet
			res := runMachine(t, m, []byte("0123456789abcdef"))
			got := ""
			for _, e := range res.Events {
				got += fmt.Sprintf("%s %d %q; ", e.Source, e.Index, e.Data)
			}
			got += fmt.Sprintf("%d to %d", int32(res.Return), res.Redirect)
			if got != tt.want || res.Fault != nil {
				t.Errorf("%s: %s, %v, want %s", tt.name, got, res.Fault, tt.want)
			}
		}
		m.Close()
	}
}

func TestOutputFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"r1 = map[idx:0]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\n*(u64 *)(r0 + 4) = 1\n", "store of 8 bytes"},
		{"r1 = r10\nr2 = 0\ncall bpf_ringbuf_submit\n", "not a reserved record"},
		{"r1 = map[idx:4][0]+0\ncall bpf_spin_lock\nr1 = map[idx:4][0]+0\ncall bpf_spin_lock\n", "holds a lock already"},
		{"r1 = map[idx:4][0]+4\ncall bpf_spin_lock\n", "not the lock"},
		{"r1 = map[idx:4][0]+0\ncall bpf_spin_unlock\n", "does not hold the lock"},
		{"r1 = map[idx:4][0]+0\n*(u32 *)(r1 + 0) = 1\ncall bpf_spin_lock\n", "the lock is held"},
	} {
		prog, err := ebpf.Assemble(tt.text + "exit")
		if err != nil {
			t.Fatal(err)
		}
		m, err := vm.Load(vm.Collection{Programs: []vm.Program{{Type: abi.XDP, Insns: prog}}, Maps: outputMaps}, vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if res := runMachine(t, m, make([]byte, 64)); res.Fault == nil || !strings.Contains(res.Fault.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.text, res.Fault, tt.want)
		}
		m.Close()
	}
}
