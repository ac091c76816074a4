package replay_test

import (
	"fmt"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/maps"
	"github.com/bpflab/bpflab/vm/replay"
)

// newSet makes a set of maps with one element each, of the values given by the
// map's name.
func newSet(t *testing.T, values map[string]string) *maps.Set {
	t.Helper()
	memory, err := arena.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { memory.Close() })
	set, err := maps.NewSet(memory, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []abi.MapSpec{
		{Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 4, MaxEntries: 2},
		{Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Name: "lru", Kind: abi.LRUHash, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Name: "queue", Kind: abi.Queue, ValueSize: 4, MaxEntries: 4},
	} {
		m, err := set.New(&spec)
		if err != nil {
			t.Fatal(err)
		}
		value, ok := values[spec.Name]
		if !ok {
			continue
		}
		key := make([]byte, spec.KeySize)
		if spec.KeySize == 0 {
			key = nil
		}
		if err := m.Update(key, []byte(value), abi.UpdateAny); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

func TestCompareMaps(t *testing.T) {
	for _, tt := range []struct {
		a, b map[string]string
		want string
	}{
		{nil, nil, "<nil>"},
		{map[string]string{"array": "abcd", "hash": "abcd", "lru": "abcd", "queue": "abcd"}, map[string]string{"array": "abcd", "hash": "abcd", "lru": "abcd", "queue": "abcd"}, "<nil>"},
		{map[string]string{"array": "abcd"}, nil, `map "array", key 00000000: 61626364, 00000000`},
		{nil, map[string]string{"hash": "abcd"}, `map "hash", key 00000000: no element, 61626364`},
		{map[string]string{"lru": "abcd"}, nil, "<nil>"}, // may be evicted
		{map[string]string{"lru": "abcd"}, map[string]string{"lru": "abce"}, `map "lru", key 00000000: 61626364, 61626365`},
		{map[string]string{"queue": "abcd"}, nil, `map "queue": [{"value":["0x61","0x62","0x63","0x64"]}], []`},
	} {
		if got := fmt.Sprint(replay.CompareMaps(newSet(t, tt.a), newSet(t, tt.b))); got != tt.want {
			t.Errorf("%v and %v: got %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
}
