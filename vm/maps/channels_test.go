package maps_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// drain returns the records of a map as text.
func drain(m *maps.Map) (list []string) {
	m.Drain(func(cpu int, data []byte) { list = append(list, fmt.Sprintf("%d:%s", cpu, data)) })
	return list
}

// TestRingOrder checks that records come in the order of their reservation,
// none before those reserved earlier are submitted, none that was discarded.
func TestRingOrder(t *testing.T) {
	set := newSet(t, 1)
	m := newMap(t, set, abi.MapSpec{Kind: abi.RingBuf, MaxEntries: 4096})
	var addrs []uint64
	for _, text := range []string{"a", "bb", "ccc"} {
		addr := m.Reserve(uint64(len(text)), 0)
		_, n := set.Record(uint64(addr))
		if int(n) != len(text) {
			t.Fatalf("%q has %d bytes", text, n)
		}
		addrs = append(addrs, uint64(addr))
	}
	if e := m.Output([]byte("dddd"), 0); e != 0 {
		t.Fatal(e)
	}
	if !set.Commit(addrs[1], true) {
		t.Error("the second record is not there")
	}
	if got := drain(m); got != nil {
		t.Errorf("%q before the first was submitted", got)
	}
	if !set.Commit(addrs[0], false) {
		t.Error("the first record is not there")
	}
	if got := drain(m); !slices.Equal(got, []string{"0:\x00"}) {
		t.Errorf("%q, want the first", got)
	}
	if !set.Commit(addrs[2], false) {
		t.Error("the third record is not there")
	}
	if got := drain(m); !slices.Equal(got, []string{"0:\x00\x00\x00", "0:dddd"}) {
		t.Errorf("%q, want the third and the fourth", got)
	}
	for _, addr := range []uint64{0, addrs[0], addrs[2] + 1, 1 << 40} {
		if m, _ := set.Record(addr); m != nil || set.Commit(addr, false) {
			t.Errorf("there is a record at %#x", addr)
		}
	}
}

// TestRingWraps sends records that go over the end, each with other contents.
func TestRingWraps(t *testing.T) {
	m := newMap(t, newSet(t, 1), abi.MapSpec{Kind: abi.RingBuf, MaxEntries: 4096})
	for i := range 1000 {
		want := bytes.Repeat([]byte{byte(i)}, i%3000)
		if e := m.Output(want, 0); e != 0 {
			t.Fatalf("%d: %v", i, e)
		}
		n := 0
		m.Drain(func(_ int, data []byte) {
			n++
			if !bytes.Equal(data, want) {
				t.Fatalf("%d: %d other bytes", i, len(data))
			}
		})
		if n != 1 {
			t.Fatalf("%d: %d records", i, n)
		}
	}
}

func TestPerfEvents(t *testing.T) {
	m := newMap(t, newSet(t, 2), abi.MapSpec{Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4})
	tests := []struct {
		index uint64
		cpu   int
		want  maps.Errno
	}{
		{maps.PerfCurrentCPU, 0, 0},
		{maps.PerfCurrentCPU, 1, 0},
		{1, 1, 0},
		{1, 0, maps.EOPNOTSUPP},
		{2, 0, maps.E2BIG},
		{1 << 32, 0, maps.EINVAL},
	}
	for _, tt := range tests {
		if got := m.PerfOutput(tt.index, tt.cpu, []byte("x"), []byte("yz")); got != tt.want {
			t.Errorf("index %#x on CPU %d: %v, want %v", tt.index, tt.cpu, got, tt.want)
		}
	}
	if got := drain(m); !slices.Equal(got, []string{"0:xyz", "1:xyz", "1:xyz"}) || drain(m) != nil {
		t.Errorf("%q", got)
	}
	if err := m.Delete(u32(0)); err != nil {
		t.Fatal(err)
	}
	if e := m.PerfOutput(0, 0, nil, nil); e != maps.ENOENT {
		t.Errorf("without a reader: %v", e)
	}
	for i := 0; ; i++ {
		if e := m.PerfOutput(1, 1, nil, nil); e == maps.ENOSPC {
			break
		} else if e != 0 || i > 1<<20 {
			t.Fatalf("after %d records: %v", i, e)
		}
	}
	if e := m.PerfOutput(1, 1, make([]byte, 1<<16), nil); e != maps.E2BIG {
		t.Errorf("a record of 64 KiB: %v", e)
	}
}

func TestRedirect(t *testing.T) {
	set := newSet(t, 4)
	value := append(u32(7), u32(3)...)
	tests := []struct {
		spec abi.MapSpec
		want maps.Target
	}{
		{abi.MapSpec{Kind: abi.DevMap, KeySize: 4, ValueSize: 8, MaxEntries: 4}, maps.Target{ID: 7, Program: 3}},
		{abi.MapSpec{Kind: abi.DevMapHash, KeySize: 4, ValueSize: 8, MaxEntries: 4}, maps.Target{ID: 7, Program: 3}},
		{abi.MapSpec{Kind: abi.CPUMap, KeySize: 4, ValueSize: 8, MaxEntries: 4}, maps.Target{ID: 2, Program: 3}},
		{abi.MapSpec{Kind: abi.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 4}, maps.Target{ID: 7}},
	}
	for _, tt := range tests {
		m := newMap(t, set, tt.spec)
		if err := m.Update(u32(2), value[:m.ValueLen()], 0); err != nil {
			t.Fatal(err)
		}
		if got, ok := m.Redirect(2); !ok || got != tt.want {
			t.Errorf("%v: %v %v, want %v", tt.spec.Kind, got, ok, tt.want)
		}
		for _, key := range []uint32{1, 4, 1 << 31} {
			if got, ok := m.Redirect(key); ok {
				t.Errorf("%v: key %d leads to %v", tt.spec.Kind, key, got)
			}
		}
		var all []uint32
		m.Targets(func(key uint32, got maps.Target) { all = append(all, key, got.ID) })
		if !slices.Equal(all, []uint32{2, tt.want.ID}) {
			t.Errorf("%v: targets %v", tt.spec.Kind, all)
		}
	}
	if _, ok := newMap(t, set, abi.MapSpec{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 4, MaxEntries: 4}).Redirect(0); ok {
		t.Error("an array has targets")
	}
}

