package maps

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/arena"
)

const (
	// MaxMaps is how many maps a set can have had.
	MaxMaps = 1 << 16

	// MaxCPUs is how many CPUs a set can have.
	MaxCPUs = 1 << 12
)

// A Set is the maps of one arena: those of one machine, or of several that
// share them. It numbers them, so that maps can be found by the number that
// user space uses (the id, from 1) and by the address that programs use.
//
// A map is made while nobody uses the set or a map of it; everything else may be
// done at any time from several goroutines.
type Set struct {
	// Program finds a program by name, for the contents of a prog_array.
	// It returns the id of the program, 0 for none. It may be nil.
	Program func(name string) (id uint32)

	// CheckProgram says whether a program may stand in a map of that kind
	// (prog_array, devmap, cpumap): EBADF where there is none with that id,
	// EINVAL where it does not fit. If it is nil any id but 0 is taken.
	CheckProgram func(in abi.MapKind, id uint32) Errno

	mem     *arena.Arena
	cpus    int
	headers uint32

	maps   []*Map // by id-1
	rings  []*ring
	values []region // where the values lie, by address
}

// NewSet makes a set without maps in an arena, for a machine with that many
// CPUs: per-CPU maps have a value for each.
func NewSet(mem *arena.Arena, cpus int) (*Set, error) {
	if cpus < 1 || cpus > MaxCPUs {
		return nil, fmt.Errorf("maps: %d CPUs: must be 1 to %d", cpus, MaxCPUs)
	}
	headers, err := mem.Alloc(MaxMaps * HeaderSize)
	if err != nil {
		return nil, err
	}
	return &Set{mem: mem, cpus: cpus, headers: headers}, nil
}

// Headers returns the address of the header of the map with id 1; those of the
// others follow, each [HeaderSize] bytes long.
func (s *Set) Headers() uint32 { return s.headers }

// CPUs is how many CPUs the maps have values for.
func (s *Set) CPUs() int { return s.cpus }

// ByID returns the map with that id, or nil.
func (s *Set) ByID(id uint32) *Map {
	if id-1 >= uint32(len(s.maps)) {
		return nil
	}
	return s.maps[id-1]
}

// ByAddr returns the map whose header is at that address ([Map.Addr]), or nil:
// a program's map argument is such an address.
func (s *Set) ByAddr(addr uint64) *Map {
	d := addr - uint64(s.headers)
	if d >= MaxMaps*HeaderSize || d%HeaderSize != 0 {
		return nil
	}
	return s.ByID(uint32(d/HeaderSize) + 1)
}

// ByName returns the first map with that name, or nil.
func (s *Set) ByName(name string) *Map {
	for _, m := range s.maps {
		if m.spec.Name == name {
			return m
		}
	}
	return nil
}

// All returns the maps in the order in which they were made.
func (s *Set) All() []*Map {
	return slices.Clone(s.maps)
}

// New makes a map and puts its initial contents into it. Maps that a map of
// maps names must have been made before. The error names the map and has the
// kernel's [Errno] in its chain, or [errors.ErrUnsupported] for a kind that
// does not exist here.
func (s *Set) New(spec *abi.MapSpec) (*Map, error) {
	m, err := s.make(spec)
	if err == nil {
		err = m.fill()
	}
	if err != nil {
		return nil, fmt.Errorf("map %q (%v): %w", spec.Name, spec.Kind, err)
	}
	s.maps = append(s.maps, m)
	if r, ok := m.kind.(*ring); ok {
		s.rings = append(s.rings, r)
	}
	s.addRegion(m)
	return m, nil
}

func (s *Set) make(spec *abi.MapSpec) (*Map, error) {
	info := spec.Kind.Info()
	if info == nil {
		return nil, fmt.Errorf("this kind of map: %w", errors.ErrUnsupported)
	}
	m := &Map{set: s, spec: *spec, info: info}
	if spec.Kind == abi.PerfEventArray && spec.MaxEntries == 0 {
		m.spec.MaxEntries = uint32(s.cpus) // as libbpf does
	}
	if err := Check(&m.spec, s.cpus); err != nil {
		return nil, fmt.Errorf("key %d B, value %d B, max_entries %d, flags %#x: %w",
			m.spec.KeySize, m.spec.ValueSize, m.spec.MaxEntries, m.spec.Flags, err)
	}
	m.spec.MaxEntries = entries(&m.spec, s.cpus)
	if len(s.maps) == MaxMaps {
		return nil, fmt.Errorf("%d maps are there already: %w", MaxMaps, ENOSPC)
	}
	m.id = uint32(len(s.maps)) + 1
	m.addr = s.headers + (m.id-1)*HeaderSize
	if info.PerCPU {
		m.step = uint32(round8(uint64(spec.ValueSize)))
	}
	var err error
	if m.kind, err = constructors[spec.Kind](m); err != nil {
		return nil, fmt.Errorf("%w: %w", ENOMEM, err)
	}
	m.array, _ = m.kind.(*array)
	m.hash, _ = m.kind.(*hash)
	m.place = m.kind.layout()
	m.writeHeader()
	return m, nil
}

// constructors allocate the memory of a map of each kind.
var constructors = map[abi.MapKind]func(*Map) (kind, error){
	abi.HashMap:        newHash,
	abi.PerCPUHash:     newHash,
	abi.LRUHash:        newHash,
	abi.LRUPerCPUHash:  newHash,
	abi.ArrayMap:       newArray,
	abi.PerCPUArray:    newArray,
	abi.LPMTrie:        newTrie,
	abi.ProgArray:      newProgArray,
	abi.PerfEventArray: newPerfArray,
	abi.ArrayOfMaps:    newArrayOfMaps,
	abi.HashOfMaps:     newHashOfMaps,
	abi.DevMap:         newDevMap,
	abi.DevMapHash:     newDevMapHash,
	abi.CPUMap:         newCPUMap,
	abi.XSKMap:         newXSKMap,
	abi.CGroupArray:    newCGroupArray,
	abi.Queue:          newQueue,
	abi.Stack:          newQueue,
	abi.BloomFilter:    newBloom,
	abi.RingBuf:        newRing,
}
