package jit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// programsWith verifies programs that share a program array in which they are by
// their order, under the names "0", "1" and so on, and a map that counts.
func programsWith(t *testing.T, texts ...string) (proofs []*verifier.Proof) {
	t.Helper()
	maps := []abi.MapSpec{
		{Name: "programs", Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 8},
		{Name: "counts", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1},
	}
	for i := range texts {
		maps[0].Contents = append(maps[0].Contents, abi.MapElement{Key: le32(uint32(i)), Name: fmt.Sprint(i)})
	}
	for i, text := range texts {
		insns, err := ebpf.Assemble(text)
		if err != nil {
			t.Fatal(err)
		}
		proofs = append(proofs, proofFor(t, &verifier.Program{Name: fmt.Sprint(i), Type: abi.SchedCLS, Insns: insns, Maps: maps}))
	}
	return proofs
}

// tailCall goes on in the program of a number.
func tailCall(n int) string {
	return fmt.Sprintf("r2 = map[idx:0]\nr3 = %d\ncall bpf_tail_call\n", n)
}

const countRun = `
	r2 = map[idx:1][0]+0
	r3 = 1
	lock *(u64 *)(r2 + 0) += r3
`

func TestTailCalls(t *testing.T) {
	// It reads a stack that the program before may have written to.
	const plain = "r0 = 7\n*(u64 *)(r10 - 8) = r0\nr0 = *(u64 *)(r10 - 16)\nr0 += 40\nexit"
	for name, texts := range map[string][]string{
		"into another":                  {"*(u64 *)(r10 - 16) = 9\nr6 = 3\n" + tailCall(1) + "r0 = 1\nexit", plain},
		"to nothing":                    {"r8 = *(u32 *)(r1 + 0)\nr6 = 6\nr7 = 7\nr9 = 9\n" + tailCall(6) + "r0 = 1\n" + sumAll, plain},
		"into itself, until it may not": {countRun + tailCall(0) + "r0 = 5\nexit"},
		"in turns":                      {countRun + tailCall(1) + "r0 = 5\nexit", countRun + tailCall(0) + "r0 = 6\nexit"},
		"from a function":               {withContext(tailCall(1) + "r0 = 1\nexit"), plain},
		"from a function to nothing":    {withContext(tailCall(6) + "r0 = 1\nexit"), plain},
		"from a function, and on":       {withContext(tailCall(1) + "r0 = 1\nexit"), "*(u64 *)(r10 - 16) = 9\n" + tailCall(2) + "r0 = 2\nexit", plain},
		"into functions":                {withContext(tailCall(1) + "r0 = 1\nexit"), withContext("r6 = 5\nr7 = 6\nr0 = 8\nexit"), plain},
		"into functions that go on":     {withContext(tailCall(1) + "r0 = 1\nexit"), withContext("r6 = 5\nr7 = 6\n" + tailCall(2) + "r0 = 8\nexit"), plain},
		"into a loop":                   {withContext(tailCall(1) + "r0 = 1\nexit"), "r0 = 0\nr6 = 0\nagain: r0 += r6\nr6 += 1\nif r6 < 50 goto again\nexit"},
		"into callbacks": {withContext(tailCall(1) + "r0 = 1\nexit"),
			"*(u64 *)(r10 - 8) = 3\nr1 = 10\nr2 = subprog[f]\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop\nr0 = *(u64 *)(r10 - 8)\nexit\n" +
				"f: r3 = *(u64 *)(r2 + 0)\nr3 *= 3\nr3 += r1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit"},
		"into packet loads that fail": {withContext(tailCall(1) + "r0 = 1\nexit"), "r6 = r1\nr0 = *(u32 *)skb[30]\nr0 += 1\nexit"},
	} {
		t.Run(name, func(t *testing.T) { sameAsInterpreter(t, callPackets(9), nil, programsWith(t, texts...)...) })
	}
}

// withContext is a program that calls a function with its context, and then
// shows what is in R6 to R9.
func withContext(function string) string {
	return `
		r6 = 0x1111111122222222 ll
		r7 = 7
		r8 = *(u32 *)(r1 + 0)
		r9 = -1
		call f` + sumAll + "f:\n" + function
}

