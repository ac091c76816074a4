package jit

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// The tests of single instructions put many of them into one program, each in a
// cell: all ten registers are loaded with numbers of the packet, the cell's
// instructions run, and all registers are folded into the result, so that one
// that was lost shows as well as one that is wrong.

// The stack of such a program, as offsets from R10.
const (
	cellInput  = -80  // what the registers start with
	cellOutput = -160 // what they are in the end
	cellSum    = -168 // of all cells
	cellMark   = -176 // for cells to write to
	cellR6     = -184 // the context
	cellSpace  = -192 // 8 bytes more for cells
)

// A cell is instructions that are under test. They may end at any register's
// value, but no register may hold an address then.
type cell []ebpf.Instruction

func (c cell) String() string { return strings.Join(ebpf.Disassemble(c), "; ") }

// cellProgram puts cells into a program.
func cellProgram(cells []cell) *verifier.Program {
	p := []ebpf.Instruction{
		ebpf.Store(ebpf.SizeDW, ebpf.R10, cellR6, ebpf.R1),
		ebpf.Load(ebpf.SizeW, ebpf.R6, ebpf.R1, 76), // data
		ebpf.Load(ebpf.SizeW, ebpf.R7, ebpf.R1, 80), // data_end
		ebpf.Mov64(ebpf.R0, ebpf.R6),
		ebpf.ALU64Imm(ebpf.Add, ebpf.R0, 80),
		ebpf.JumpIf(ebpf.Jle, ebpf.R0, ebpf.R7, 2),
		ebpf.Mov64Imm(ebpf.R0, 0),
		ebpf.Return(),
	}
	// In halves, so that the verifier does not know that what is loaded later
	// is what was stored.
	for off := int16(0); off < 80; off += 4 {
		p = append(p, ebpf.Load(ebpf.SizeW, ebpf.R0, ebpf.R6, off), ebpf.Store(ebpf.SizeW, ebpf.R10, cellInput+off, ebpf.R0))
	}
	p = append(p, ebpf.StoreImm(ebpf.SizeDW, ebpf.R10, cellSum, 0))
	for _, c := range cells {
		p = append(p, ebpf.StoreImm(ebpf.SizeDW, ebpf.R10, cellMark, 1))
		for r := ebpf.R0; r <= ebpf.R9; r++ {
			p = append(p, ebpf.Load(ebpf.SizeDW, r, ebpf.R10, cellInput+8*int16(r)))
		}
		p = append(p, c...)
		for r := ebpf.R0; r <= ebpf.R9; r++ {
			p = append(p, ebpf.Store(ebpf.SizeDW, ebpf.R10, cellOutput+8*int16(r), r))
		}
		p = append(p, ebpf.Load(ebpf.SizeDW, ebpf.R0, ebpf.R10, cellSum))
		for off := int16(cellOutput); off < cellInput; off += 8 {
			p = append(p, mixIn(off)...)
		}
		p = append(p, mixIn(cellMark)...)
		p = append(p, ebpf.Store(ebpf.SizeDW, ebpf.R10, cellSum, ebpf.R0))
	}
	p = append(p, ebpf.Load(ebpf.SizeDW, ebpf.R0, ebpf.R10, cellSum), ebpf.Mov64(ebpf.R1, ebpf.R0),
		ebpf.ALU64Imm(ebpf.Rsh, ebpf.R1, 32), ebpf.ALU32(ebpf.Xor, ebpf.R0, ebpf.R1), ebpf.Return())
	return &verifier.Program{Type: abi.SchedCLS, Insns: p}
}

// mixIn mixes 8 bytes of the stack into R0.
func mixIn(off int16) []ebpf.Instruction {
	return []ebpf.Instruction{
		ebpf.ALU64Imm(ebpf.Mul, ebpf.R0, 0x01000193), ebpf.Load(ebpf.SizeDW, ebpf.R1, ebpf.R10, off), ebpf.ALU64(ebpf.Xor, ebpf.R0, ebpf.R1),
	}
}

// A tuned is a way to compile that tests use.
type tuned struct {
	name string
	tuning
}

// tunings are ways in which all code must be right.
func tunings() []tuned {
	host := hostFeatures()
	return []tuned{
		{"lean", tuning{host: host}},
		{"lean on an old processor", tuning{}},
		{"general", tuning{host, leanCode}},
		{"general on an old processor", tuning{features{}, leanCode}},
		{"no optimization", tuning{host, ^optimization(0)}},
		{"no constants", tuning{host, constants}},
		{"no bounds", tuning{features{MOVBE: host.MOVBE}, bounds32 | leanCode}},
		{"no fusion", tuning{features{BMI2: host.BMI2}, fusion | reciprocals | spareRegisters}},
	}
}

// numbersNear are those at which something changes.
var numbersNear = func() (list []uint64) {
	list = []uint64{0, 1, 2, 3, 7, 10, 0x55555555, 0xaaaaaaaa, 0x0123456789abcdef, 0xfedcba9876543210}
	for _, bit := range []uint{7, 8, 15, 16, 31, 32, 33, 47, 62, 63} {
		list = append(list, 1<<bit, 1<<bit-1, 1<<bit+1, -uint64(1<<bit), -uint64(1<<bit)-1)
	}
	return append(list, ^uint64(0), ^uint64(1), 5_000_000_000)
}()

