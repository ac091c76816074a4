package replay

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bpflab/bpflab/ebpf/abi"
	vmmaps "github.com/bpflab/bpflab/vm/maps"
)

// A MapDifference says what two machines hold in a map for a key; nil stands
// for no such element. In a queue or stack the key is nil, and the values are
// all of it, as JSON.
type MapDifference struct {
	Map  string
	Key  []byte
	A, B []byte
}

func (d *MapDifference) String() string {
	text := func(value []byte) string {
		switch {
		case value == nil:
			return "no element"
		case d.Key == nil:
			return string(value)
		}
		return fmt.Sprintf("%x", value)
	}
	if d.Key == nil {
		return fmt.Sprintf("map %q: %s, %s", d.Map, text(d.A), text(d.B))
	}
	return fmt.Sprintf("map %q, key %x: %s, %s", d.Map, d.Key, text(d.A), text(d.B))
}

// CompareMaps compares the maps of two machines that have run the same programs
// over the same packets, and returns the first difference, of a map in the order
// of a, and there by the keys' order, or nil. Maps are the same by name; those
// that only one machine has are passed over, and those whose values are maps or
// programs, of which each machine has its own.
//
// In LRU maps the values of the keys that both have are compared, because which
// keys have been evicted the kernel does not promise.
func CompareMaps(a, b *vmmaps.Set) *MapDifference {
	for _, m := range a.All() {
		other := b.ByName(m.Name())
		if other == nil || other.Spec().Kind != m.Spec().Kind {
			continue
		}
		if d := compareMap(m, other); d != nil {
			return d
		}
	}
	return nil
}

func compareMap(m, other *vmmaps.Map) *MapDifference {
	common := false
	switch m.Spec().Kind {
	case abi.ProgArray, abi.ArrayOfMaps, abi.HashOfMaps, abi.PerfEventArray, abi.RingBuf, abi.BloomFilter, abi.CGroupArray, abi.XSKMap:
		return nil
	case abi.Queue, abi.Stack:
		var x, y bytes.Buffer
		if err := errors.Join(m.WriteJSON(&x), other.WriteJSON(&y)); err == nil && bytes.Equal(x.Bytes(), y.Bytes()) {
			return nil
		}
		return &MapDifference{Map: m.Name(), A: x.Bytes(), B: y.Bytes()}
	case abi.LRUHash, abi.LRUPerCPUHash:
		common = true
	}
	x, y := contents(m), contents(other)
	keys := slices.AppendSeq(slices.Collect(maps.Keys(x)), maps.Keys(y))
	slices.SortFunc(keys, cmp.Compare)
	for _, key := range slices.Compact(keys) {
		p, inX := x[key]
		q, inY := y[key]
		if common && (!inX || !inY) || inX == inY && bytes.Equal(p, q) {
			continue
		}
		return &MapDifference{Map: m.Name(), Key: []byte(key), A: p, B: q}
	}
	return nil
}

func contents(m *vmmaps.Map) map[string][]byte {
	all := map[string][]byte{}
	var key []byte
	next := make([]byte, m.Spec().KeySize)
	for m.NextKey(key, next) == nil {
		key = append(key[:0], next...)
		value := make([]byte, m.ValueLen())
		if m.Lookup(key, value) == nil {
			all[string(key)] = value
		}
	}
	return all
}
