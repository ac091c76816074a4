package maps_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// TestValueAt looks up an element of each kind that has values in memory, and
// asks about the addresses around them.
func TestValueAt(t *testing.T) {
	set := newSet(t, 2)
	specs := []abi.MapSpec{
		{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 5, MaxEntries: 3},
		{Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 5, MaxEntries: 3},
		{Kind: abi.HashMap, KeySize: 4, ValueSize: 5, MaxEntries: 3},
		{Kind: abi.LRUPerCPUHash, KeySize: 4, ValueSize: 5, MaxEntries: 3},
		{Kind: abi.LPMTrie, KeySize: 5, ValueSize: 5, MaxEntries: 3, Flags: abi.MapNoPrealloc},
		{Kind: abi.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 3},
		{Kind: abi.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 3},
	}
	var all []*maps.Map
	for _, spec := range specs {
		all = append(all, newMap(t, set, spec))
	}
	for i, m := range all {
		key := make([]byte, specs[i].KeySize)
		value := make([]byte, specs[i].ValueSize)
		value[0] = 1
		if e := m.Put(key, value, 0, 1); e != 0 {
			t.Fatalf("%v: %v", m, e)
		}
		addr := m.Find(key, 1)
		size := specs[i].ValueSize
		for d := range size {
			if got, start, n := set.ValueAt(uint64(addr + d)); got != m || start != addr || n != size {
				t.Errorf("%v: byte %d of the value at %#x is in %v at %#x", specs[i].Kind, d, addr, got, start)
			}
		}
		if got, _, _ := set.ValueAt(uint64(addr + size)); got != nil {
			t.Errorf("%v: the byte behind the value is one of %v", specs[i].Kind, got)
		}
		if got, start, _ := set.ValueAt(uint64(addr - 1)); got != nil && start >= addr {
			t.Errorf("%v: the byte before the value is in %v at %#x", specs[i].Kind, got, start)
		}
		if got, _, _ := set.ValueAt(uint64(m.Addr())); got != nil {
			t.Errorf("%v: the header is a value of %v", specs[i].Kind, got)
		}
	}
	for _, addr := range []uint64{0, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		if got, _, _ := set.ValueAt(addr); got != nil {
			t.Errorf("%#x is a value of %v", addr, got)
		}
	}
}
