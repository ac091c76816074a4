package object

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// convertMaps converts the maps in the order of the file: those of the
// sections .maps (described by BTF) and maps (by structures), and one for each
// section of global variables.
func convertMaps(spec *cilium.CollectionSpec, syms symbols) ([]MapSpec, error) {
	var maps []MapSpec
	var legacy []iproute2Map
	for _, name := range inOrder(spec.Maps, syms) {
		m, err := convertMap(name, spec.Maps[name], spec.ByteOrder)
		if err != nil {
			return nil, err
		}
		if m.Section = syms.sections[name]; m.Section == "" {
			m.Section = name
		}
		extra, err := readIproute2(spec.Maps[name], spec.ByteOrder)
		if err != nil {
			return nil, fmt.Errorf("map %q: %w", name, err)
		}
		if extra != nil {
			m.Pinning, m.id = extra.Pinning, extra.ID
			extra.name = name
			legacy = append(legacy, *extra)
		}
		maps = append(maps, m)
	}
	return maps, nestIproute2(maps, legacy, spec.ByteOrder)
}

// convertMap converts one map but for what iproute2 adds.
func convertMap(name string, spec *cilium.MapSpec, order binary.ByteOrder) (MapSpec, error) {
	m := MapSpec{
		Name: name, Kind: uint32(spec.Type),
		KeySize: spec.KeySize, ValueSize: spec.ValueSize, MaxEntries: spec.MaxEntries,
		Flags: spec.Flags, Extra: spec.MapExtra, Pinning: uint32(spec.Pinning),
		Tags: spec.Tags, Frozen: strings.HasPrefix(name, ".rodata"),
	}
	switch { // definitions leave the only possible sizes out
	case spec.Type == cilium.PerfEventArray:
		m.KeySize, m.ValueSize = 4, 4
	case (spec.Type == cilium.ArrayOfMaps || spec.Type == cilium.HashOfMaps) && m.ValueSize == 0:
		m.ValueSize = 4
	}
	if lock, ok := spinLock(spec.Value); ok {
		m.SpinLock = &lock
	}
	if spec.InnerMap != nil {
		inner, err := convertMap(spec.InnerMap.Name, spec.InnerMap, order)
		if err != nil {
			return m, err
		}
		m.Inner = &inner
	}
	for _, kv := range spec.Contents {
		e, err := convertEntry(m, kv, order)
		if err != nil {
			return m, fmt.Errorf("map %q: %w", name, err)
		}
		m.Contents = append(m.Contents, e)
	}
	return m, nil
}

// spinLock returns the offset of the spin lock in values of a type. The kernel
// knows it by the name of its type, too (btf_find_struct_field).
func spinLock(value btf.Type) (offset uint32, ok bool) {
	if value == nil {
		return 0, false
	}
	s, _ := btf.UnderlyingType(value).(*btf.Struct)
	if s == nil {
		return 0, false
	}
	for _, m := range s.Members {
		if t, _ := btf.UnderlyingType(m.Type).(*btf.Struct); t != nil && t.Name == "bpf_spin_lock" {
			return m.Offset.Bytes(), true
		}
	}
	return 0, false
}

// convertEntry converts an initial element. The library has indices as keys,
// and as values bytes or the name of a program or map.
func convertEntry(m MapSpec, kv cilium.MapKV, order binary.ByteOrder) (Entry, error) {
	key, ok := kv.Key.(uint32)
	if !ok {
		return Entry{}, fmt.Errorf("initial element with a key of type %T", kv.Key)
	}
	e := Entry{Key: key32(key, order)}
	switch v := kv.Value.(type) {
	case []byte:
		e.Value = v
	case string:
		if cilium.MapType(m.Kind) == cilium.ProgramArray {
			e.Program = v
		} else {
			e.Map = v
		}
	default:
		return Entry{}, fmt.Errorf("initial element with a value of type %T", kv.Value)
	}
	return e, nil
}

// key32 encodes an index as the key of an array.
func key32(n uint32, order binary.ByteOrder) []byte {
	key := make([]byte, 4)
	order.PutUint32(key, n)
	return key
}

// iproute2Map is what iproute2's struct bpf_elf_map has behind the five fields
// of the other legacy form.
type iproute2Map struct {
	iproute2Fields
	name string
	// indexed says that the structure is the one of the kernel's samples, with
	// two fields or one behind the five: the number of the map that is like
	// those in a map of maps, and a NUMA node.
	indexed bool
}

type iproute2Fields struct {
	ID       uint32 // by which sections of tail calls and maps of maps name the map
	Pinning  uint32 // 0 none, 1 of the object, 2 global
	InnerID  uint32 // in a map of maps: the ID of the maps in it
	InnerIdx uint32 // in a map in a map of maps: its index there
}

// readIproute2 reads the rest of a legacy map definition, nil if there is none.
// Structures that end behind the inner ID, an older form, are read too; zeroes
// behind the known fields are none of our business.
func readIproute2(spec *cilium.MapSpec, order binary.ByteOrder) (*iproute2Map, error) {
	if spec.Extra == nil {
		return nil, nil
	}
	rest, err := io.ReadAll(spec.Extra)
	if err != nil {
		return nil, err
	}
	indexed := len(rest) <= 8
	var fields [4]uint32
	for i := range fields {
		if len(rest) >= 4 {
			fields[i], rest = order.Uint32(rest), rest[4:]
		}
	}
	if strings.Trim(string(rest), "\x00") != "" {
		return nil, fmt.Errorf("%d unknown bytes at the end of its definition", len(rest))
	}
	return &iproute2Map{iproute2Fields: iproute2Fields{fields[0], fields[1], fields[2], fields[3]}, indexed: indexed}, nil
}

// nestIproute2 gives maps of maps their inner maps: those with the ID that the
// outer names, each at its own index. In the form of the kernel's samples the
// outer has the number of one that tells what they are like.
func nestIproute2(maps []MapSpec, legacy []iproute2Map, order binary.ByteOrder) error {
	byName := map[string]*MapSpec{}
	for i := range maps {
		byName[maps[i].Name] = &maps[i]
	}
	for _, outer := range legacy {
		m := byName[outer.name]
		kind := cilium.MapType(m.Kind)
		if kind != cilium.ArrayOfMaps && kind != cilium.HashOfMaps {
			continue
		}
		if n := uint64(outer.ID); outer.indexed && n < uint64(len(legacy)) && legacy[n].name != outer.name {
			template := *byName[legacy[n].name]
			m.Inner = &template
			continue
		}
		for _, inner := range legacy {
			if inner.ID != outer.InnerID || inner.ID == 0 || inner.name == outer.name {
				continue
			}
			if m.Inner == nil {
				template := *byName[inner.name]
				template.Contents = nil
				m.Inner = &template
			}
			// iproute2 hands the kernel the address of the number, of which it
			// reads a key.
			key := key32(inner.InnerIdx, order)[:min(m.KeySize, 4)]
			m.Contents = append(m.Contents, Entry{Key: key, Map: inner.name})
		}
		if m.Inner == nil {
			return fmt.Errorf("map %q: no map has the id %d of its inner maps", outer.name, outer.InnerID)
		}
	}
	return nil
}
