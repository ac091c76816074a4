package vm_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// memoryInUse returns the process's address space and resident memory in bytes.
func memoryInUse(t *testing.T) (reserved, resident int) {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		require.Skip(t, "no /proc: %v", err)
	}
	if _, err := fmt.Sscan(string(statm), &reserved, &resident); err != nil {
		t.Fatal(err)
	}
	return reserved * os.Getpagesize(), resident * os.Getpagesize()
}

// TestCloseGivesMemoryBack makes machines that touch 2 MiB each, and tries to
// make some that fail. What one of them left would be an arena's address range
// at least.
func TestCloseGivesMemoryBack(t *testing.T) {
	const machines = 40
	c := collection(t, "r0 = 2\nexit", "r0 = 2\nexit")
	c.Maps = append(c.Maps, abi.MapSpec{Name: "big", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 2})
	wrong := collection(t, "r1 = map[idx:99]\nr0 = 2\nexit", "r0 = 2\nexit")
	round := func() {
		m, err := vm.Load(c, vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		value := make([]byte, 1<<20)
		for i := range uint32(2) {
			if err := m.Maps().ByName("big").Update(le32(i), value, 0); err != nil {
				t.Fatal(err)
			}
		}
		runMachine(t, m, make([]byte, 1<<19))
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := vm.Load(wrong, vm.Options{}); err == nil {
			t.Fatal("a program without its map was loaded")
		}
	}
	round()
	runtime.GC()
	reserved, resident := memoryInUse(t)
	for range machines {
		round()
	}
	runtime.GC()
	reservedAfter, residentAfter := memoryInUse(t)
	if reservedAfter-reserved >= arena.Size {
		t.Errorf("%d machines left %d GiB of address space", machines, (reservedAfter-reserved)>>30)
	}
	if residentAfter-resident > machines*2<<20/4 {
		t.Errorf("%d machines of 2 MiB left %d MiB", machines, (residentAfter-resident)>>20)
	}
}

// TestAfterClose uses a machine and its maps after they were closed.
func TestAfterClose(t *testing.T) {
	m := load(t, "*(u64 *)(r10 - 8) = 1\n"+`
		r1 = *(u32 *)(r1 + 0)
		*(u8 *)(r1 + 0) = 7
		r0 = 2
		exit`)
	in, out := []engine.Packet{packetOf(make([]byte, 64))}, make([]engine.Result, 1)
	if err := m.Run(in, out); err != nil || out[0].Fault != nil {
		t.Fatal(err, out[0].Fault)
	}
	all := m.Maps().All()
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if out[0].Data[0] != 7 {
		t.Error("the result went with the machine")
	}
	if err := m.Run(in, out); err == nil {
		t.Error("a closed machine runs")
	}
	for _, mp := range all {
		key, value := make([]byte, mp.Spec().KeySize), make([]byte, mp.ValueLen())
		for name, err := range map[string]error{
			"Lookup":    mp.Lookup(key, value),
			"Update":    mp.Update(key, value, 0),
			"Delete":    mp.Delete(key),
			"NextKey":   mp.NextKey(nil, key),
			"WriteJSON": mp.WriteJSON(io.Discard),
		} {
			if !errors.Is(err, maps.ErrClosed) && !errors.Is(err, maps.EPERM) {
				t.Errorf("%v: %s of a closed map: %v", mp, name, err)
			}
		}
	}
	if _, err := m.Maps().New(&testMaps[0]); !errors.Is(err, arena.ErrFull) {
		t.Errorf("a map in closed memory: %v", err)
	}
}
