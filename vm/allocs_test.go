package vm_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// These tests check that a run makes no garbage once a machine has seen its
// kind of packet: a capture of millions must not keep the collector busy.

// allocs returns how often the machine allocates for the packets.
func allocs(t *testing.T, m *vm.Machine, in []engine.Packet) float64 {
	t.Helper()
	out := make([]engine.Result, len(in))
	return testing.AllocsPerRun(20, func() {
		if err := m.Run(in, out); err != nil {
			t.Fatal(err)
		}
		for i := range out {
			if out[i].Fault != nil {
				t.Fatal(out[i].Fault)
			}
		}
	})
}

// elementKinds are the maps that programs change by key, from index 0 on; the
// key of each is the number 1, in a trie a prefix of one bit.
var elementKinds = []abi.MapSpec{
	{Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 8},
	{Kind: abi.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 8},
	{Kind: abi.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 8},
	{Kind: abi.LRUPerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 8},
	{Kind: abi.HashMap, KeySize: 40, ValueSize: 8, MaxEntries: 8},
	{Kind: abi.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 8, Flags: abi.MapNoPrealloc},
	{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 8},
	{Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 8},
}

const elementProgram = `
	*(u64 *)(r10 - 40) = 1
	*(u64 *)(r10 - 32) = 0
	*(u64 *)(r10 - 24) = 0
	*(u64 *)(r10 - 16) = 0
	*(u64 *)(r10 - 8) = 0
	r1 = map[idx:0]
	r2 = r10
	r2 += -40
	r3 = r10
	r3 += -16
	r4 = 0
	call bpf_map_update_elem
	if r0 != 0 goto bad
	r1 = map[idx:0]
	r2 = r10
	r2 += -40
	call bpf_map_lookup_elem
	if r0 == 0 goto bad
	r1 = *(u64 *)(r0 + 0)
	r1 += 1
	*(u64 *)(r0 + 0) = r1
	EACH
	r1 = map[idx:0]
	r2 = r10
	r2 += -40
	call bpf_map_delete_elem
	r0 = 0
	exit
bad:	r0 = *(u64 *)(r10 + 0)
	exit
each:	r0 = *(u32 *)(r2 + 0)
	r0 = *(u32 *)(r3 + 0)
	r0 = 0
	exit`

const forEach = `
	r1 = map[idx:0]
	r2 = subprog[each]
	r3 = 0
	r4 = 0
	call bpf_for_each_map_elem`

func TestElementsDoNotAllocate(t *testing.T) {
	for _, spec := range elementKinds {
		each := forEach
		if spec.Kind == abi.LPMTrie {
			each = "" // has no iteration
		}
		m := loadCollection(t, vm.Collection{Maps: []abi.MapSpec{spec}}, strings.Replace(elementProgram, "EACH", each, 1))
		if n := allocs(t, m, []engine.Packet{packetOf(make([]byte, 64))}); n != 0 {
			t.Errorf("%v with keys of %d bytes: %v allocations a run", spec.Kind, spec.KeySize, n)
		}
	}
}

