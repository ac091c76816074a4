package vm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

func needKernel(t testing.TB) {
	t.Helper()
	if err := kernel.Available(); err != nil {
		require.Skip(t, "needs eBPF in the kernel: %v", err)
	}
}

// inKernel runs a program once in the kernel.
func inKernel(t testing.TB, typ abi.ProgType, prog []ebpf.Instruction, data []byte) (uint32, []byte) {
	t.Helper()
	p, err := kernel.Load("test", typ, prog)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer p.Close()
	ret, out, err := p.TestRun(data)
	if err != nil {
		t.Fatal(err)
	}
	return ret, out
}

// TestSemanticsInKernel holds the table of semantics against the kernel.
func TestSemanticsInKernel(t *testing.T) {
	needKernel(t)
	for _, tt := range semantics {
		var got uint64
		for i, tail := range []string{"\nexit", "\nr0 >>= 32\nexit"} {
			prog, err := ebpf.Assemble(tt.text + tail)
			if err != nil {
				t.Fatal(err)
			}
			ret, _ := inKernel(t, abi.SchedCLS, prog, make([]byte, 64))
			got |= uint64(ret) << (32 * i)
		}
		if got != tt.want {
			t.Errorf("%s: in the kernel %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// TestRandomProgramsAgainstKernel runs random programs here and in the kernel
// and compares what they return and what they leave of the packet.
func TestRandomProgramsAgainstKernel(t *testing.T) {
	needKernel(t)
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 9669))}
	programs := 20_000
	if testing.Short() {
		programs = 500
	}
	refused := 0
	for i := range programs {
		prog := g.program(5 + g.IntN(40))
		packets := []engine.Packet{g.packet(), g.packet()}
		p, err := kernel.Load("random", abi.SchedCLS, prog)
		if err != nil {
			t.Logf("program %d: %v", i, err)
			refused++
			continue
		}
		out := runAll(t, prog, packets)
		for k := range packets {
			ret, data, err := p.TestRun(packets[k].Data)
			if err != nil {
				t.Fatal(err)
			}
			if out[k].Fault != nil || out[k].Return != ret || !bytes.Equal(out[k].Data, data) {
				t.Fatalf("program %d: returned %#x, fault %v, in the kernel %#x\npacket %x\nafter  %x\nkernel %x\n%s", i,
					out[k].Return, out[k].Fault, ret, packets[k].Data, out[k].Data, data, strings.Join(ebpf.Disassemble(prog), "\n"))
			}
		}
		p.Close()
	}
	if refused > programs/100 {
		t.Errorf("the kernel refused %d of %d programs", refused, programs)
	}
}

func runAll(t *testing.T, prog []ebpf.Instruction, packets []engine.Packet) []engine.Result {
	t.Helper()
	m, err := vm.New(abi.SchedCLS, prog, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() // results are not in the machine's memory
	out := make([]engine.Result, len(packets))
	if err := m.Run(packets, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// packet returns a packet of an EtherType without a header that the kernel
// would look at.
func (g *generator) packet() engine.Packet {
	data := make([]byte, genPacket+g.IntN(64))
	for i := range data {
		data[i] = byte(g.Uint32())
	}
	for off := 14; off < 14+80; off += 8 { // values near limits, too
		if g.IntN(2) == 0 {
			binary.LittleEndian.PutUint64(data[off:], uint64(int64(g.immediate())))
		}
	}
	data[12], data[13] = 0x88, 0xb5 // for experiments
	return engine.Packet{Data: data, WireLen: uint32(len(data))}
}

// TestLegacyLoadsAgainstKernel runs LD_ABS and LD_IND at random offsets, in
// the main program and in a function that it calls.
func TestLegacyLoadsAgainstKernel(t *testing.T) {
	needKernel(t)
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 1992))}
	for i := range 1500 {
		size := pick(g, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW)
		base := pick[int32](g, 0, 0, 0, -0x1000, -0x100000, -0x100000, -0x200000, -0x200000, -0x80000000)
		off := int32(g.IntN(100) - 10)
		load := ebpf.LoadAbs(size, base+off)
		prog := []ebpf.Instruction{ebpf.Mov64(ebpf.R6, ebpf.R1)}
		if g.IntN(2) == 0 {
			index := int32(g.IntN(60) - 20)
			load = ebpf.LoadInd(size, ebpf.R7, base+off-index)
			wide := ebpf.LoadImm(ebpf.R7, uint64(uint32(index))|uint64(g.Uint32N(2))<<32)
			prog = append(prog, wide[:]...)
		}
		prog = append(prog, load, ebpf.ALU64Imm(ebpf.Add, ebpf.R0, 1), ebpf.Return())
		p, err := kernel.Load("legacy", abi.SchedCLS, prog)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		packet := g.packet()
		packet.Data = packet.Data[:54+g.IntN(20)]
		packet.Meta.HasLink, packet.Meta.NetworkOffset = true, 14
		ret, _, err := p.TestRun(packet.Data)
		p.Close()
		if errors.Is(err, engine.ErrPacket) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if out := runAll(t, prog, []engine.Packet{packet}); out[0].Return != ret || out[0].Fault != nil {
			t.Fatalf("program %d: %#x, fault %v, in the kernel %#x: %d bytes, %v", i, out[0].Return, out[0].Fault, ret, len(packet.Data), load)
		}
	}
}