// TestCallbacks has functions that helpers call.
func TestCallbacks(t *testing.T) {
	const declarations = `
		.map array type array key 4 value 8 entries 5
		.map hash type hash key 4 value 8 entries 20
	`
	// fill puts elements into the hash map.
	const fill = `
			r7 = 0
		fill:	*(u32 *)(r10 - 4) = r7
			*(u64 *)(r10 - 16) = r7
			r1 = map[hash]
			r2 = r10
			r2 += -4
			r3 = r10
			r3 += -16
			r4 = 0
			call bpf_map_update_elem
			r7 += 1
			if r7 < 12 goto fill
	`
	for name, text := range map[string]string{
		"for each element of a hash map": fill + `
			r6 = 6
			r8 = 8
			r9 = 9
			*(u64 *)(r10 - 8) = 0
			r1 = map[hash]
			r2 = subprog[f]
			r3 = r10
			r3 += -8
			r4 = 0
			call bpf_for_each_map_elem
			r1 = *(u64 *)(r10 - 8)
			r0 ^= r1` + sumAll + `
		f:	r6 = *(u32 *)(r2 + 0)
			r7 = *(u64 *)(r3 + 0)
			r6 *= r7
			r8 = *(u64 *)(r4 + 0)
			r8 += r6
			*(u64 *)(r4 + 0) = r8
			r7 += 1
			*(u64 *)(r3 + 0) = r7
			r0 = 0
			if r6 != 49 goto out
			r0 = 1
		out:	exit`,
		"that call functions, and are nested": `
			r6 = 6
			r7 = 7
			r8 = 8
			r9 = 9
			*(u64 *)(r10 - 8) = 0
			r1 = 7
			r2 = subprog[f]
			r3 = r10
			r3 += -8
			r4 = 0
			call bpf_loop
			r1 = *(u64 *)(r10 - 8)
			r0 ^= r1` + sumAll + `
		f:	r6 = r1
			r7 = r2
			*(u64 *)(r10 - 8) = r1
			r1 = map[array]
			r2 = subprog[g]
			r3 = r10
			r3 += -8
			r4 = 0
			call bpf_for_each_map_elem
			r1 = r7
			r2 = *(u64 *)(r10 - 8)
			call h
			r0 = 0
			if r6 < 5 goto out
			r0 = 1
		out:	exit
		g:	r6 = *(u64 *)(r4 + 0)
			r6 += 3
			r7 = *(u64 *)(r3 + 0)
			r7 += r6
			*(u64 *)(r3 + 0) = r7
			r1 = r4
			r2 = r6
			call h
			r0 = 0
			exit
		h:	r3 = *(u64 *)(r1 + 0)
			r3 *= 31
			r3 += r2
			*(u64 *)(r1 + 0) = r3
			r0 = 0
			exit`,
		"with stacks that start as zeroes": `
			r6 = 6
			r7 = 7
			r8 = 8
			r9 = 9
			*(u64 *)(r10 - 8) = 0
			r1 = 5
			r2 = subprog[f]
			r3 = r10
			r3 += -8
			r4 = 0
			call bpf_loop
			r0 = *(u64 *)(r10 - 8)` + sumAll + `
		f:	r3 = *(u64 *)(r10 - 24)
			r4 = *(u64 *)(r2 + 0)
			r4 += r3
			r4 += r1
			*(u64 *)(r2 + 0) = r4
			*(u64 *)(r10 - 24) = r4
			r0 = 0
			exit`,
	} {
		t.Run(name, func(t *testing.T) {
			sameAsInterpreter(t, callPackets(5), nil, proveText(t, abi.SchedCLS, declarations+text))
		})
	}
}

