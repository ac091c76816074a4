package maps_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// TestShared lets several goroutines change a map while others look up keys
// that stay: a lookup must find them all the time, whatever moves around them.
// A value is its key twice, so that one of another element shows.
func TestShared(t *testing.T) {
	for _, spec := range []abi.MapSpec{
		{Kind: abi.HashMap, KeySize: 8, ValueSize: 16, MaxEntries: 40},
		{Kind: abi.LRUHash, KeySize: 8, ValueSize: 16, MaxEntries: 1000},
		{Kind: abi.LPMTrie, KeySize: 8, ValueSize: 16, MaxEntries: 40, Flags: abi.MapNoPrealloc},
	} {
		m := newMap(t, newSet(t, 1), spec)
		key := func(i uint32) []byte { return binary.BigEndian.AppendUint32(u32(32), i) }
		value := func(i uint32) []byte { return append(key(i), key(i)...) }
		for i := range uint32(10) {
			if e := m.Put(key(i), value(i), 0, 0); e != 0 {
				t.Fatal(e)
			}
		}
		var writers, readers sync.WaitGroup
		stop := make(chan struct{})
		for w := range uint64(2) {
			writers.Go(func() {
				rng := rand.New(rand.NewPCG(6, w))
				for range 20000 {
					i := rng.Uint32N(40)
					if i < 10 || rng.IntN(2) == 0 {
						m.Put(key(i), value(i), 0, 0) // may find the map full
					} else {
						m.Remove(key(i))
					}
				}
			})
			readers.Go(func() {
				for i := uint32(0); ; i = (i + 1) % 10 {
					select {
					case <-stop:
						return
					default:
					}
					addr := m.Find(key(i), 0)
					if addr == 0 {
						t.Errorf("%v: key %d is not there", spec.Kind, i)
						return
					}
				}
			})
		}
		writers.Wait()
		close(stop)
		readers.Wait()
		for i := range uint32(10) {
			if got := string(m.Bytes(m.Find(key(i), 0))); got != string(value(i)) {
				t.Errorf("%v: key %d has the value %x", spec.Kind, i, got)
			}
		}
	}
}
