package jit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// lookedUp are maps whose lookups are code of their own, and some that are not.
func lookedUp() (list []abi.MapSpec) {
	for _, kind := range []abi.MapKind{abi.HashMap, abi.PerCPUHash, abi.LRUHash, abi.LRUPerCPUHash} {
		for _, size := range []uint32{4, 6, 8, 12, 64, 68} {
			list = append(list, abi.MapSpec{Kind: kind, KeySize: size, ValueSize: 16, MaxEntries: 24})
		}
	}
	for _, kind := range []abi.MapKind{abi.ArrayMap, abi.PerCPUArray} {
		for _, size := range []uint32{8, 16, 24, 40, 4000} {
			list = append(list, abi.MapSpec{Kind: kind, KeySize: 4, ValueSize: size, MaxEntries: 16})
		}
	}
	for i := range list {
		list[i].Name = fmt.Sprintf("m%d", i)
	}
	return list
}

// keyPlace says where the key of a lookup is.
type keyPlace struct {
	name  string
	setup func() []ebpf.Instruction // puts the address into R2; the packet is in R6
}

// keyRoom is the stack for keys, a multiple of 8 and more than the longest.
const keyRoom = 80

var keyPlaces = []keyPlace{
	{"on the stack", func() []ebpf.Instruction {
		return []ebpf.Instruction{ebpf.Mov64(ebpf.R2, ebpf.R10), ebpf.ALU64Imm(ebpf.Add, ebpf.R2, -keyRoom)}
	}},
	{"somewhere on the stack", func() []ebpf.Instruction {
		return []ebpf.Instruction{ebpf.Mov64(ebpf.R2, ebpf.R10), ebpf.ALU64Imm(ebpf.Add, ebpf.R2, -keyRoom), ebpf.ALU64(ebpf.Add, ebpf.R2, ebpf.R7)}
	}},
	{"in the packet", func() []ebpf.Instruction { return []ebpf.Instruction{ebpf.Mov64(ebpf.R2, ebpf.R6)} }},
}

// lookupProgram looks a key up that is a packet's first bytes, adds to the value
// what is in R8 and R9, and returns what was there.
func lookupProgram(m *abi.MapSpec, at keyPlace) *verifier.Program {
	p := []ebpf.Instruction{
		ebpf.Load(ebpf.SizeW, ebpf.R6, ebpf.R1, 76),
		ebpf.Load(ebpf.SizeW, ebpf.R2, ebpf.R1, 80),
		ebpf.Mov64(ebpf.R3, ebpf.R6), ebpf.ALU64Imm(ebpf.Add, ebpf.R3, keyRoom),
		ebpf.Mov64Imm(ebpf.R0, 0), ebpf.JumpIf(ebpf.Jle, ebpf.R3, ebpf.R2, 1), ebpf.Return(),
	}
	for off := int16(0); off < keyRoom; off += 4 {
		p = append(p, ebpf.Load(ebpf.SizeW, ebpf.R3, ebpf.R6, off), ebpf.Store(ebpf.SizeW, ebpf.R10, off-keyRoom, ebpf.R3))
	}
	// A number in R7 that is 0 but may be 8, as far as anybody knows.
	p = append(p, ebpf.Load(ebpf.SizeB, ebpf.R7, ebpf.R6, keyRoom-1), ebpf.ALU64Imm(ebpf.And, ebpf.R7, 8))
	p = append(p, ebpf.Mov64Imm(ebpf.R8, 3), ebpf.Load(ebpf.SizeW, ebpf.R9, ebpf.R6, 0))
	p = append(p, at.setup()...)
	p = append(p, mapAddress(ebpf.R1, ebpf.WideMapFD)...)
	p = append(p, ebpf.CallTo(abi.MapLookupElem), ebpf.JumpIfImm(ebpf.Jne, ebpf.R0, 0, 2),
		ebpf.Mov64Imm(ebpf.R0, 77), ebpf.Return(),
		ebpf.Load(ebpf.SizeDW, ebpf.R1, ebpf.R0, 0), ebpf.ALU64(ebpf.Add, ebpf.R1, ebpf.R8), ebpf.ALU64(ebpf.Add, ebpf.R1, ebpf.R9),
		ebpf.Store(ebpf.SizeDW, ebpf.R0, 0, ebpf.R1), ebpf.Mov32(ebpf.R0, ebpf.R1), ebpf.Return())
	return &verifier.Program{Type: abi.SchedCLS, Insns: p, Maps: []abi.MapSpec{*m}}
}

