package maps_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// A model is what a map of keys should hold, as a Go map.
type model struct {
	spec     abi.MapSpec
	elements map[string]string
}

// update returns what an update should.
func (d *model) update(key, value []byte, flags uint64) maps.Errno {
	_, there := d.elements[string(key)]
	full := len(d.elements) == int(d.spec.MaxEntries)
	switch {
	case d.spec.Kind == abi.LPMTrie && int(le32(key)) > 8*(len(key)-4):
		return maps.EINVAL
	case flags == abi.UpdateNoExist && there:
		return maps.EEXIST
	case flags == abi.UpdateExist && !there:
		return maps.ENOENT
	case !there && full && d.spec.Kind == abi.LPMTrie:
		return maps.ENOSPC
	case !there && full && d.spec.Kind == abi.HashMap:
		return maps.E2BIG
	}
	d.elements[string(key)] = string(value)
	return 0
}

// normal is the key with the bits behind the prefix cleared.
func (d *model) normal(key []byte) []byte {
	if d.spec.Kind != abi.LPMTrie {
		return key
	}
	key = bytes.Clone(key)
	for i := range 8 * (len(key) - 4) {
		if i >= int(le32(key)) {
			key[4+i/8] &^= 0x80 >> (i % 8)
		}
	}
	return key
}

// lookup returns the value that belongs to the key.
func (d *model) lookup(key []byte) (string, bool) {
	if d.spec.Kind != abi.LPMTrie {
		v, ok := d.elements[string(key)]
		return v, ok
	}
	if int(le32(key)) > 8*(len(key)-4) {
		return "", false
	}
	for n := int(le32(key)); n >= 0; n-- {
		shorter := append(u32(uint32(n)), key[4:]...)
		if v, ok := d.elements[string(d.normal(shorter))]; ok {
			return v, true
		}
	}
	return "", false
}

// modelled are the kinds that the model knows.
var modelled = []abi.MapSpec{
	{Kind: abi.HashMap, KeySize: 6, ValueSize: 3, MaxEntries: 5},
	{Kind: abi.LRUHash, KeySize: 6, ValueSize: 3, MaxEntries: 5},
	{Kind: abi.LPMTrie, KeySize: 6, ValueSize: 3, MaxEntries: 9, Flags: abi.MapNoPrealloc},
}

// operateAll does the operations that the data spells, three bytes each: what to
// do, with which key, with which value. The map must do what a Go map does,
// and never hold more than it may.
func operateAll(t *testing.T, spec abi.MapSpec, data []byte) {
	t.Helper()
	d := &model{spec, map[string]string{}}
	m := newMap(t, newSet(t, 1), spec)
	for ; len(data) >= 3; data = data[3:] {
		d.step(t, m, data[0], data[1], data[2])
	}
	d.compare(t, m)
}

func FuzzOperations(f *testing.F) {
	for kind := range byte(3) {
		f.Add(kind, []byte("abcdefghijklmnopqrstuvwxyz0123456789"))
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) { operateAll(t, modelled[kind%3], data) })
}

// TestRandomOperations does what the fuzz target does, longer.
func TestRandomOperations(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, spec := range modelled {
		for range 200 {
			data := make([]byte, rng.IntN(3000))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			operateAll(t, spec, data)
		}
	}
}

func (d *model) step(t *testing.T, m *maps.Map, op, k, v byte) {
	key, value := make([]byte, d.spec.KeySize), []byte{v, ^v, v}
	if d.spec.Kind == abi.LPMTrie {
		key[0], key[4], key[5] = k%18, op&0xc0, v&0x80|k&0x40
	} else {
		key[3] = k % 9
	}
	normal := d.normal(key)
	switch op % 4 {
	case 0, 1:
		flags := uint64(op/4) % 3
		got, want := m.Put(key, value, flags, 0), d.update(normal, value, flags)
		if got != want {
			t.Fatalf("update %x flags %d: %v, want %v", key, flags, got, want)
		}
		if d.spec.Kind == abi.LRUHash {
			d.forget(m)
		}
	case 2:
		_, there := d.elements[string(normal)]
		if got := m.Remove(key); (got == 0) != there {
			t.Fatalf("delete %x: %v", key, got)
		}
		delete(d.elements, string(normal))
	case 3:
		want, there := d.lookup(key)
		addr := m.Find(key, 0)
		if (addr != 0) != there || there && string(m.Bytes(addr)) != want {
			t.Fatalf("lookup %x: at %#x, want %x", key, addr, want)
		}
	}
}

// forget takes the elements from the model that an LRU map gave up. One that
// holds too many keeps them in the model, and compare finds it.
func (d *model) forget(m *maps.Map) {
	for key := range d.elements {
		if m.Lookup([]byte(key), make([]byte, d.spec.ValueSize)) != nil && len(d.elements) > int(d.spec.MaxEntries) {
			delete(d.elements, key)
		}
	}
}

// compare goes through the map.
func (d *model) compare(t *testing.T, m *maps.Map) {
	var key []byte
	next, n := make([]byte, d.spec.KeySize), 0
	for m.NextKey(key, next) == nil {
		key = bytes.Clone(next)
		if _, ok := d.elements[string(d.normal(key))]; !ok {
			t.Fatalf("key %x should not be there", key)
		}
		if n++; n > len(d.elements) {
			break
		}
	}
	if n != len(d.elements) || n > int(d.spec.MaxEntries) {
		t.Fatalf("%d elements, want %d of at most %d", n, len(d.elements), d.spec.MaxEntries)
	}
}

// FuzzReadJSON reads any text into a map, and what that map then writes into
// another one, which must hold as much.
func FuzzReadJSON(f *testing.F) {
	f.Add(`[{"key":["0x01","0x02"],"values":[{"cpu":0,"value":["0x01"]},{"cpu":1,"value":["0x03"]}]}]`)
	f.Add(`[{"key":[1,2],"value":[3]},{"key":null,"value":{"error":"x"}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []abi.MapKind{abi.HashMap, abi.PerCPUHash, abi.Stack} {
			spec := abi.MapSpec{Kind: kind, KeySize: 2, ValueSize: 1, MaxEntries: 4}
			if kind == abi.Stack {
				spec.KeySize = 0
			}
			set := newSet(t, 2)
			a, b := newMap(t, set, spec), newMap(t, set, spec)
			if a.ReadJSON(strings.NewReader(text)) != nil {
				continue
			}
			written := dump(t, a)
			if err := b.ReadJSON(strings.NewReader(written)); err != nil {
				t.Fatal(err)
			}
			// The order within a bucket is that of insertion, and may differ.
			if again := dump(t, b); len(again) != len(written) {
				t.Errorf("%s, then %s", written, again)
			}
		}
	})
}
