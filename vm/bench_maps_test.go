package vm_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// lookupLoop looks up 1000 keys, each a number N, with the load of the value
// behind it. It starts behind the number that the packet begins with. Each
// number is that before it plus STEP, modulo ENTRIES. CHAIN adds the value, which
// is 0, so that the lookup of the next key must wait for it.
const lookupLoop = `
	r1 = *(u32 *)(r1 + 0)
	r7 = *(u32 *)(r1 + 0)
	r6 = 1000
	*(u64 *)(r10 - 16) = 0
	*(u64 *)(r10 - 8) = 0
loop:	r7 += STEP
	if r7 < ENTRIES goto inside
	r7 -= ENTRIES
inside:	*(KEY *)(r10 - 16) = r7
	r1 = map[idx:0]
	r2 = r10
	r2 += -16
	LOOKUP
	if r0 == 0 goto out
	r0 = *(u64 *)(r0 + 0)
	CHAIN
	r6 += -1
	if r6 != 0 goto loop
out:	r0 = r6
	exit`

const (
	lookupsPerRun = 1000
	lookupStep    = 7919   // a prime: all keys come, far from each other
	insertStep    = 104729 // another one: elements lie in another order
)

// A lookupRun runs the loop, on from where the last run ended.
type lookupRun struct {
	m       *vm.Machine
	entries uint32
	at      uint32
	in      []engine.Packet
	out     []engine.Result
}

func newLookupRun(b *testing.B, spec abi.MapSpec, lookup string, chained bool) *lookupRun {
	chain := ""
	if chained {
		chain = "r7 += r0"
	}
	text := strings.NewReplacer("CHAIN", chain, "STEP", fmt.Sprint(lookupStep%spec.MaxEntries), "ENTRIES", fmt.Sprint(spec.MaxEntries), "LOOKUP", lookup, "KEY", map[uint32]string{4: "u32", 8: "u64", 16: "u64"}[spec.KeySize]).Replace(lookupLoop)
	prog, err := ebpf.Assemble(text)
	if err != nil {
		b.Fatal(err)
	}
	m, err := vm.Load(vm.Collection{Programs: []vm.Program{{Type: abi.XDP, Insns: prog}}, Maps: []abi.MapSpec{spec}}, vm.Options{CPUs: 2})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	key, value, mp := make([]byte, spec.KeySize), make([]byte, 8), m.Maps().ByID(1)
	for i, n := uint32(0), uint32(0); i < spec.MaxEntries; i++ {
		n = (n + insertStep) % spec.MaxEntries
		binary.LittleEndian.PutUint32(key, n)
		if e := mp.Put(key, value, 0, 0); e != 0 {
			b.Fatal(e)
		}
	}
	return &lookupRun{m: m, entries: spec.MaxEntries, in: []engine.Packet{packetOf(make([]byte, 64))}, out: make([]engine.Result, 1)}
}

func (r *lookupRun) run(b *testing.B) {
	binary.LittleEndian.PutUint32(r.in[0].Data, r.at)
	r.at = uint32((uint64(r.at) + lookupsPerRun*(lookupStep%uint64(r.entries))) % uint64(r.entries))
	if err := r.m.Run(r.in, r.out); err != nil || r.out[0].Fault != nil || r.out[0].R0 != 0 {
		b.Fatal(err, r.out[0])
	}
}

// BenchmarkMapLookup reports the time of one round of the loop, and of the
// lookup in it: that is what the round takes more than one with a register move
// in place of the call. BenchmarkGoMapLookup is the same round in Go. In loops of
// the first kind a processor works on several lookups at a time, of Go's up to
// ten; in the Chained ones on one, as in a program that acts on what it finds.
func BenchmarkMapLookup(b *testing.B)        { benchmarkLookups(b, false) }
func BenchmarkMapLookupChained(b *testing.B) { benchmarkLookups(b, true) }