// loadCollection makes a machine of XDP programs and the maps of c.
func loadCollection(t *testing.T, c vm.Collection, texts ...string) *vm.Machine {
	t.Helper()
	for i, text := range texts {
		prog, err := ebpf.Assemble(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		c.Programs = append(c.Programs, vm.Program{Name: []string{"main", "second"}[i], Type: abi.XDP, Insns: prog})
	}
	m, err := vm.Load(c, vm.Options{CPUs: 2, Network: router})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// target is an element of a map of redirect targets.
var target = []abi.MapElement{{Key: le32(1), Value: le32(1)}, {Key: le32(0), Value: le32(2)}}

// outsideMaps are the maps of the programs below, by index.
var outsideMaps = []abi.MapSpec{
	{Kind: abi.RingBuf, MaxEntries: 4096},
	{Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
	{Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2, Contents: []abi.MapElement{{Key: le32(1), Name: "second"}}},
	{Kind: abi.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 4, Contents: target},
	{Kind: abi.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 4, Contents: target},
	{Kind: abi.CPUMap, KeySize: 4, ValueSize: 4, MaxEntries: 2, Contents: target},
	{Kind: abi.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 4, Contents: target},
	{Kind: abi.Queue, ValueSize: 8, MaxEntries: 4},
	{Kind: abi.Stack, ValueSize: 8, MaxEntries: 4},
	{Kind: abi.BloomFilter, ValueSize: 8, MaxEntries: 4},
	{Name: "inner", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 4},
	{Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, Contents: []abi.MapElement{{Key: le32(1), Name: "inner"}},
		Inner: &abi.MapSpec{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
	{Kind: abi.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, Contents: []abi.MapElement{{Key: le32(1), Name: "inner"}},
		Inner: &abi.MapSpec{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
}

// TestHelpersDoNotAllocate is about the helpers whose work goes through other
// hands than a lookup's: channels, redirects, calls back and away. Those that
// print make strings; they are not here.
func TestHelpersDoNotAllocate(t *testing.T) {
	const memory = "r2 = r10\nr2 += -16\n"
	redirect := func(index, key, flags string) string {
		return "r1 = map[idx:" + index + "]\nr2 = " + key + "\nr3 = " + flags + "\ncall bpf_redirect_map\nexit"
	}
	queue := func(index string) string {
		return "r1 = map[idx:" + index + "]\n" + memory + "r3 = 0\ncall bpf_map_push_elem\n" +
			"r1 = map[idx:" + index + "]\n" + memory + "call bpf_map_peek_elem\n"
	}
	pop := func(index string) string {
		return queue(index) + "r1 = map[idx:" + index + "]\n" + memory + "call bpf_map_pop_elem\nexit"
	}
	nested := func(index string) string {
		return "*(u32 *)(r10 - 16) = 1\nr1 = map[idx:" + index + "]\n" + memory +
			"call bpf_map_lookup_elem\nr1 = r0\n" + memory + "call bpf_map_lookup_elem\nr0 = *(u64 *)(r0 + 0)\nexit"
	}
	for name, text := range map[string]string{
		"loop":            "r1 = 5\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: r0 = 0\nexit",
		"ringbuf_output":  "r1 = map[idx:0]\n" + memory + "r3 = 16\nr4 = 0\ncall bpf_ringbuf_output\nexit",
		"ringbuf_reserve": "r1 = map[idx:0]\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve\n*(u64 *)(r0 + 0) = 1\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nr0 = 0\nexit",
		"perf_event":      "r2 = map[idx:1]\nr3 = 0xffffffff ll\nr4 = r10\nr4 += -16\nr5 = 16\ncall bpf_perf_event_output\nexit",
		"tail_call":       "r2 = map[idx:2]\nr3 = 1\ncall bpf_tail_call\nr0 = *(u64 *)(r10 + 0)\nexit",
		"devmap":          redirect("3", "1", "0"),
		"devmap all":      redirect("3", "1", "8"),
		"devmap_hash":     redirect("4", "1", "0"),
		"devmap_hash all": redirect("4", "1", "8"),
		"cpumap":          redirect("5", "1", "0"),
		"xskmap":          redirect("6", "1", "0"),
		"queue":           pop("7"),
		"stack":           pop("8"),
		"bloom_filter":    queue("9") + "exit",
		"array_of_maps":   nested("11"),
		"hash_of_maps":    nested("12"),
		"adjust_head":     "r2 = -8\ncall bpf_xdp_adjust_head\nexit",
		"adjust_tail":     "r2 = 8\ncall bpf_xdp_adjust_tail\nexit",
		"csum_diff":       "r1 = 0\nr2 = 0\nr3 = r10\nr3 += -16\nr4 = 16\nr5 = 0\ncall bpf_csum_diff\nexit",
		"fib_lookup":      "*(u8 *)(r10 - 64) = 2\n*(u32 *)(r10 - 56) = 1\n*(u32 *)(r10 - 40) = 0x08080808\nr2 = r10\nr2 += -64\nr3 = 64\nr4 = 0\ncall bpf_fib_lookup\nexit",
		"random and time": "call bpf_get_prandom_u32\ncall bpf_ktime_get_ns\nexit",
	} {
		m := loadCollection(t, vm.Collection{Maps: outsideMaps}, text, "r0 = 2\nexit")
		if n := allocs(t, m, []engine.Packet{packetOf(make([]byte, 64))}); n != 0 {
			t.Errorf("%s: %v allocations a run", name, n)
		}
	}
}

// TestProgramsDoNotAllocate runs the programs of this project over mixed
// packets, and those that trace over records of a tracepoint.
func TestProgramsDoNotAllocate(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(programsDir, "*.o"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var in, records []engine.Packet
	for _, data := range traffic(1, 200) {
		in = append(in, packetOf(data))
		records = append(records, packetOf(make([]byte, 64)))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".o")
		_, obj := readProgram(t, name)
		var names []string
		for i := range obj.Programs {
			names = append(names, obj.Programs[i].Name)
		}
		m := loadMachine(t, obj, 2, names...)
		for i, program := range names {
			if err := m.Select(program); err != nil {
				t.Fatal(err)
			}
			inputs := in
			if obj.Programs[i].Type.HasByteContext() {
				inputs = records
			}
			if n := allocs(t, m, inputs); n != 0 {
				t.Errorf("%s, %s: %v allocations for %d inputs", name, program, n, len(inputs))
			}
		}
	}
}
