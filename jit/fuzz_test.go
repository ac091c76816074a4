package jit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

var fuzzMaps = []abi.MapSpec{
	{Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 64, MaxEntries: 1},
	{Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: 64, MaxEntries: 8},
	{Name: "counts", Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 64, MaxEntries: 4},
	{Name: "lru", Kind: abi.LRUHash, KeySize: 8, ValueSize: 8, MaxEntries: 8},
	{Name: "ring", Kind: abi.RingBuf, MaxEntries: 1 << 16},
}

// FuzzNative gives anything to the verifier, and what it accepts to the
// interpreter and to the compiler, in all the ways that it has: results and maps
// must be the same.
func FuzzNative(f *testing.F) {
	needMachineCode(f)
	for _, p := range programs.Accepts() {
		if code := ebpf.Append(nil, p.Insns, binary.LittleEndian); len(code) < 500 {
			f.Add(uint8(p.Type), code, make([]byte, 64))
		}
	}
	for i, ins := range binaryOperations() {
		c := cell{withRegisters(ins, somePairs[i%9][0], somePairs[i%9][1]), withImmediate(ins, ebpf.Register(i%10), fitImmediate(ins, immediates[i%27]))}
		f.Add(uint8(abi.SchedCLS), ebpf.Append(nil, cellProgram([]cell{c}).Insns, binary.LittleEndian), bytes.Repeat([]byte{0x81}, 100))
	}
	f.Fuzz(func(t *testing.T, typ uint8, code, data []byte) {
		prog, err := ebpf.Decode(code, binary.LittleEndian)
		if err != nil {
			return
		}
		p := &verifier.Program{Type: abi.ProgType(typ), Insns: prog, Maps: fuzzMaps, ContextSize: len(data)}
		proof, report := verifier.Verify(p, verifier.Options{Steps: 5000})
		if report != nil {
			return
		}
		in := []engine.Packet{{Data: data, WireLen: uint32(len(data))}, {Data: data, WireLen: uint32(len(data)) + 1}}
		in[1].Meta.CPU, in[1].Meta.HasLink, in[1].Meta.NetworkOffset = 1, true, 14
		m, err := vm.LoadProved(vm.Options{CPUs: 2, Budget: 1 << 16}, proof)
		if unsupported := (*ebpf.Error)(nil); errors.As(err, &unsupported) {
			return // a helper that the machine does not have
		}
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		want := make([]engine.Result, len(in))
		if err := m.Run(in, want); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if want[i].Fault == vm.ErrBudget {
				return // machine code counts otherwise
			}
		}
		for _, tune := range tunings() {
			fuzzOnce(t, proof, tune, m, in, want)
		}
	})
}

// fuzzOnce runs a program as machine code, compiled in one way.
func fuzzOnce(t *testing.T, proof *verifier.Proof, tune tuned, m *vm.Machine, in []engine.Packet, want []engine.Result) {
	e, err := New(vm.Options{CPUs: 2}, proof)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.tuning = tune.tuning
	got := make([]engine.Result, len(in))
	if err := e.Run(in, got); err != nil {
		t.Fatal(tune.name, err)
	}
	for i := range in {
		g, w := got[i], want[i]
		if g.R0 != w.R0 || g.Return != w.Return || g.Redirect != w.Redirect || !bytes.Equal(g.Data, w.Data) || !reflect.DeepEqual(g.Events, w.Events) || (g.Fault == nil) != (w.Fault == nil) {
			p := proof.Program()
			t.Fatalf("%s, packet %d: %+v, want %+v\n%s", tune.name, i, g, w, strings.Join(ebpf.Disassemble(p.Insns), "\n"))
		}
	}
	for i, mp := range m.Maps().All() {
		if g, w := textOf(t, e.Machine().Maps().All()[i]), textOf(t, mp); g != w {
			t.Fatalf("%s: map %s: %s, want %s", tune.name, mp.Name(), g, w)
		}
	}
}
