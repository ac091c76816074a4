package ebpf_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
)

var orders = []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}

// kernelOpcodes counts what the kernel's table of public opcodes
// (bpf_opcode_in_insntable in kernel/bpf/core.c) has by class, with the
// byte-wide and half-word atomics of 6.15, the 64-bit immediate, and callx,
// which it has not.
var kernelOpcodes = map[ebpf.Opcode]int{
	ebpf.ClassLD:    6 + 1,
	ebpf.ClassLDX:   4 + 3,
	ebpf.ClassST:    4,
	ebpf.ClassSTX:   4 + 4,
	ebpf.ClassALU:   12 + 12 + 1 + 2,
	ebpf.ClassALU64: 12 + 12 + 1 + 1,
	ebpf.ClassJMP:   11 + 11 + 3 + 1 + 1,
	ebpf.ClassJMP32: 11 + 11 + 1,
}

// edges visits every opcode with every combination of edge operands, valid or
// not. A wide load is followed by a second slot.
func edges(visit func(prog []ebpf.Instruction)) {
	registers := []ebpf.Register{0, 1, 2, 6, 10, 11}
	offsets := []int16{0, 1, -1, 8, 16, 32, math.MaxInt16, math.MinInt16}
	immediates := []int32{0, 1, -1, 16, 32, 64, 0x40, 0x50, 0xa0, 0x41, 0x51, 0xa1, 0xe1, 0xf1,
		0x100, 0x110, 26, 211, 212, math.MaxInt32, math.MinInt32}
	for op := range 256 {
		for _, dst := range registers {
			for _, src := range registers {
				for _, off := range offsets {
					for _, imm := range immediates {
						ins := ebpf.Instruction{Op: ebpf.Opcode(op), Dst: dst, Src: src, Off: off, Imm: imm}
						if ins.Width() == 1 {
							visit([]ebpf.Instruction{ins})
							continue
						}
						for _, high := range immediates {
							visit([]ebpf.Instruction{ins, {Imm: high}})
						}
					}
				}
			}
		}
	}
}

func TestRoundTripEveryInstruction(t *testing.T) {
	seen := map[ebpf.Opcode]bool{}
	texts := 0
	edges(func(prog []ebpf.Instruction) {
		text := ebpf.Disassemble(prog)
		if strings.HasPrefix(text[0], "invalid") {
			return
		}
		seen[prog[0].Op] = true
		texts++
		roundTripText(t, prog, strings.Join(text, "\n"))
		roundTripBytes(t, prog)
	})
	if texts < 10000 {
		t.Errorf("only %d valid instructions were tried", texts)
	}
	count := map[ebpf.Opcode]int{}
	for op := range seen {
		count[op.Class()]++
	}
	for class, want := range kernelOpcodes {
		if count[class] != want {
			t.Errorf("class %d: %d opcodes are valid, the kernel has %d", class, count[class], want)
		}
	}
}

func roundTripText(t *testing.T, prog []ebpf.Instruction, text string) {
	t.Helper()
	back, err := ebpf.Assemble(text)
	if err != nil {
		t.Fatalf("%+v disassembles to %q: %v", prog, text, err)
	}
	if !equal(back, prog) {
		t.Fatalf("%+v disassembles to %q, which assembles to %+v", prog, text, back)
	}
}

func roundTripBytes(t *testing.T, prog []ebpf.Instruction) {
	t.Helper()
	for _, order := range orders {
		back, err := ebpf.Decode(ebpf.Append(nil, prog, order), order)
		if err != nil || !equal(back, prog) {
			t.Fatalf("%+v through %v bytes: %+v, %v", prog, order, back, err)
		}
	}
}

func equal(a, b []ebpf.Instruction) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestRoundTripRandom makes whole programs of random bits with a bias towards
// validity.
func TestRoundTripRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 100000 {
		ins := ebpf.Instruction{
			Op:  ebpf.Opcode(rnd.Uint32()),
			Dst: ebpf.Register(rnd.IntN(11)),
			Src: ebpf.Register(rnd.IntN(11)),
		}
		if rnd.IntN(2) == 0 {
			ins.Src = 0
		}
		if rnd.IntN(2) == 0 {
			ins.Off = int16(rnd.Uint32())
		}
		if rnd.IntN(2) == 0 {
			ins.Imm = int32(rnd.Uint32())
		}
		prog := []ebpf.Instruction{ins}
		if ins.Width() == 2 {
			prog = append(prog, ebpf.Instruction{Imm: int32(rnd.Uint32())})
		}
		roundTripBytes(t, prog)
		if text := ebpf.Disassemble(prog); !strings.HasPrefix(text[0], "invalid") {
			valid++
			roundTripText(t, prog, strings.Join(text, "\n"))
		}
	}
	if valid < 8000 {
		t.Errorf("only %d of the random instructions were valid", valid)
	}
}