// TestRefusals has helpers that stop the program, in the program and in a
// function: the run has a fault, and the next one is as good as any.
func TestRefusals(t *testing.T) {
	needMachineCode(t)
	liar := vm.Helper{
		Proto: abi.Helper{ID: 9999, Args: []abi.ArgKind{abi.ArgScalar}, Types: abi.Types(abi.SchedCLS), Min: 0, Max: 9},
		Func:  func(_ *vm.Caller, args [5]uint64) uint64 { return args[0] },
	}
	const call = "call 9999\n"
	for name, text := range map[string]string{
		"in the program":  "r1 = *(u32 *)(r1 + 0)\n" + call + "exit",
		"in a function":   "r1 = *(u32 *)(r1 + 0)\ncall f\nr0 += 1\nexit\nf:" + call + "exit",
		"in a callback":   "*(u64 *)(r10 - 8) = 0\nr1 = *(u32 *)(r1 + 0)\n*(u64 *)(r10 - 8) = r1\nr1 = 3\nr2 = subprog[f]\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop\nexit\nf: r1 = *(u64 *)(r2 + 0)\n" + call + "r0 = 0\nexit",
		"in the 30th run": "r1 = *(u32 *)(r1 + 0)\nr1 += -20\n" + call + "exit",
	} {
		t.Run(name, func(t *testing.T) {
			insns, err := ebpf.Assemble(text)
			if err != nil {
				t.Fatal(err)
			}
			proof := proofFor(t, &verifier.Program{Type: abi.SchedCLS, Insns: insns, Helpers: []abi.Helper{liar.Proto}})
			in := make([]engine.Packet, 32)
			for i := range in {
				in[i].Data = make([]byte, i)
				in[i].WireLen = uint32(i)
			}
			o := vm.Options{Helpers: []vm.Helper{liar}}
			m, err := vm.LoadProved(o, proof)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			e, err := New(o, proof)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			want, got := make([]engine.Result, len(in)), make([]engine.Result, len(in))
			if err := errors.Join(m.Run(in, want), e.Run(in, got)); err != nil {
				t.Fatal(err)
			}
			faults := 0
			for i := range in {
				if got[i].R0 != want[i].R0 || fmt.Sprint(got[i].Fault) != fmt.Sprint(want[i].Fault) {
					t.Errorf("%d: %#x, %v, want %#x, %v", i, got[i].R0, got[i].Fault, want[i].R0, want[i].Fault)
				}
				if got[i].Fault != nil {
					faults++
				}
			}
			if faults == 0 || faults == len(in) {
				t.Errorf("%d of %d runs have faults", faults, len(in))
			}
		})
	}
}

// TestPacketsOfAllLengths has packets that are empty, and longer than there is
// room for in a new machine, in turns.
func TestPacketsOfAllLengths(t *testing.T) {
	var in []engine.Packet
	for _, n := range []int{0, 1, 60, 1 << 16, 1<<18 - 1, 1 << 18, 1<<18 + 1, 70, 1 << 20, 0, 64} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i*i>>8 + i)
		}
		in = append(in, engine.Packet{Data: data, WireLen: uint32(n)})
	}
	for name, text := range map[string]string{
		"packet loads":   "r6 = r1\nr7 = *(u32 *)(r1 + 0)\nr7 += -4\nr7 &= 0x3fffff\nr0 = *(u32 *)skb[r7 + 0]\nr9 = r0\nr0 = *(u8 *)skb[2097152]\nr0 += r9\nexit",
		"direct access":  "r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 60\nr0 = 1\nif r4 > r3 goto out\nr0 = *(u32 *)(r2 + 56)\nw0 = w0\nout: exit",
		"direct writing": "r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 60\nr0 = 1\nif r4 > r3 goto out\nr0 = *(u32 *)(r2 + 56)\n*(u32 *)(r2 + 0) = r0\nout: exit",
	} {
		t.Run(name, func(t *testing.T) { sameAsInterpreter(t, in, nil, proveText(t, abi.SchedCLS, text)) })
	}
}

