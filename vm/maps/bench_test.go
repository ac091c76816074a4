package maps_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// BenchmarkLookup looks up keys that are there, in an order that is not that
// of their insertion; BenchmarkGoMap does the same with a Go map.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []uint32{1 << 8, 1 << 16, 1 << 20} {
		for _, spec := range []abi.MapSpec{
			{Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: n},
			{Kind: abi.HashMap, KeySize: 16, ValueSize: 8, MaxEntries: n},
			{Kind: abi.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: n},
			{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: n},
			{Kind: abi.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: n, Flags: abi.MapNoPrealloc},
		} {
			b.Run(fmt.Sprintf("%v/key%d/%d", spec.Kind, spec.KeySize, n), func(b *testing.B) {
				m := newMap(b, newSet(b, 1), spec)
				key := make([]byte, spec.KeySize)
				for i := range n {
					setKey(key, spec.Kind, i)
					if e := m.Put(key, u64(uint64(i)), 0, 0); e != 0 {
						b.Fatal(e)
					}
				}
				for i := uint32(0); b.Loop(); i += 7919 {
					setKey(key, spec.Kind, i%n)
					if m.Find(key, 0) == 0 {
						b.Fatal("not found")
					}
				}
			})
		}
	}
}

func setKey(key []byte, kind abi.MapKind, i uint32) {
	if kind == abi.LPMTrie {
		binary.LittleEndian.PutUint32(key, 32)
		binary.BigEndian.PutUint32(key[4:], i)
		return
	}
	binary.LittleEndian.PutUint32(key, i)
}

func BenchmarkGoMap(b *testing.B) {
	for _, n := range []uint32{1 << 8, 1 << 16, 1 << 20} {
		b.Run(fmt.Sprintf("key4/%d", n), func(b *testing.B) {
			m := make(map[uint32]uint64, n)
			for i := range n {
				m[i] = uint64(i)
			}
			key := make([]byte, 4)
			for i := uint32(0); b.Loop(); i += 7919 {
				setKey(key, abi.HashMap, i%n)
				if _, ok := m[binary.LittleEndian.Uint32(key)]; !ok {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprintf("key16/%d", n), func(b *testing.B) {
			m := make(map[[16]byte]uint64, n)
			var key [16]byte
			for i := range n {
				setKey(key[:], abi.HashMap, i)
				m[key] = uint64(i)
			}
			for i := uint32(0); b.Loop(); i += 7919 {
				setKey(key[:], abi.HashMap, i%n)
				if _, ok := m[key]; !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	m := newMap(b, newSet(b, 1), abi.MapSpec{Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 1 << 16})
	key, value := make([]byte, 4), make([]byte, 8)
	for i := uint32(0); b.Loop(); i += 7919 {
		setKey(key, abi.HashMap, i%(1<<16))
		if e := m.Put(key, value, 0, 0); e != 0 {
			b.Fatal(e)
		}
	}
}

// BenchmarkEvict puts new keys into a full LRU map: each takes the place of
// another.
func BenchmarkEvict(b *testing.B) {
	for _, n := range []uint32{1 << 8, 1 << 16, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := newMap(b, newSet(b, 1), abi.MapSpec{Kind: abi.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: n})
			key, value := make([]byte, 4), make([]byte, 8)
			i := uint32(0)
			put := func() {
				binary.LittleEndian.PutUint32(key, i)
				if e := m.Put(key, value, 0, 0); e != 0 {
					b.Fatal(e)
				}
				i++
			}
			for range n {
				put()
			}
			for b.Loop() {
				put()
			}
		})
	}
}
