package vm_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
)

// testMaps are the maps of the programs below, by index.
var testMaps = []abi.MapSpec{
	{Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: 12, MaxEntries: 4},
	{Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1},
	{Name: "percpu", Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 2},
	{Name: "const", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: abi.MapReadOnlyProg, Frozen: true,
		Contents: []abi.MapElement{{Key: make([]byte, 4), Value: []byte("constant")}}},
	{Name: "programs", Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Contents: []abi.MapElement{{Key: make([]byte, 4), Name: "main"}, {Key: []byte{1, 0, 0, 0}, Name: "second"}}},
}

func collection(t testing.TB, text string, more ...string) vm.Collection {
	t.Helper()
	c := vm.Collection{Maps: testMaps}
	for i, text := range append([]string{text}, more...) {
		prog, err := ebpf.Assemble(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		c.Programs = append(c.Programs, vm.Program{Name: []string{"main", "second"}[i], Type: abi.XDP, Insns: prog})
	}
	return c
}

func load(t testing.TB, text string, more ...string) *vm.Machine {
	t.Helper()
	if len(more) == 0 {
		more = []string{"r0 = 0\nexit"}
	}
	m, err := vm.Load(collection(t, text, more...), vm.Options{CPUs: 2})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// on puts the key 5 and the value 1, 2, 3 on the stack.
const on = `
	*(u32 *)(r10 - 4) = 5
	*(u32 *)(r10 - 16) = 1
	*(u32 *)(r10 - 12) = 2
	*(u32 *)(r10 - 8) = 3
`

// call is a call of a helper on a map with the key and the value.
func call(helper string, index int) string {
	return fmt.Sprintf("r1 = map[idx:%d]\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = 0\ncall bpf_%s\n", index, helper)
}

func TestMapHelpers(t *testing.T) {
	update, lookup, remove := call("map_update_elem", 0), call("map_lookup_elem", 0), call("map_delete_elem", 0)
	for _, tt := range []struct {
		name, text string
		want       int64
	}{
		{"nothing there", lookup, 0},
		{"update", update, 0},
		{"no such key", remove, -2},
		{"delete", update + remove, 0},
		{"value", update + lookup + "r0 = *(u32 *)(r0 + 8)\n", 3},
		{"value changed", update + lookup + "*(u32 *)(r0 + 8) = 9\n" + lookup + "r0 = *(u32 *)(r0 + 8)\n", 9},
		{"atomic", update + lookup + "r1 = 5\nlock *(u32 *)(r0 + 4) += r1\n" + lookup + "r0 = *(u32 *)(r0 + 4)\n", 7},
		{"array", "*(u32 *)(r10 - 4) = 0\n" + call("map_lookup_elem", 1) + "*(u64 *)(r0 + 0) = 77\nr1 = map[idx:1][0]+0\nr0 = *(u64 *)(r1 + 0)\n", 77},
		{"beyond the array", call("map_lookup_elem", 1), 0},
		{"direct value", "r1 = map[idx:3][0]+2\nr0 = *(u16 *)(r1 + 0)\n", 'n' | 's'<<8},
		{"descriptor", "*(u32 *)(r10 - 4) = 0\nr1 = map[fd:3]\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nr0 = *(u8 *)(r0 + 7)\n", 't'},
		{"full", "r6 = 0\nloop: *(u32 *)(r10 - 4) = r6\n" + update + "r6 += 1\nif r6 != 5 goto loop\n", -7},
	} {
		res := runMachine(t, load(t, on+tt.text+"exit"), make([]byte, 64))
		if int64(res.R0) != tt.want || res.Fault != nil {
			t.Errorf("%s: %d, %v, want %d", tt.name, int64(res.R0), res.Fault, tt.want)
		}
	}
}

// TestPerCPU counts on both CPUs and reads the other's value.
func TestPerCPU(t *testing.T) {
	m := load(t, on+"*(u32 *)(r10 - 4) = 1\n"+call("map_lookup_elem", 2)+`
		r1 = *(u64 *)(r0 + 0)
		r1 += 1
		*(u64 *)(r0 + 0) = r1
		r1 = map[idx:2]
		r2 = r10
		r2 += -4
		r3 = 1
		call bpf_map_lookup_percpu_elem
		r6 = *(u64 *)(r0 + 0)
		r1 = map[idx:2]
		r2 = r10
		r2 += -4
		r3 = 2
		call bpf_map_lookup_percpu_elem
		if r0 != 0 goto +1
		r0 = r6
		exit`)
	for i, cpu := range []uint32{0, 1, 0, 3, 0} {
		p := packetOf(make([]byte, 64))
		p.Meta.CPU = cpu
		if res := runOn(t, m, p); res.Return != []uint32{0, 1, 1, 2, 2}[i] || res.Fault != nil {
			t.Error(i, res.Return, res.Fault)
		}
	}
	value := make([]byte, 16)
	if err := m.Maps().ByName("percpu").Lookup([]byte{1, 0, 0, 0}, value); err != nil || value[0] != 3 || value[8] != 2 {
		t.Error(value, err)
	}
}

// TestTailCalls counts how often a program can call itself, and checks that
// the frame and the stack start anew.
func TestTailCalls(t *testing.T) {
	const self = `
		r6 = r1
		r1 = map[idx:1][0]+0
		r2 = *(u64 *)(r1 + 0)
		r2 += 1
		*(u64 *)(r1 + 0) = r2
		r0 = r2
		r3 = *(u64 *)(r10 - 8)
		*(u64 *)(r10 - 8) = 1
		if r3 != 0 goto bad
		r1 = r6
		r2 = map[idx:4]
		r3 = INDEX
		call bpf_tail_call
		r1 = map[idx:1][0]+0
		r0 = *(u64 *)(r1 + 0)
		exit
	bad:	r0 = -1
		exit`
	for _, tt := range []struct {
		index string
		want  int64
	}{{"0", 34}, {"1", 42}, {"2", 1}, {"4", 1}, {"-1", 1}} {
		text := strings.ReplaceAll(self, "INDEX", tt.index)
		res := runMachine(t, load(t, text, "r0 = 42\nexit"), make([]byte, 64))
		if int64(res.R0) != tt.want || res.Fault != nil {
			t.Errorf("index %s: %d, %v, want %d", tt.index, int64(res.R0), res.Fault, tt.want)
		}
	}
	// From a function, the program that is called returns to its caller.
	res := runMachine(t, load(t, "call f\nr0 += 100\nexit\nf: r2 = map[idx:4]\nr3 = 1\ncall bpf_tail_call\nr0 = 0\nexit", "r0 = 5\nexit"), make([]byte, 64))
	if res.R0 != 105 || res.Fault != nil {
		t.Error(res.R0, res.Fault)
	}
}

// TestForEachElement adds up keys and values, and deletes elements on the way.
func TestForEachElement(t *testing.T) {
	const text = `
		r6 = 1
	fill:	*(u32 *)(r10 - 4) = r6
		*(u32 *)(r10 - 16) = r6
		r1 = map[idx:0]
		r2 = r10
		r2 += -4
		r3 = r10
		r3 += -16
		r4 = 0
		call bpf_map_update_elem
		r6 += 1
		if r6 != 5 goto fill
		*(u64 *)(r10 - 24) = 0
		r1 = map[idx:MAP]
		r2 = subprog[each]
		r3 = r10
		r3 += -24
		r4 = 0
		call bpf_for_each_map_elem
		r0 *= 1000
		r1 = *(u64 *)(r10 - 24)
		r0 += r1
		exit
	each:	r0 = *(u32 *)(r2 + 0)
		r5 = *(u32 *)(r3 + 0)
		r0 *= r5
		r5 = *(u64 *)(r4 + 0)
		r5 += r0
		*(u64 *)(r4 + 0) = r5
		EXTRA
		r0 = 0
		exit`
	for _, tt := range []struct {
		index, extra string
		want         uint32
	}{
		{"0", "", 4000 + 1 + 4 + 9 + 16},
		{"0", "call bpf_map_delete_elem", 4000 + 1 + 4 + 9 + 16},
		{"2", "*(u64 *)(r3 + 0) = 1", 2000},
		{"1", "", 1000},
	} {
		m := load(t, strings.NewReplacer("MAP", tt.index, "EXTRA", tt.extra).Replace(text))
		res := runMachine(t, m, make([]byte, 64))
		if res.Return != tt.want || res.Fault != nil {
			t.Errorf("map %s, %q: %d, %v, want %d", tt.index, tt.extra, res.Return, res.Fault, tt.want)
		}
		left := m.Maps().ByName("hash").NextKey(nil, make([]byte, 4)) == nil
		if left == strings.Contains(tt.extra, "delete") {
			t.Errorf("map %s, %q: elements left: %v", tt.index, tt.extra, left)
		}
	}
}

func TestMapFaults(t *testing.T) {
	lookup := call("map_update_elem", 0) + call("map_lookup_elem", 0)
	for _, tt := range []struct{ text, want string }{
		{lookup + "r1 = *(u32 *)(r0 + 12)\n", `0 bytes behind a value of map "hash"`},
		{lookup + "r1 = *(u64 *)(r0 + 8)\n", `the last 4 bytes lie behind a value of map "hash"`},
		{lookup + "r1 = *(u32 *)(r0 - 4)\n", `4 bytes before a value of map "hash"`},
		{lookup + "*(u8 *)(r0 - 24) = 1\n", `24 bytes before a value of map "hash"`},
		{"r1 = map[idx:3][0]+0\n*(u8 *)(r1 + 0) = 1\n", `a value of map "const", where programs cannot store`},
		{"r1 = map[idx:1][0]+0\nr1 = *(u8 *)(r1 + 8)\n", `0 bytes behind a value of map "array"`},
		{"r1 = map[idx:0]\nr1 = *(u32 *)(r1 + 0)\n", "not memory"},
		{call("map_lookup_elem", 0) + "r1 = *(u32 *)(r0 + 0)\n", "a null pointer"},
		{lookup + "*(u32 *)(r10 - 4) = 6\n" + call("map_lookup_elem", 0) + "r1 = *(u32 *)(r0 + 0)\n", "a null pointer"},
		{"*(u32 *)(r10 - 4) = 0\n" + call("map_lookup_elem", 3) + "r1 = *(u64 *)(r0 + 0)\n*(u8 *)(r0 + 0) = 1\n", `a value of map "const", where programs cannot store`},
		{"r1 = map[idx:0]\nr2 = r10\nr2 += -513\ncall bpf_map_lookup_elem\n", "1 bytes before the stack"},
		{"r1 = map[idx:0]\nr2 = 0\ncall bpf_map_lookup_elem\n", "a null pointer"},
		{"r1 = map[idx:0]\nr1 += 4\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n", "must be a map"},
		{"r1 = 5\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n", "r1 = 0x5: must be a map"},
		{"r1 = map[idx:4]\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n", `map "programs" is a prog_array, which the helper does not take`},
		{"r1 = map[idx:0]\nr2 = r10\nr2 += -3\ncall bpf_map_lookup_elem\n", "for a load of 4 bytes: the last 1 bytes lie behind the stack"},
	} {
		res := runMachine(t, load(t, on+tt.text+"exit"), make([]byte, 64))
		if res.Fault == nil || !strings.Contains(res.Fault.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.text, res.Fault, tt.want)
		}
	}
}

// TestMapsOverRuns checks that maps keep what programs put into them.
func TestMapsOverRuns(t *testing.T) {
	m := load(t, "r1 = map[idx:1][0]+0\nr2 = 1\nlock *(u64 *)(r1 + 0) += r2\nr0 = 0\nexit")
	for range 5 {
		runMachine(t, m, make([]byte, 64))
	}
	value := make([]byte, 8)
	if err := m.Maps().ByID(2).Lookup(make([]byte, 4), value); err != nil || binary.LittleEndian.Uint64(value) != 5 {
		t.Error(value, err)
	}
}