// TestSelect runs programs of one engine in turns: lean ones and others.
func TestSelect(t *testing.T) {
	needMachineCode(t)
	texts := []string{"r0 = 1\nexit", "call bpf_get_hash_recalc\nr0 = 2\nexit", "r0 = *(u32 *)(r1 + 0)\nexit", "call f\nexit\nf: r0 = 4\nexit"}
	want := []uint64{1, 2, 64, 4}
	e, err := New(vm.Options{}, programsWith(t, texts...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range 40 {
		n := i * 7 % 4
		if err := e.Select(fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
		var out [1]engine.Result
		if err := e.Run(smallPacket, out[:]); err != nil || out[0].R0 != want[n] {
			t.Fatalf("program %d: %+v, %v, want %d", n, out[0], err, want[n])
		}
		if err := e.Select("none"); err == nil {
			t.Fatal("there is a program of that name")
		}
	}
}

// TestClosedEngine has what an engine answers after Close.
func TestClosedEngine(t *testing.T) {
	for _, text := range []string{"r0 = 1\nexit", "call f\nexit\nf: r0 = 4\nexit"} {
		e := engineOf(t, abi.SchedCLS, text, vm.Options{})
		var out [1]engine.Result
		if err := e.Run(smallPacket, out[:]); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if err := e.Run(smallPacket, out[:]); err == nil {
			t.Error("Run after Close")
		}
		if err := e.RunContext(t.Context(), smallPacket, out[:]); err == nil {
			t.Error("RunContext after Close")
		}
		if n := e.Verdicts([]engine.Frame{{}}, make([]uint32, 1)); n != 0 {
			t.Error("Verdicts after Close")
		}
		if err := e.Machine().Run(smallPacket, out[:]); err == nil {
			t.Error("the machine's Run after Close")
		}
	}
}

func TestNoTrace(t *testing.T) {
	needMachineCode(t)
	if _, err := New(vm.Options{Trace: func(*vm.Step) {}}, proveText(t, abi.XDP, "r0 = 1\nexit")); err == nil {
		t.Error("an engine of machine code takes Trace")
	}
}

// counting counts a packet in an array with an atomic operation, in a hash map
// in which elements come and go, and in the value of its processor.
const counting = `
	.map array type array key 4 value 8 entries 1
	.map hash type hash key 4 value 8 entries 1000
	.map percpu type percpu_array key 4 value 8 entries 1
	r6 = r1
	r1 = map[array][0]+0
	r2 = 1
	lock *(u64 *)(r1 + 0) += r2
	call bpf_get_prandom_u32
	r0 &= 63
	r0 += 1
	*(u32 *)(r10 - 4) = r0
	*(u64 *)(r10 - 16) = 0
	r1 = map[hash]
	r2 = r10
	r2 += -4
	r3 = r10
	r3 += -16
	r4 = 0
	call bpf_map_update_elem
	r1 = map[hash]
	r2 = r10
	r2 += -4
	call bpf_map_delete_elem
	*(u32 *)(r10 - 4) = 1000
	r1 = map[hash]
	r2 = r10
	r2 += -4
	call bpf_map_lookup_elem
	if r0 == 0 goto missing
	r2 = 1
	lock *(u64 *)(r0 + 0) += r2
missing:	*(u32 *)(r10 - 4) = 0
	r1 = map[percpu]
	r2 = r10
	r2 += -4
	call bpf_map_lookup_elem
	if r0 == 0 goto out
	r1 = *(u64 *)(r0 + 0)
	r1 += 1
	*(u64 *)(r0 + 0) = r1
out:	LAST
	exit
`

// TestShare lets engines on several processors count in the same maps. The
// element 1000 is always there, although others come and go around it.
func TestShare(t *testing.T) {
	for name, last := range map[string]string{"lean": "r0 = 2", "general": "call f\nexit\nf: r0 = 2"} {
		t.Run(name, func(t *testing.T) { shareCounting(t, strings.ReplaceAll(counting, "LAST", last)) })
	}
}

func shareCounting(t *testing.T, text string) {
	const engines, batches, batch = 3, 40, 50
	first := engineOf(t, abi.SchedCLS, text, vm.Options{CPUs: engines})
	if err := first.Maps().ByName("hash").Update(le32(1000), make([]byte, 8), abi.UpdateAny); err != nil {
		t.Fatal(err)
	}
	all := []*Engine{first}
	for len(all) < engines {
		e, err := first.Share(vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		all = append(all, e)
	}
	var running sync.WaitGroup
	for cpu, e := range all {
		running.Go(func() {
			in, out := make([]engine.Packet, batch), make([]engine.Result, batch)
			for i := range in {
				in[i] = smallPacket[0]
				in[i].Meta.CPU = uint32(cpu)
			}
			for range batches {
				if err := e.Run(in, out); err != nil || out[batch-1].R0 != 2 || out[batch-1].Fault != nil {
					t.Errorf("%+v, %v", out[batch-1], err)
				}
			}
		})
	}
	running.Wait()
	for name, key := range map[string]uint32{"array": 0, "hash": 1000, "percpu": 0} {
		counts := first.Maps().ByName(name)
		value := make([]byte, counts.ValueLen())
		if err := counts.Lookup(le32(key), value); err != nil {
			t.Fatal(err)
		}
		sum := uint64(0)
		for ; len(value) > 0; value = value[8:] {
			sum += binary.LittleEndian.Uint64(value)
		}
		if sum != engines*batches*batch {
			t.Errorf("%s: %d packets, want %d", name, sum, engines*batches*batch)
		}
	}
}