func benchmarkLookups(b *testing.B, chained bool) {
	for _, spec := range []abi.MapSpec{
		{Kind: abi.ArrayMap, KeySize: 4},
		{Kind: abi.PerCPUArray, KeySize: 4},
		{Kind: abi.HashMap, KeySize: 4},
		{Kind: abi.PerCPUHash, KeySize: 4},
		{Kind: abi.LRUHash, KeySize: 4},
		{Kind: abi.HashMap, KeySize: 8},
		{Kind: abi.HashMap, KeySize: 16},
		{Kind: abi.LRUHash, KeySize: 16},
	} {
		for _, n := range []uint32{100, 10_000, 1_000_000} {
			spec.ValueSize, spec.MaxEntries = 8, n
			b.Run(fmt.Sprintf("%v/key%d/%d", spec.Kind, spec.KeySize, n), func(b *testing.B) { benchmarkLookup(b, spec, chained) })
		}
	}
}

func benchmarkLookup(b *testing.B, spec abi.MapSpec, chained bool) {
	with := newLookupRun(b, spec, "call bpf_map_lookup_elem", chained)
	without := newLookupRun(b, spec, "r0 = r10\nr0 += -8", chained)
	var round, rest fastest
	b.ReportAllocs()
	for b.Loop() {
		rest.time(func() { without.run(b) })
		round.time(func() { with.run(b) })
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(round.per(lookupsPerRun), "ns/round")
	b.ReportMetric(round.per(lookupsPerRun)-rest.per(lookupsPerRun), "ns/lookup")
}

// fastest is the time of the fastest run, which other load of the machine
// disturbs least.
type fastest struct{ time.Duration }

func (f *fastest) time(run func()) {
	start := time.Now()
	run()
	if d := time.Since(start); f.Duration == 0 || d < f.Duration {
		f.Duration = d
	}
}

// per returns the nanoseconds for each of n things done in a run.
func (f *fastest) per(n uint64) float64 { return float64(f.Nanoseconds()) / float64(n) }

// BenchmarkGoMapLookup is the same round in Go, for each length of keys the type
// that is fastest.
func BenchmarkGoMapLookup(b *testing.B)        { benchmarkGoMaps(b, false) }
func BenchmarkGoMapLookupChained(b *testing.B) { benchmarkGoMaps(b, true) }

func benchmarkGoMaps(b *testing.B, chained bool) {
	benchmarkGoMap(b, "key4", chained, func(n uint32) uint32 { return n })
	benchmarkGoMap(b, "key8", chained, func(n uint32) uint64 { return uint64(n) })
	benchmarkGoMap(b, "key16", chained, func(n uint32) (key [16]byte) {
		binary.LittleEndian.PutUint64(key[:], uint64(n))
		return key
	})
}

func benchmarkGoMap[K comparable](b *testing.B, name string, chained bool, key func(uint32) K) {
	for _, n := range []uint32{100, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			m := make(map[K]uint64, n)
			at, step, total := uint32(0), lookupStep%n, uint64(0)
			for range n {
				at = (at + insertStep) % n
				m[key(at)] = 0
			}
			var round fastest
			run := func() {
				at, sum := at, uint64(0)
				for range lookupsPerRun {
					if at += step; at >= n {
						at -= n
					}
					value, ok := m[key(at)]
					if !ok {
						b.Fatal("no such key")
					}
					sum += value
				}
				total += sum
			}
			if chained {
				run = func() {
					at := at
					for range lookupsPerRun {
						if at += step; at >= n {
							at -= n
						}
						value, ok := m[key(at)]
						if !ok {
							b.Fatal("no such key")
						}
						at += uint32(value)
					}
				}
			}
			for b.Loop() {
				round.time(run)
				at = uint32((uint64(at) + lookupsPerRun*uint64(step)) % uint64(n))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(round.per(lookupsPerRun), "ns/round")
		})
	}
}

// BenchmarkMapValue reports the time of an instruction of a loop that loads and
// stores a value of a map.
func BenchmarkMapValue(b *testing.B) {
	m := load(b, `
		r6 = 1000
		r1 = map[idx:2]
		*(u32 *)(r10 - 4) = 1
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
	loop:	r1 = *(u64 *)(r0 + 0)
		*(u64 *)(r0 + 0) = r1
		r1 = *(u32 *)(r0 + 4)
		*(u32 *)(r0 + 4) = r1
		r6 += -1
		if r6 != 0 goto loop
	out:	r0 = r6
		exit`)
	benchmarkInstructions(b, m, packetOf(make([]byte, 64)))
}
