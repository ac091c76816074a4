package jit

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// A loop is a program that spends its time in one thing. That is what it takes
// longer than another, which does all but the thing.
type loop struct {
	name       string
	text, rest string
	unit       string // the thing
	n          int    // how often it is done
	want       uint64 // result of the program
	maps       []abi.MapSpec
	fill       func(put func(id int, key, value []byte))
	helper     *vm.Helper // of our own, which the kernel does not have
}

func (l *loop) program(b *testing.B, text string) *verifier.Program {
	insns, err := ebpf.Assemble(text)
	if err != nil {
		b.Fatal(err)
	}
	p := &verifier.Program{Name: l.name, Type: abi.XDP, Insns: insns, Maps: l.maps}
	if l.helper != nil {
		p.Helpers = []abi.Helper{l.helper.Proto}
	}
	return p
}

// benchmark lets the interpreter, the kernel and machine code with and without
// some optimizations do it.
func (l *loop) benchmark(b *testing.B, without optimization) {
	needMachineCode(b)
	b.Run(l.name, func(b *testing.B) {
		var list []*contender
		for i, text := range []string{l.text, l.rest} {
			var these []*contender
			p := l.program(b, text)
			if l.helper == nil {
				these = append(these, l.inKernel(b, p))
			}
			these = append(these, l.here(b, "jit", p, func(o vm.Options, proof *verifier.Proof) (engine.Engine, *vm.Machine) {
				e := newBenchEngine(b, 0, o, proof)
				return e, e.Machine()
			}))
			if without != 0 {
				these = append(these, l.here(b, "jit-without", p, func(o vm.Options, proof *verifier.Proof) (engine.Engine, *vm.Machine) {
					e := newBenchEngine(b, without, o, proof)
					return e, e.Machine()
				}))
			}
			these = append(these, l.here(b, "interp", p, func(o vm.Options, proof *verifier.Proof) (engine.Engine, *vm.Machine) {
				m := newInterpreter(b, o, proof)
				return m, m
			}))
			if i == 0 {
				list = these
				continue
			}
			for j, c := range these {
				list[j].rest = c
			}
		}
		compete(b, l.unit, list...)
	})
}

// loopPacket is what the programs find: as much as the kernel shows of one.
var loopPacket = make([]byte, 3400)

func (l *loop) inKernel(b *testing.B, p *verifier.Program) *contender {
	k := newKernelPeer(b, p)
	if l.fill != nil {
		l.fill(k.put)
	}
	return k.contender("kernel", loopPacket, l.n)
}

func (l *loop) here(b *testing.B, name string, p *verifier.Program, start func(vm.Options, *verifier.Proof) (engine.Engine, *vm.Machine)) *contender {
	o := vm.Options{CPUs: 2}
	if l.helper != nil {
		o.Helpers = []vm.Helper{*l.helper}
	}
	e, m := start(o, proofFor(b, p))
	if l.fill != nil {
		l.fill(func(id int, key, value []byte) {
			if e := m.Maps().ByID(uint32(id+1)).Put(key, value, 0, 0); e != 0 {
				b.Fatal(e)
			}
		})
	}
	in, out := []engine.Packet{{Data: loopPacket, WireLen: uint32(len(loopPacket))}}, make([]engine.Result, 1)
	return timed(name, l.n, func() {
		if err := e.Run(in, out); err != nil || out[0].Fault != nil || out[0].R0 != l.want {
			b.Fatalf("%s: %v, %+v", name, err, out[0])
		}
	})
}

// BenchmarkLoop is arithmetic, in which each instruction needs the result of that
// before, division by constants, and copying 2 KiB.
func BenchmarkLoop(b *testing.B) {
	l := loop{name: "arithmetic", unit: "insn", n: 10000 * 8, text: `
		r2 = 1
		r3 = 10000
	loop:	r2 += r3
		r2 ^= r3
		r2 <<= 1
		r2 |= 7
		w2 -= w3
		r4 = r2
		r3 += -1
		if r3 != 0 goto loop
		r0 = r2
		exit`, rest: "r0 = 1003209790\nexit", want: 1003209790}
	l.benchmark(b, 0)
	l = loop{name: "division", unit: "division", n: 10000 * 2, text: `
		r2 = 123456789012345 ll
		r3 = 10000
		r0 = 0
	loop:	r4 = r2
		r4 /= 10
		r0 += r4
		w5 = w2
		w5 %= 251
		r0 += r5
		r2 += -7919
		r3 += -1
		if r3 != 0 goto loop
		exit`, rest: "r0 = 123456749422549999 ll\nexit", want: 123456749422549999}
	l.benchmark(b, reciprocals)
	const copies = 40
	copying := fmt.Sprintf(`
		r0 = *(u32 *)(r1 + 4)
		r2 = *(u32 *)(r1 + 0)
		r4 = r2
		r4 += 3400
		if r4 > r0 goto out
		*(u8 *)(r2 + 0) = 0
		r6 = r2
		r7 = %d
	more:	r2 = r6
		r3 = r6
		r3 += 1300
		r5 = 256
	loop:	LOAD
		STORE
		r2 += 8
		r3 += 8
		r5 += -1
		if r5 != 0 goto loop
		r7 += -1
		if r7 != 0 goto more
	out:	r0 = 0
		exit`, copies)
	l = loop{name: "copy", unit: "2KiB", n: copies,
		text: strings.NewReplacer("LOAD", "r4 = *(u64 *)(r2 + 0)", "STORE", "*(u64 *)(r3 + 0) = r4").Replace(copying),
		rest: copying[:strings.Index(copying, "r6 = r2")] + "out: r0 = 0\nexit"}
	l.benchmark(b, 0)
}

