package maps_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/maps"
)

// newSet makes a set in an arena of its own.
func newSet(t testing.TB, cpus int) *maps.Set {
	t.Helper()
	mem, err := arena.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	set, err := maps.NewSet(mem, cpus)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newMap(t testing.TB, set *maps.Set, spec abi.MapSpec) *maps.Map {
	t.Helper()
	m, err := set.New(&spec)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func u32(v uint32) []byte  { return binary.LittleEndian.AppendUint32(nil, v) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func TestEmptySet(t *testing.T) {
	set := newSet(t, 1)
	if set.ByID(0) != nil || set.ByID(1) != nil || set.ByAddr(0) != nil || set.ByName("") != nil {
		t.Error("an empty set has maps")
	}
}

func TestNames(t *testing.T) {
	set := newSet(t, 1)
	a := newMap(t, set, abi.MapSpec{Name: "a", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	b := newMap(t, set, abi.MapSpec{Name: "b", Kind: abi.HashMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	for _, m := range []*maps.Map{a, b} {
		if set.ByID(m.ID()) != m || set.ByAddr(uint64(m.Addr())) != m || set.ByName(m.Name()) != m {
			t.Errorf("%v is not found", m)
		}
		if set.ByAddr(uint64(m.Addr())+4) != nil {
			t.Errorf("inside the header of %v there is a map", m)
		}
	}
}

func TestTooLarge(t *testing.T) {
	set := newSet(t, 1)
	_, err := set.New(&abi.MapSpec{Name: "big", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 1 << 20})
	if !errors.Is(err, maps.ENOMEM) || !errors.Is(err, arena.ErrFull) {
		t.Errorf("a map of 1 TiB: %v", err)
	}
	_, err = set.New(&abi.MapSpec{Name: "x", Kind: 7, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if !errors.Is(err, errors.ErrUnsupported) || err.Error() != `map "x" (stack_trace): this kind of map: unsupported operation` {
		t.Errorf("stack_trace: %v", err)
	}
}

// TestPointersOutliveElements checks what is promised of a pointer to a value
// whose element was replaced or deleted: 63 more can go before it changes.
func TestPointersOutliveElements(t *testing.T) {
	for _, kind := range []abi.MapKind{abi.HashMap, abi.LRUHash, abi.LPMTrie} {
		t.Run(kind.String(), func(t *testing.T) {
			mem, err := arena.New()
			if err != nil {
				t.Fatal(err)
			}
			defer mem.Close()
			set, err := maps.NewSet(mem, 1)
			if err != nil {
				t.Fatal(err)
			}
			key := func(i int) []byte { return append(u32(32), u32(uint32(i))...) }
			var flags uint32
			if kind == abi.LPMTrie {
				flags = abi.MapNoPrealloc
			}
			m := newMap(t, set, abi.MapSpec{Kind: kind, KeySize: 8, ValueSize: 8, MaxEntries: 2, Flags: flags})
			must := func(e maps.Errno) {
				t.Helper()
				if e != 0 {
					t.Fatal(e)
				}
			}
			must(m.Put(key(1), u64(1000), 0, 0))
			p := m.Find(key(1), 0)
			must(m.Put(key(1), u64(1001), 0, 0))
			if q := m.Find(key(1), 0); q == p || !bytes.Equal(mem.Bytes(q, 8), u64(1001)) {
				t.Errorf("after the update the value is at %#x, before at %#x", q, p)
			}
			for i := range 30 { // a trie gives back two nodes each time
				must(m.Put(key(2), u64(uint64(i)), 0, 0))
				must(m.Remove(key(2)))
			}
			if !bytes.Equal(mem.Bytes(p, 8), u64(1000)) {
				t.Errorf("the replaced value has become %x", mem.Bytes(p, 8))
			}
		})
	}
}

// TestIterationSurvivesUpdates updates each key during an iteration and
// deletes half of them: every key comes once.
func TestIterationSurvivesUpdates(t *testing.T) {
	set := newSet(t, 1)
	m := newMap(t, set, abi.MapSpec{Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 100})
	for i := range uint32(100) {
		if err := m.Update(u32(i), u64(0), 0); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[uint32]int{}
	var key []byte
	next := make([]byte, 4)
	for m.NextKey(key, next) == nil {
		key = bytes.Clone(next)
		seen[binary.LittleEndian.Uint32(key)]++
		if err := m.Update(key, u64(1), abi.UpdateExist); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d keys came", len(seen))
	}
	for k, n := range seen {
		if n != 1 {
			t.Errorf("key %d came %d times", k, n)
		}
	}
	visited := m.ForEach(0, func(key []byte, _ uint32) bool {
		if binary.LittleEndian.Uint32(key)%2 == 0 {
			if e := m.Remove(bytes.Clone(key)); e != 0 {
				t.Error(e)
			}
		}
		return true
	})
	if left := m.ForEach(0, func([]byte, uint32) bool { return true }); visited != 100 || left != 50 {
		t.Errorf("%d visited, %d left", visited, left)
	}
}

// TestLRUMakesRoom checks that an LRU map takes all keys, keeps max_entries of
// them, the last one among them, and spares one that is used all the time.
func TestLRUMakesRoom(t *testing.T) {
	for _, kind := range []abi.MapKind{abi.LRUHash, abi.LRUPerCPUHash} {
		set := newSet(t, 2)
		m := newMap(t, set, abi.MapSpec{Kind: kind, KeySize: 4, ValueSize: 8, MaxEntries: 10})
		for i := range uint32(1000) {
			if e := m.Put(u32(i), u64(uint64(i)), 0, 1); e != 0 {
				t.Fatal(e)
			}
			if err := m.Lookup(u32(i), make([]byte, m.ValueLen())); err != nil { // not a use
				t.Fatalf("%v: key %d is not there at once: %v", kind, i, err)
			}
			if m.Find(u32(0), 0) == 0 {
				t.Fatalf("%v: key 0 was deleted, though in use", kind)
			}
		}
		if n := m.ForEach(0, func([]byte, uint32) bool { return true }); n != 10 {
			t.Errorf("%v: %d elements", kind, n)
		}
	}
}

// TestPerCPU checks which values a program and user space see and set.
func TestPerCPU(t *testing.T) {
	for _, kind := range []abi.MapKind{abi.PerCPUArray, abi.PerCPUHash, abi.LRUPerCPUHash} {
		mem, err := arena.New()
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Close()
		set, err := maps.NewSet(mem, 3)
		if err != nil {
			t.Fatal(err)
		}
		m := newMap(t, set, abi.MapSpec{Kind: kind, KeySize: 4, ValueSize: 5, MaxEntries: 4})
		if m.ValueLen() != 24 {
			t.Fatalf("%v: a value is %d bytes", kind, m.ValueLen())
		}
		if e := m.Put(u32(1), []byte("hello"), 0, 1); e != 0 {
			t.Fatal(e)
		}
		for cpu, want := range []string{"\x00\x00\x00\x00\x00", "hello", "\x00\x00\x00\x00\x00"} {
			if got := string(mem.Bytes(m.Find(u32(1), cpu), 5)); got != want {
				t.Errorf("%v: CPU %d has %q", kind, cpu, got)
			}
		}
		if m.Find(u32(1), 3) != 0 || m.Find(u32(1), -1) != 0 {
			t.Errorf("%v: there is a value for CPU 3 or -1", kind)
		}
		all := []byte("aaaaa...bbbbb...ccccc...")
		if err := m.Update(u32(1), all, 0); err != nil {
			t.Fatal(err)
		}
		if got := string(mem.Bytes(m.Find(u32(1), 2), 5)); got != "ccccc" {
			t.Errorf("%v: CPU 2 has %q", kind, got)
		}
		got := make([]byte, 24)
		if err := m.Lookup(u32(1), got); err != nil || !bytes.Equal(got, all) {
			t.Errorf("%v: %q %v", kind, got, err)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	set := newSet(t, 1)
	for _, spec := range []abi.MapSpec{
		{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 4},
		{Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 4},
		{Kind: abi.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 4},
		{Kind: abi.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 4, Flags: abi.MapNoPrealloc},
	} {
		m := newMap(t, set, spec)
		key, value := make([]byte, spec.KeySize), u64(1)
		n := testing.AllocsPerRun(100, func() {
			if e := m.Put(key, value, 0, 0); e != 0 {
				t.Fatal(e)
			}
			m.Find(key, 0)
			m.Remove(key)
		})
		if n != 0 {
			t.Errorf("%v: %v allocations", spec.Kind, n)
		}
	}
}

func ExampleSet_New() {
	mem, err := arena.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mem.Close()
	set, err := maps.NewSet(mem, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := set.New(&abi.MapSpec{Name: "ports", Kind: abi.HashMap, KeySize: 2, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Update([]byte{80, 0}, []byte{1, 0, 0, 0}, abi.UpdateAny))
	fmt.Println(m.Update([]byte{81, 0}, []byte{1, 0, 0, 0}, abi.UpdateAny))
	fmt.Println(m.Update([]byte{80, 0}, []byte{1, 0, 0, 0}, abi.UpdateNoExist))
	fmt.Println(m.Delete([]byte{81, 0}))
	// Output:
	// <nil>
	// E2BIG
	// EEXIST
	// ENOENT
}