// TestNested checks that a lookup in a map of maps gives what stands for the
// inner map in programs.
func TestNested(t *testing.T) {
	for _, kind := range []abi.MapKind{abi.ArrayOfMaps, abi.HashOfMaps} {
		set := newSet(t, 1)
		inner := abi.MapSpec{Name: "inner", Kind: abi.HashMap, KeySize: 8, ValueSize: 8, MaxEntries: 8}
		in := newMap(t, set, inner)
		m := newMap(t, set, abi.MapSpec{Kind: kind, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: &inner,
			Contents: []abi.MapElement{{Key: u32(1), Name: "inner"}}})
		if got := set.ByAddr(uint64(m.Find(u32(1), 0))); got != in {
			t.Errorf("%v: key 1 leads to %v", kind, got)
		}
		if got := m.Find(u32(2), 0); got != 0 {
			t.Errorf("%v: key 2 leads to %#x", kind, got)
		}
		_, err := set.New(&abi.MapSpec{Kind: kind, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: m.Spec()})
		if result(err, nil) != "EINVAL" {
			t.Errorf("%v of %v: %v", kind, kind, err)
		}
		_, err = set.New(&abi.MapSpec{Name: "o", Kind: kind, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: &inner,
			Contents: []abi.MapElement{{Key: u32(1), Name: "nobody"}}})
		if want := fmt.Sprintf(`map "o" (%v): initial element 0: there is no map "nobody"`, kind); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestTailCallPrograms(t *testing.T) {
	set := newSet(t, 1)
	set.Program = func(name string) uint32 {
		if name == "next" {
			return 9
		}
		return 0
	}
	spec := abi.MapSpec{Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4,
		Contents: []abi.MapElement{{Key: u32(2), Name: "next"}}}
	m := newMap(t, set, spec)
	for i, want := range map[uint32]uint32{0: 0, 2: 9, 4: 0, 1 << 31: 0} {
		if got := m.TailCall(i); got != want {
			t.Errorf("index %d leads to program %d, want %d", i, got, want)
		}
	}
	spec.Contents[0].Name = "other"
	if _, err := set.New(&spec); err == nil {
		t.Error("a program that does not exist is in the map")
	}
}

// TestSpinLock checks that user space neither reads nor writes the lock.
func TestSpinLock(t *testing.T) {
	lock := uint32(4)
	for _, kind := range []abi.MapKind{abi.ArrayMap, abi.HashMap} {
		m := newMap(t, newSet(t, 1), abi.MapSpec{Kind: kind, KeySize: 4, ValueSize: 12, MaxEntries: 2, SpinLock: &lock})
		ones := bytes.Repeat([]byte{1}, 12)
		if err := m.Update(u32(0), ones, 0); err != nil {
			t.Fatal(err)
		}
		addr := m.Find(u32(0), 0)
		if got := fmt.Sprintf("%x", m.Bytes(addr)); got != "010101010000000001010101" {
			t.Errorf("%v: after an update the value is %s", kind, got)
		}
		m.Lock(addr)
		value := make([]byte, 12)
		if err := m.Lookup(u32(0), value); err != nil || fmt.Sprintf("%x", value) != "010101010000000001010101" {
			t.Errorf("%v: with the lock taken: %x %v", kind, value, err)
		}
		done := make(chan error)
		go func() { done <- m.Update(u32(0), bytes.Repeat([]byte{2}, 12), abi.UpdateLock) }()
		select {
		case err := <-done:
			t.Errorf("%v: an update does not wait for the lock: %v", kind, err)
		default:
		}
		m.Unlock(addr)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := fmt.Sprintf("%x", m.Bytes(addr)); got != "020202020000000002020202" {
			t.Errorf("%v: after a locked update the value is %s", kind, got)
		}
		if err := m.Freeze(); result(err, nil) != "ENOTSUPP" {
			t.Errorf("%v: freeze: %v", kind, err)
		}
	}
}

// TestFrozen checks the map of an object's constants.
func TestFrozen(t *testing.T) {
	m := newMap(t, newSet(t, 1), abi.MapSpec{Name: ".rodata", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1,
		Flags: abi.MapReadOnlyProg, Frozen: true, Contents: []abi.MapElement{{Key: u32(0), Value: []byte("abc")}}})
	value := make([]byte, 8)
	if err := m.Lookup(u32(0), value); err != nil || string(value) != "abc\x00\x00\x00\x00\x00" {
		t.Errorf("%q %v", value, err)
	}
	if err := m.Update(u32(0), value, 0); result(err, nil) != "EPERM" {
		t.Error(err)
	}
	if m.Spec().ProgramsWrite() || !m.Spec().ProgramsRead() {
		t.Error("programs may write constants, or not read them")
	}
}