// TestLookups looks keys up that are there, and others: that differ in a byte
// anywhere.
func TestLookups(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 20))
	var in []engine.Packet
	for i := range 80 {
		data := make([]byte, keyRoom+8)
		data[0] = byte(rnd.IntN(28))
		if rnd.IntN(3) == 0 {
			data[rnd.IntN(70)] ^= 1 << rnd.IntN(3)
		}
		in = append(in, engine.Packet{Data: data, WireLen: uint32(len(data))})
		in[i].Meta.CPU = uint32(rnd.IntN(3))
	}
	maps := lookedUp()
	for i := range maps {
		m := &maps[i]
		fill := func(machine *vm.Machine) {
			mp := machine.Maps().ByName(m.Name)
			for k := range min(m.MaxEntries, 20) {
				key, value := make([]byte, m.KeySize), make([]byte, mp.ValueLen())
				key[0], value[1] = byte(k), byte(k)
				if err := mp.Update(key, value, abi.UpdateAny); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, at := range keyPlaces {
			t.Run(fmt.Sprintf("%v of %d %s", m.Kind, m.KeySize, at.name), func(t *testing.T) {
				sameAsInterpreter(t, in, fill, proofFor(t, lookupProgram(m, at)))
			})
		}
	}
}

// TestMapsMadeLater looks up, in lean code, a map that was made between two runs.
func TestMapsMadeLater(t *testing.T) {
	inner := abi.MapSpec{Name: "inner", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	insns, err := ebpf.Assemble(`
		*(u32 *)(r10 - 4) = 0
		r1 = map[idx:1]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		r1 = r0
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		r0 = *(u32 *)(r0 + 0)
	out:	exit`)
	if err != nil {
		t.Fatal(err)
	}
	needMachineCode(t)
	e, err := New(vm.Options{}, proofFor(t, &verifier.Program{Type: abi.SchedCLS, Insns: insns, Maps: []abi.MapSpec{inner,
		{Name: "outer", Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: &inner}}}))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for n := range uint32(4) {
		var out [1]engine.Result
		if err := e.Run(smallPacket, out[:]); err != nil || out[0].R0 != uint64(n) || e.lean == nil {
			t.Fatalf("run %d: %+v, %v", n, out[0], err)
		}
		spec := inner
		spec.Name = fmt.Sprint("inner", n)
		m, err := e.Maps().New(&spec)
		if err != nil {
			t.Fatal(err)
		}
		value := binary.LittleEndian.AppendUint64(nil, uint64(n)+1)
		if err := errors.Join(m.Update(le32(0), value, abi.UpdateAny), e.Maps().ByName("outer").Update(le32(0), le32(m.ID()), abi.UpdateAny)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLookupsKeepElements has a map that throws away what has not been looked up
// for long.
func TestLookupsKeepElements(t *testing.T) {
	sameAsInterpreter(t, callPackets(120), nil, proveText(t, abi.SchedCLS, `
		.map recent type lru_hash key 4 value 8 entries 4
		r6 = *(u32 *)(r1 + 0)
		r7 = r6
		r7 &= 3
		*(u32 *)(r10 - 4) = r7
		r1 = map[recent]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		r6 >>= 1
		r6 &= 15
		*(u32 *)(r10 - 4) = r6
		*(u64 *)(r10 - 16) = 1
		r1 = map[recent]
		r2 = r10
		r2 += -4
		r3 = r10
		r3 += -16
		r4 = 0
		call bpf_map_update_elem
		r0 = 0
		exit`))
}

// TestLookupsInSharedMaps: what is not found may be on its way to another place,
// where others change the map at the same time, and Go looks again.
func TestLookupsInSharedMaps(t *testing.T) {
	e := engineOf(t, abi.SchedCLS, `
		.map hash type hash key 4 value 8 entries 4
		*(u32 *)(r10 - 4) = 7
		r1 = map[hash]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 != 0 goto out
		r0 = 1
	out:	exit`, vm.Options{})
	for _, shared := range []bool{false, true} {
		var out [1]engine.Result
		if err := e.Run(smallPacket, out[:]); err != nil || out[0].R0 != 1 || e.lean == nil || e.lean.leaves != shared {
			t.Errorf("shared %v: %+v, %v", shared, out[0], err)
		}
		other, err := e.Share(vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
	}
}
