package vm_test

import (
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestRandomCalls calls helpers with arguments that fit more or less, on
// packets with senseless headers. Nothing may panic, and each program runs the
// same twice.
func TestRandomCalls(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 77))}
	types := []abi.ProgType{abi.XDP, abi.SchedCLS, abi.SocketFilter, abi.CGroupSKB, abi.LWTXmit, abi.Tracing}
	finished := 0
	for range 3000 {
		typ := types[g.IntN(len(types))]
		c := vm.Collection{Programs: []vm.Program{{Name: "main", Type: typ, Insns: g.calls(typ)}}, Maps: append(testMaps[:4:4], outputMaps...)}
		p := g.packet()
		p.Data = p.Data[:g.IntN(len(p.Data))]
		p.Meta.HasLink, p.Meta.LinkOffset, p.Meta.NetworkOffset = g.IntN(2) == 0, int32(g.IntN(40)-20), int32(g.IntN(400)-100)
		p.Meta.Protocol, p.Meta.VLANPresent = pick[uint16](g, 0x0800, 0x86dd, 0x8100), g.IntN(2) == 0
		var results [2]engine.Result
		for i := range results {
			m, err := vm.Load(c, vm.Options{Budget: 10000, Network: router})
			if err != nil {
				t.Fatal(err)
			}
			results[i] = runOn(t, m, p)
			m.Close()
		}
		if results[0].R0 != results[1].R0 || (results[0].Fault == nil) != (results[1].Fault == nil) {
			t.Fatalf("two runs: %v, %v\n%v", results[0], results[1], c.Programs[0].Insns)
		}
		if results[0].Fault == nil {
			finished++
		}
	}
	if finished < 300 {
		t.Errorf("only %d programs ran to their end", finished)
	}
}

// calls returns a program that calls helpers of the program type.
func (g *generator) calls(typ abi.ProgType) []ebpf.Instruction {
	g.prog = nil
	g.emit(ebpf.Mov64(ebpf.R6, ebpf.R1), ebpf.Mov64Imm(ebpf.R7, 0), ebpf.Mov64Imm(ebpf.R8, 0))
	for range 1 + g.IntN(4) {
		h := &abi.Helpers[g.IntN(len(abi.Helpers))]
		if !h.Types.Has(typ) {
			continue
		}
		for i, kind := range h.Args {
			g.argument(ebpf.R1+ebpf.Register(i), kind)
		}
		g.emit(ebpf.CallTo(h.ID), ebpf.Mov64(ebpf.R7, ebpf.R0))
	}
	g.emit(ebpf.Return())
	return g.prog
}

// argument puts something that may fit into a register.
func (g *generator) argument(r ebpf.Register, kind abi.ArgKind) {
	if g.IntN(20) == 0 {
		kind = abi.ArgKind(g.IntN(int(abi.ArgFormat) + 1))
	}
	switch kind {
	case abi.ArgContext:
		g.emit(ebpf.Mov64(r, ebpf.R6))
	case abi.ArgScalar:
		g.emit(ebpf.Mov64Imm(r, pick(g, 0, 0, 1, 4, 14, 20, 60, -8, -20, g.immediate(), int32(g.IntN(100)))))
	case abi.ArgSize, abi.ArgSizeOrZero:
		g.emit(ebpf.Mov64Imm(r, pick[int32](g, 0, 1, 4, 8, 16, 44, 64, 64, 512, -1)))
	case abi.ArgMap:
		g.emit(ebpf.Instruction{Op: ebpf.LoadImm64, Dst: r, Src: ebpf.WideMapFD, Imm: int32(g.IntN(9))}, ebpf.Instruction{})
	case abi.ArgSpinLock:
		g.emit(ebpf.Instruction{Op: ebpf.LoadImm64, Dst: r, Src: ebpf.WideMapValue, Imm: pick[int32](g, 1, 8)}, ebpf.Instruction{})
	case abi.ArgRecord:
		g.emit(ebpf.Mov64(r, ebpf.R7))
	default:
		g.emit(ebpf.Mov64(r, ebpf.R10), ebpf.ALU64Imm(ebpf.Add, r, pick[int32](g, -8, -64, -128, -512, 0, -4)))
	}
}