// rounds is how often the loops below go round.
const rounds = 1000

// counted is a loop that counts in r8 how often r0 is not 0 in the end.
func counted(body string) string {
	return fmt.Sprintf(`
		r8 = 0
		r6 = %d
		*(u64 *)(r10 - 8) = 1
		*(u64 *)(r10 - 16) = 0
		*(u64 *)(r10 - 24) = 0
	loop:	%s
		if r0 == 0 goto next
		r8 += 1
	next:	r6 += -1
		if r6 != 0 goto loop
		r0 = r8
		exit`, rounds, body)
}

// BenchmarkCall measures calls of helper functions: those made in Go, for which
// machine code is left and entered again, and those that are machine code
// themselves.
func BenchmarkCall(b *testing.B) {
	nothing := &vm.Helper{
		Proto: abi.Helper{ID: 4000, Types: abi.Types(abi.XDP)},
		Func:  func(*vm.Caller, [5]uint64) uint64 { return 1 },
	}
	hash := []abi.MapSpec{{Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 16}}
	const update = "r1 = map[fd:0]\nr2 = r10\nr2 += -16\nr3 = r10\nr3 += -8\nr4 = 0\n"
	for _, l := range []loop{
		{name: "empty", text: "call 4000", rest: "r0 = 1", helper: nothing, want: rounds},
		{name: "ktime", text: "call bpf_ktime_get_ns\nr0 |= 1", rest: "r0 = 1", want: rounds},
		{name: "processor", text: "call bpf_get_smp_processor_id\nr0 |= 1", rest: "r0 = 1", want: rounds},
		{name: "random", text: "call bpf_get_prandom_u32\nr0 |= 1", rest: "r0 = 1", want: rounds},
		{name: "update", text: update + "call bpf_map_update_elem", rest: update + "r0 = 0", maps: hash},
	} {
		l.text, l.rest, l.unit, l.n = counted(l.text), counted(l.rest), "call", rounds
		l.benchmark(b, inlineCalls)
	}
}

// BenchmarkLookup measures lookups that are found and lookups that are not. They
// do not depend on each other, so that the processor can work on some at a time.
func BenchmarkLookup(b *testing.B) {
	for _, spec := range []abi.MapSpec{
		{Kind: abi.ArrayMap, KeySize: 4},
		{Kind: abi.PerCPUArray, KeySize: 4},
		{Kind: abi.HashMap, KeySize: 4},
		{Kind: abi.HashMap, KeySize: 8},
		{Kind: abi.HashMap, KeySize: 16},
		{Kind: abi.PerCPUHash, KeySize: 16},
		{Kind: abi.LRUHash, KeySize: 16},
	} {
		spec.ValueSize, spec.MaxEntries = 8, rounds+1
		array := spec.Kind == abi.ArrayMap || spec.Kind == abi.PerCPUArray
		fill := func(put func(int, []byte, []byte)) {
			for i := range uint32(rounds + 1) {
				if key := make([]byte, spec.KeySize); !array && i > 0 {
					binary.LittleEndian.PutUint32(key, i)
					put(0, key, make([]byte, 8))
				}
			}
		}
		for _, found := range []bool{true, false} {
			l := loop{name: fmt.Sprintf("%v/key%d/found", spec.Kind, spec.KeySize), unit: "lookup", n: rounds, want: rounds, maps: []abi.MapSpec{spec}, fill: fill}
			key := fmt.Sprintf("*(u%d *)(r10 - 24) = r1\nr1 = map[fd:0]\nr2 = r10\nr2 += -24\n", 8*min(8, spec.KeySize))
			if found {
				key = "r1 = r6\n" + key
			} else {
				key = "r1 = r6\nr1 += 1000000\n" + key
				l.name, l.want = strings.Replace(l.name, "found", "not-found", 1), 0
			}
			l.text = counted(key + "call bpf_map_lookup_elem")
			l.rest = counted(key + fmt.Sprintf("r0 = %d", l.want))
			l.benchmark(b, inlineCalls)
		}
	}
}
