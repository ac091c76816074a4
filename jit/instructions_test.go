package jit

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
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
	cellBase   = -200 // the address of the middle of the map's value, which the compiler does not know
)

// cellMap is a map for cells, whose value offsets of 16 bits just reach all of.
var cellMap = abi.MapSpec{Name: "cells", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 1 << 16, MaxEntries: 1}

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
	if slices.ContainsFunc(cells, cell.usesMap) {
		p = append(p, findValue()...)
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
	return &verifier.Program{Type: abi.SchedCLS, Insns: p, Maps: []abi.MapSpec{cellMap}}
}

// usesMap reports whether a cell wants the address of the map's value.
func (c cell) usesMap() bool {
	return slices.ContainsFunc(c, func(ins ebpf.Instruction) bool { return ins.Op.Class() == ebpf.ClassLDX && ins.Off == cellBase })
}

// findValue puts the address of the middle of the map's value on the stack.
func findValue() []ebpf.Instruction {
	p := append(mapAddress(ebpf.R1, ebpf.WideMapFD), ebpf.StoreImm(ebpf.SizeDW, ebpf.R10, cellSpace, 0))
	return append(p, ebpf.Mov64(ebpf.R2, ebpf.R10), ebpf.ALU64Imm(ebpf.Add, ebpf.R2, cellSpace), ebpf.CallTo(abi.MapLookupElem),
		ebpf.JumpIfImm(ebpf.Jne, ebpf.R0, 0, 1), ebpf.Return(), ebpf.ALU64Imm(ebpf.Add, ebpf.R0, int32(cellMap.ValueSize/2)),
		ebpf.Store(ebpf.SizeDW, ebpf.R10, cellBase, ebpf.R0))
}

// mapAddress loads the address of the map, or of the middle of its value.
func mapAddress(r ebpf.Register, kind ebpf.Register) []ebpf.Instruction {
	wide := ebpf.LoadImm(r, 0)
	wide[0].Src = kind
	if kind == ebpf.WideMapValue {
		wide[1].Imm = int32(cellMap.ValueSize / 2)
	}
	return wide[:]
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
	cellsTogether = 250 // in one program
	cellInputs    = 48
)

// checkCells compares what the interpreter and machine code make of cells.
func checkCells(t *testing.T, cells []cell) {
	t.Helper()
	checkCellsTogether(t, cells, cellsTogether)
}

// checkCellsTogether does so with that many of them in a program.
func checkCellsTogether(t *testing.T, cells []cell, together int) {
	t.Helper()
	needMachineCode(t)
	t.Logf("%d cells", len(cells))
	in := cellPackets(rand.New(rand.NewPCG(2026, 1)), cellInputs)
	ways, n := tunings(), 0
	for some := range slices.Chunk(cells, together) {
		// The four that users meet, and one of the others in turns.
		if tune := wrongTuning(t, some, in, append(ways[:4:4], ways[4+n%4])); tune != nil {
			t.Errorf("%s:", tune.name)
			reportCells(t, some, in)
		}
		n++
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

// wrongTuning returns a way to compile in which cells are not what the
// interpreter makes of them, nil for none.
func wrongTuning(t *testing.T, cells []cell, in []engine.Packet, ways []tuned) *tuned {
	t.Helper()
	proof := proofFor(t, cellProgram(cells))
	want, wantMap := interpreted(t, proof, in)
	for _, tune := range ways {
		got, gotMap := compiledRun(t, proof, tune.tuning, in)
		if !slices.EqualFunc(got, want, sameResult) || !bytes.Equal(gotMap, wantMap) {
			return &tune
		}
	}
	return nil
}

func sameResult(a, b engine.Result) bool {
	return a.R0 == b.R0 && a.Fault == nil && b.Fault == nil && bytes.Equal(a.Data, b.Data)
}

// valueIn returns the value of the cells' map.
func valueIn(t *testing.T, m *vm.Machine) []byte {
	t.Helper()
	value := make([]byte, cellMap.ValueSize)
	if err := m.Maps().ByName(cellMap.Name).Lookup(make([]byte, 4), value); err != nil {
		t.Fatal(err)
	}
	return value
}

func interpreted(t *testing.T, proof *verifier.Proof, in []engine.Packet) ([]engine.Result, []byte) {
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
	return out, valueIn(t, m)
}

func compiledRun(t *testing.T, proof *verifier.Proof, tune tuning, in []engine.Packet) ([]engine.Result, []byte) {
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
	return out, valueIn(t, e.Machine())
}

// reportCells finds the cells at fault.
func reportCells(t *testing.T, cells []cell, in []engine.Packet) {
	t.Helper()
	found := 0
	for _, c := range cells {
		tune := wrongTuning(t, []cell{c}, in, tunings())
		if tune == nil {
			continue
		}
		t.Errorf("%s: %s", tune.name, c)
		if found++; found == 8 {
			break
		}
	}
	if found == 0 {
		t.Error("no cell is wrong alone")
	}
	t.FailNow()
}