// operand favours numbers at which something changes.
func operand(rnd *rand.Rand) uint64 {
	switch rnd.IntN(5) {
	case 0:
		return rnd.Uint64()
	case 1:
		return rnd.Uint64() >> rnd.UintN(64)
	case 2:
		return uint64(int64(int8(rnd.Uint32())))
	}
	return numbersNear[rnd.IntN(len(numbersNear))]
}

// cellPackets are the inputs.
func cellPackets(rnd *rand.Rand, n int) []engine.Packet {
	list := make([]engine.Packet, n)
	for i := range list {
		data := make([]byte, 0, 200)
		for range 10 {
			data = binary.LittleEndian.AppendUint64(data, operand(rnd))
		}
		for range rnd.IntN(100) {
			data = append(data, byte(rnd.Uint32()))
		}
		list[i] = engine.Packet{Data: data, WireLen: uint32(len(data))}
	}
	return list
}

const (
	cellsTogether  = 250 // in one program
	cellInputs     = 48
	programsAtOnce = 12 // in one machine
)

// checkCells compares what the interpreter and machine code make of cells.
func checkCells(t *testing.T, cells []cell) {
	t.Helper()
	needMachineCode(t)
	t.Logf("%d cells", len(cells))
	in := cellPackets(rand.New(rand.NewPCG(2026, 1)), cellInputs)
	var proofs []*verifier.Proof
	for first := 0; first < len(cells); first += cellsTogether {
		proofs = append(proofs, proofFor(t, cellProgram(cells[first:min(len(cells), first+cellsTogether)])))
	}
	for first := 0; first < len(proofs); first += programsAtOnce {
		if wrong := wrongProgram(t, proofs[first:min(len(proofs), first+programsAtOnce)], in); wrong >= 0 {
			first = (first + wrong) * cellsTogether
			reportCells(t, cells[first:min(len(cells), first+cellsTogether)], in)
		}
	}
}

func needMachineCode(t testing.TB) {
	t.Helper()
	if err := Supported(); err != nil {
		require.Skip(t, "%v", err)
	}
}

func proofFor(t testing.TB, p *verifier.Program) *verifier.Proof {
	t.Helper()
	proof, report := verifier.Verify(p, verifier.Options{})
	if report != nil {
		t.Fatalf("%v\n%s", report, strings.Join(ebpf.Disassemble(p.Insns), "\n"))
	}
	return proof
}

// named gives programs numbers as names.
func named(proofs []*verifier.Proof) (names []string) {
	for i := range proofs {
		names = append(names, fmt.Sprint(i))
	}
	return names
}

// wrongProgram returns the index of the first program that machine code runs
// otherwise than the interpreter does, below 0 for none.
func wrongProgram(t *testing.T, proofs []*verifier.Proof, in []engine.Packet) int {
	t.Helper()
	want := make([][]engine.Result, len(proofs))
	for i, proof := range proofs {
		want[i] = interpreted(t, proof, in)
	}
	for _, tune := range tunings() {
		for i, proof := range proofs {
			got := compiledRun(t, proof, tune.tuning, in)
			for j := range got {
				if got[j].R0 != want[i][j].R0 || got[j].Fault != nil {
					t.Errorf("%s: %#x, fault %v, want %#x", tune.name, got[j].R0, got[j].Fault, want[i][j].R0)
					return i
				}
			}
		}
	}
	return -1
}

func interpreted(t *testing.T, proof *verifier.Proof, in []engine.Packet) []engine.Result {
	t.Helper()
	m, err := vm.LoadProved(vm.Options{}, proof)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out := make([]engine.Result, len(in))
	if err := m.Run(in, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func compiledRun(t *testing.T, proof *verifier.Proof, tune tuning, in []engine.Packet) []engine.Result {
	t.Helper()
	e, err := New(vm.Options{}, proof)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.tuning = tune
	out := make([]engine.Result, len(in))
	if err := e.Run(in, out); err != nil {
		t.Fatal(err)
	}
	if lean := tune.does(leanCode) && tune.does(constants); lean != (e.lean != nil) { // which needs constants
		t.Fatalf("lean code: %v, want %v", e.lean != nil, lean)
	}
	return out
}

// reportCells finds the cell at fault.
func reportCells(t *testing.T, cells []cell, in []engine.Packet) {
	t.Helper()
	found := 0
	for _, c := range cells {
		proof := proofFor(t, cellProgram([]cell{c}))
		want := interpreted(t, proof, in)
	tunings:
		for _, tune := range tunings() {
			got := compiledRun(t, proof, tune.tuning, in)
			for j := range got {
				if got[j].R0 != want[j].R0 {
					t.Errorf("%s: %s: %#x, want %#x\n%x", c, tune.name, got[j].R0, want[j].R0, in[j].Data[:80])
					if found++; found == 8 {
						t.FailNow()
					}
					break tunings
				}
			}
		}
	}
	if found == 0 {
		t.Error("no cell is wrong alone")
	}
}
