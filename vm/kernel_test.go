package vm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
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
			for _, out := range runEverywhere(t, prog, packetOf(make([]byte, 64))) {
				if out.Return != ret || out.Fault != nil {
					t.Errorf("%s: %#x, fault %v, in the kernel %#x", tt.name, out.Return, out.Fault, ret)
				}
			}
		}
		if got != tt.want {
			t.Errorf("%s: in the kernel %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// TestRandomProgramsAgainstKernel runs random programs here and in the kernel
// and compares what they return and what they leave of the packet. A machine
// has many of them, because making one takes longer than a run.
func TestRandomProgramsAgainstKernel(t *testing.T) {
	needKernel(t)
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 9669))}
	programs, refused := 20_000, 0
	if testing.Short() {
		programs = 500
	}
	const together = 100
	for first := 0; first < programs; first += together {
		var c vm.Collection
		var inKernel []*kernel.Program
		for len(inKernel) < together {
			prog := g.program(5 + g.IntN(40))
			p, err := kernel.Load("random", abi.SchedCLS, prog)
			if err != nil {
				if refused++; refused > programs/100 {
					t.Fatalf("the kernel refused %d programs: %v", refused, err)
				}
				continue
			}
			inKernel = append(inKernel, p)
			c.Programs = append(c.Programs, vm.Program{Name: fmt.Sprint(first + len(inKernel)), Type: abi.SchedCLS, Insns: prog})
		}
		g.compareWithKernel(t, c, inKernel)
	}
}

// A runner is what machines and engines of machine code have in common.
type runner interface {
	engine.Engine
	Select(name string) error
	Maps() *maps.Set
}

// compareWithKernel runs the programs of a collection over two packets each.
func (g *generator) compareWithKernel(t *testing.T, c vm.Collection, inKernel []*kernel.Program) {
	m, err := vm.Load(c, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	engines := []runner{m}
	if jit.Supported() == nil {
		e := nativeCollection(t, c)
		defer e.Close()
		engines = append(engines, e)
	}
	for i, p := range inKernel {
		for range 2 {
			in := g.packet()
			ret, data, err := p.TestRun(in.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range engines {
				if err := e.Select(c.Programs[i].Name); err != nil {
					t.Fatal(err)
				}
				var out [1]engine.Result
				if err := e.Run([]engine.Packet{in}, out[:]); err != nil {
					t.Fatal(err)
				}
				if res := out[0]; res.Fault != nil || res.Return != ret || !bytes.Equal(res.Data, data) {
					t.Fatalf("program %s: %s returned %#x, fault %v, in the kernel %#x\npacket %x\nafter  %x\nkernel %x\n%s", c.Programs[i].Name,
						e.Name(), res.Return, res.Fault, ret, in.Data, res.Data, data, strings.Join(ebpf.Disassemble(c.Programs[i].Insns), "\n"))
				}
			}
		}
		p.Close()
	}
}

// nativeCollection makes machine code of programs without maps.
func nativeCollection(t *testing.T, c vm.Collection) *jit.Engine {
	t.Helper()
	var list []*verifier.Program
	for i := range c.Programs {
		p := &c.Programs[i]
		list = append(list, &verifier.Program{Name: p.Name, Type: p.Type, Insns: p.Insns})
	}
	e, err := jit.New(vm.Options{}, proved(t, list...)...)
	if err != nil {
		t.Fatal(err)
	}
	return e
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

// runEverywhere runs a program in the interpreter, and as machine code.
func runEverywhere(t *testing.T, prog []ebpf.Instruction, packet engine.Packet) []engine.Result {
	t.Helper()
	results := runAll(t, prog, []engine.Packet{packet})
	if jit.Supported() == nil {
		e := nativeCollection(t, vm.Collection{Programs: []vm.Program{{Type: abi.SchedCLS, Insns: prog}}})
		defer e.Close()
		var out [1]engine.Result
		if err := e.Run([]engine.Packet{packet}, out[:]); err != nil {
			t.Fatal(err)
		}
		results = append(results, out[0])
	}
	return results
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
		for _, out := range runEverywhere(t, prog, packet) {
			if out.Return != ret || out.Fault != nil {
				t.Fatalf("program %d: %#x, fault %v, in the kernel %#x: %d bytes, %v", i, out.Return, out.Fault, ret, len(packet.Data), load)
			}
		}
	}
}
