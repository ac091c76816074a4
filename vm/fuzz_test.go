package vm_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// FuzzMachine runs any bytes as a program on any packet. Whatever they are,
// the machine must end by itself, without a panic, in the budget, and in the
// same way twice.
func FuzzMachine(f *testing.F) {
	g := &generator{Rand: rand.New(rand.NewPCG(1, 1))}
	for range 5 {
		f.Add(uint8(1), ebpf.Append(nil, g.program(20), binary.LittleEndian), g.packet().Data)
	}
	for _, l := range loops {
		prog, err := ebpf.Assemble(l.text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(2), ebpf.Append(nil, prog, binary.LittleEndian), make([]byte, 100))
	}
	f.Fuzz(func(t *testing.T, typ uint8, code, data []byte) {
		prog, err := ebpf.Decode(code, binary.LittleEndian)
		if err != nil {
			return
		}
		runAnything(t, prog, typ, data)
	})
}

func runAnything(t *testing.T, prog []ebpf.Instruction, typ uint8, data []byte) {
	t.Helper()
	const budget = 5000
	types := []abi.ProgType{abi.SocketFilter, abi.SchedCLS, abi.XDP, abi.CGroupSKB}
	var before [2]engine.Result
	for i := range 2 {
		m, err := vm.New(types[int(typ)%len(types)], prog, vm.Options{Budget: budget})
		if err != nil {
			return
		}
		var out [2]engine.Result
		err = m.Run([]engine.Packet{{Data: data, WireLen: uint32(len(data))}, {Data: data}}, out[:])
		m.Close()
		if err != nil {
			t.Fatal(err)
		}
		for k := range out {
			if out[k].Executed > budget {
				t.Fatalf("executed %d of %d", out[k].Executed, budget)
			}
			if i == 1 && !same(&out[k], &before[k]) {
				t.Fatalf("packet %d: first %+v, then %+v", k, before[k], out[k])
			}
		}
		before = out
	}
}

func same(a, b *engine.Result) bool {
	text := func(r *engine.Result) string {
		if r.Fault == nil {
			return ""
		}
		return r.Fault.Error()
	}
	return a.Return == b.Return && a.Executed == b.Executed && text(a) == text(b) && string(a.Data) == string(b.Data)
}

// TestRandomInstructions runs sequences of valid instructions that make no
// sense together: what fuzzing finds late, because most bytes are no program.
func TestRandomInstructions(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 11))}
	ran := 0
	for range 6000 {
		prog := make([]ebpf.Instruction, 0, 20)
		for len(prog) < 12 {
			prog = append(prog, g.anything()...)
		}
		prog = append(prog, ebpf.Return())
		if ebpf.Validate(prog) == nil {
			ran++
			runAnything(t, prog, uint8(g.IntN(4)), make([]byte, g.IntN(80)))
		}
	}
	if ran < 1500 {
		t.Errorf("only %d programs were valid", ran)
	}
}

// anything returns an instruction that is likely valid and likely senseless,
// with registers that hold pointers now and then.
func (g *generator) anything() []ebpf.Instruction {
	register := func() ebpf.Register { return pick(g, ebpf.R0, ebpf.R1, ebpf.R2, ebpf.R3, ebpf.R6, ebpf.R10) }
	size := pick(g, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW)
	off := pick[int16](g, 0, 0, 4, 8, 76, 80, -1, -8, -512, -516, 0x7fff, -0x8000, int16(g.IntN(200)-100))
	switch g.IntN(12) {
	case 0:
		return []ebpf.Instruction{ebpf.Mov64(pick(g, ebpf.R1, ebpf.R2, ebpf.R3, ebpf.R6), register())}
	case 1, 2:
		return []ebpf.Instruction{ebpf.Load(size, pick(g, ebpf.R0, ebpf.R2, ebpf.R3), register(), off)}
	case 3:
		return []ebpf.Instruction{ebpf.Store(size, register(), off, register())}
	case 4:
		return []ebpf.Instruction{ebpf.StoreImm(size, register(), off, g.immediate())}
	case 5:
		ins := g.atomic()
		ins.Dst, ins.Off = register(), off
		ins.Imm = pick(g, ins.Imm, ebpf.LoadAcquire, ebpf.StoreRelease)
		return []ebpf.Instruction{ins}
	case 6:
		return []ebpf.Instruction{ebpf.CallTo(pick(g, abi.SKBLoadBytes, abi.SKBStoreBytes, abi.SKBLoadBytesRelative, abi.XDPAdjustHead,
			abi.XDPAdjustMeta, abi.XDPAdjustTail, abi.XDPLoadBytes, abi.XDPStoreBytes, abi.GetPrandomU32))}
	case 7:
		return []ebpf.Instruction{ebpf.LoadInd(pick(g, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW), register(), g.immediate())}
	case 8:
		return []ebpf.Instruction{ebpf.JumpIfImm(ebpf.Jne, register(), 0, int16(g.IntN(10)-6))}
	case 9:
		return []ebpf.Instruction{{Op: ebpf.ClassJMP | ebpf.Call, Src: ebpf.CallLocal, Imm: int32(g.IntN(10) - 6)}}
	case 10:
		wide := ebpf.LoadImm(pick(g, ebpf.R0, ebpf.R2, ebpf.R3), uint64(g.Uint32N(0x60000)))
		return wide[:]
	}
	return []ebpf.Instruction{g.arithmetic()}
}
