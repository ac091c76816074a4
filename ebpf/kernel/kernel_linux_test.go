package kernel_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/engine"
)

// available skips the test where the kernel cannot be asked.
func available(t *testing.T) {
	t.Helper()
	if err := kernel.Available(); err != nil {
		require.Skip(t, "needs eBPF in the kernel: %v", err)
	}
}

func assemble(t *testing.T, text string) []ebpf.Instruction {
	t.Helper()
	prog, err := ebpf.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

func load(t *testing.T, typ abi.ProgType, text string) *kernel.Program {
	t.Helper()
	p, err := kernel.Load(t.Name(), typ, assemble(t, text))
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

const (
	returnLen = `
		r0 = *(u32 *)(r1 +0)
		exit`
	// The EtherType of an XDP packet, or -1; the first byte becomes 0x55.
	etherType = `
		r2 = *(u32 *)(r1 +0)        ; data
		r3 = *(u32 *)(r1 +4)        ; data_end
		r0 = -1
		r4 = r2
		r4 += 14
		if r4 > r3 goto out
		r0 = *(u16 *)(r2 +12)
		r0 = be16 r0
		*(u8 *)(r2 +0) = 0x55
	out:	exit`
)

func packet(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func TestTestRun(t *testing.T) {
	available(t)
	p := load(t, abi.SchedCLS, returnLen)
	ret, out, err := p.TestRun(packet(100))
	if err != nil || ret != 100 || !bytes.Equal(out, packet(100)) {
		t.Errorf("sched_cls: %d, %d bytes, %v", ret, len(out), err)
	}
	x := load(t, abi.XDP, etherType)
	ret, out, err = x.TestRun(packet(60))
	want := packet(60)
	want[0] = 0x55
	if err != nil || ret != 0x0c0d || !bytes.Equal(out, want) {
		t.Errorf("xdp: %#x, %x, %v", ret, out, err)
	}
	var refused *kernel.PacketError
	for _, n := range []int{0, 1, 13, 5000} {
		if _, _, err := p.TestRun(packet(n)); !errors.As(err, &refused) || refused.Length != n {
			t.Errorf("packet of %d bytes: %v", n, err)
		}
	}
}

func TestInfo(t *testing.T) {
	available(t)
	info, err := load(t, abi.XDP, etherType).Info()
	if err != nil || info.Translated == 0 || info.Tag == "" || info.Verified == 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestLoadVerbose(t *testing.T) {
	available(t)
	p, log, err := kernel.LoadVerbose("verbose", abi.SchedCLS, assemble(t, returnLen))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if all := strings.Join(log, "\n"); !strings.Contains(all, "0: (61) r0 = *(u32 *)(r1 +0)") || !strings.Contains(all, "processed 2 insns") {
		t.Errorf("the log is\n%s", all)
	}
}

func TestVerifierError(t *testing.T) {
	available(t)
	_, err := kernel.Load("bad name!", abi.XDP, assemble(t, "r0 = 0\nr0 = *(u64 *)(r1 +0)\nexit"))
	var refused *kernel.VerifierError
	if !errors.As(err, &refused) {
		t.Fatalf("not a VerifierError: %v", err)
	}
	const want = `the kernel refuses program "bad name!" (permission denied): 1: (79) r0 = *(u64 *)(r1 +0): invalid bpf_context access off=0 size=8`
	if got := fmt.Sprintf("%v", err); got != want {
		t.Errorf("%%v prints %q, want %q", got, want)
	}
	if all := fmt.Sprintf("%+v", err); !strings.Contains(all, "\n\t0: (b7) r0 = 0") || !strings.Contains(all, "\n\tprocessed ") {
		t.Errorf("%%+v prints %s", all)
	}
	var invalid *ebpf.Error
	if _, err := kernel.Load("x", abi.XDP, []ebpf.Instruction{{Op: 0xff}}); !errors.As(err, &invalid) {
		t.Errorf("an unknown opcode: %v", err)
	}
}

func TestEngine(t *testing.T) {
	available(t)
	x, err := kernel.NewEngine("x", abi.XDP, assemble(t, etherType))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	in := []engine.Packet{{Data: packet(60)}, {Data: packet(13)}, {Data: packet(14)}, {Data: packet(4000)}}
	out := make([]engine.Result, len(in))
	for range 2 { // the second run reuses the buffers
		if err := x.Run(in, out); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range out {
		if refused := i == 1 || i == 3; refused != (r.Fault != nil) {
			t.Errorf("packet %d: fault %v", i, r.Fault)
		} else if !refused && (r.Return != 0x0c0d || r.Data[0] != 0x55 || len(r.Data) != len(in[i].Data)) {
			t.Errorf("packet %d: %+v", i, r)
		}
	}
	if in[0].Data[0] != 0 {
		t.Error("the engine has changed its input")
	}
}

// TestEngineSocketFilter checks that socket filters see the link header, and
// the mark.
func TestEngineSocketFilter(t *testing.T) {
	available(t)
	s, err := kernel.NewEngine("s", abi.SocketFilter, assemble(t, `
		r6 = r1
		r7 = *(u32 *)(r1 +8)
		r0 = *(u16 *)skb[12]
		r0 += r7
		exit`))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in := []engine.Packet{{Data: packet(60)}, {Data: packet(60)}, {Data: packet(60)}}
	in[1].Meta.Mark = 0x10000
	out := make([]engine.Result, len(in))
	if err := s.Run(in, out); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{0x0c0d, 0x10c0d, 0x0c0d} {
		if out[i].Return != want || out[i].Fault != nil {
			t.Errorf("packet %d: %#x, %v", i, out[i].Return, out[i].Fault)
		}
	}
	if _, err := kernel.NewEngine("k", 2, nil); err == nil {
		t.Error("an engine for kprobes")
	}
}

// TestDocumentedProgram loads and runs the program that the documentation of
// package ebpf explains.
func TestDocumentedProgram(t *testing.T) {
	available(t)
	doc, err := os.ReadFile("../doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(doc), "// drops all others:\n")
	text, _, ok := strings.Cut(text, "// Arithmetic has")
	if !ok {
		t.Fatal("no program in doc.go")
	}
	p := load(t, abi.SchedCLS, strings.ReplaceAll(text, "//", ""))
	v6 := packet(60)
	v6[12], v6[13] = 0x86, 0xdd
	for _, tt := range []struct {
		packet []byte
		want   uint32
	}{{v6, 0}, {packet(60), 2}} {
		if ret, _, err := p.TestRun(tt.packet); err != nil || ret != tt.want {
			t.Errorf("%x: %d, %v", tt.packet[12:14], ret, err)
		}
	}
}

func BenchmarkEngine(b *testing.B) {
	if err := kernel.Available(); err != nil {
		b.Skip(err)
	}
	prog, err := ebpf.Assemble(etherType)
	if err != nil {
		b.Fatal(err)
	}
	e, err := kernel.NewEngine("bench", abi.XDP, prog)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	in := make([]engine.Packet, 256)
	for i := range in {
		in[i].Data = packet(64)
	}
	out := make([]engine.Result, len(in))
	for b.Loop() {
		if err := e.Run(in, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(in)), "ns/packet")
}
