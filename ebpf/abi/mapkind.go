package abi

import (
	"slices"
	"strconv"
)

// A MapKind is a map type, with the number that the kernel gives it (enum
// bpf_map_type).
type MapKind uint32

// The kinds of maps that exist here; [MapKind.Info] tells about each.
const (
	HashMap        MapKind = 1
	ArrayMap       MapKind = 2
	ProgArray      MapKind = 3
	PerfEventArray MapKind = 4
	PerCPUHash     MapKind = 5
	PerCPUArray    MapKind = 6
	CGroupArray    MapKind = 8
	LRUHash        MapKind = 9
	LRUPerCPUHash  MapKind = 10
	LPMTrie        MapKind = 11
	ArrayOfMaps    MapKind = 12
	HashOfMaps     MapKind = 13
	DevMap         MapKind = 14
	CPUMap         MapKind = 16
	XSKMap         MapKind = 17
	Queue          MapKind = 22
	Stack          MapKind = 23
	DevMapHash     MapKind = 25
	RingBuf        MapKind = 27
	BloomFilter    MapKind = 30
)

// mapKinds names the kernel's map types as bpftool does; the index is the
// number.
var mapKinds = [...]string{
	"unspec", "hash", "array", "prog_array", "perf_event_array",
	"percpu_hash", "percpu_array", "stack_trace", "cgroup_array",
	"lru_hash", "lru_percpu_hash", "lpm_trie", "array_of_maps",
	"hash_of_maps", "devmap", "sockmap", "cpumap", "xskmap", "sockhash",
	"cgroup_storage", "reuseport_sockarray", "percpu_cgroup_storage",
	"queue", "stack", "sk_storage", "devmap_hash", "struct_ops", "ringbuf",
	"inode_storage", "task_storage", "bloom_filter", "user_ringbuf",
	"cgrp_storage", "arena",
}

// String returns bpftool's name of the kind, such as "lru_hash", or the number
// of one that Linux 6.12 does not have.
func (k MapKind) String() string {
	if int(k) < len(mapKinds) {
		return mapKinds[k]
	}
	return strconv.Itoa(int(k))
}

// ParseMapKind finds a kind by bpftool's name. It may be one that does not exist
// here ([MapKind.Info]).
func ParseMapKind(name string) (MapKind, bool) {
	i := slices.Index(mapKinds[:], name)
	return MapKind(max(i, 0)), i > 0
}

// Flags for making a map (BPF_F_* of the UAPI).
const (
	MapNoPrealloc    uint32 = 1 << 0  // allocate elements when they are added
	MapNoCommonLRU   uint32 = 1 << 1  // a list of the least recently used for each CPU
	MapNUMANode      uint32 = 1 << 2  // allocate on one node
	MapReadOnly      uint32 = 1 << 3  // user space may only read
	MapWriteOnly     uint32 = 1 << 4  // user space may only write
	MapZeroSeed      uint32 = 1 << 6  // hash with a fixed seed
	MapReadOnlyProg  uint32 = 1 << 7  // programs may only read
	MapWriteOnlyProg uint32 = 1 << 8  // programs may only write
	MapMmapable      uint32 = 1 << 10 // user space may map the values
	MapPreserveElems uint32 = 1 << 11 // perf events outlive the descriptor they came by
	MapInnerMap      uint32 = 1 << 12 // as an inner map it may have any number of elements

	mapAccess = MapReadOnly | MapWriteOnly | MapReadOnlyProg | MapWriteOnlyProg
)

// Flags of an update.
const (
	UpdateAny     uint64 = 0 // add the element or replace it
	UpdateNoExist uint64 = 1 // only add
	UpdateExist   uint64 = 2 // only replace
	UpdateLock    uint64 = 4 // hold the spin lock in the value meanwhile
)

// A SizeRule says what a size may be: Min, or up to Max in steps of Step.
type SizeRule struct{ Min, Max, Step uint32 }

// Allows reports whether n is such a size.
func (r SizeRule) Allows(n uint32) bool {
	return n >= r.Min && n <= r.Max && (r.Step == 0 || (n-r.Min)%r.Step == 0)
}

func exactly(n uint32) SizeRule { return SizeRule{Min: n, Max: n} }

// someBytes leaves limits to the amount of memory that they depend on.
var someBytes = SizeRule{Min: 1, Max: 1<<32 - 1}

// MapCalls is a set of the ways in which programs may use a map, by helper
// function (check_map_func_compatibility in kernel/bpf/verifier.c).
type MapCalls uint16

const (
	CallLookup   MapCalls = 1 << iota // map_lookup_elem
	CallChange                        // map_update_elem and map_delete_elem
	CallPerCPU                        // map_lookup_percpu_elem
	CallForEach                       // for_each_map_elem
	CallPush                          // map_push_elem
	CallPop                           // map_pop_elem
	CallPeek                          // map_peek_elem
	CallTail                          // tail_call
	CallOutput                        // perf_event_output and its relatives
	CallRing                          // ringbuf_reserve, ringbuf_output, ringbuf_query
	CallRedirect                      // redirect_map
	CallCGroup                        // skb_under_cgroup
)

// A MapInfo describes a kind of map.
type MapInfo struct {
	Kind       MapKind
	Key, Value SizeRule
	Flags      uint32   // those that may be given when it is made
	Needs      uint32   // those that must be
	Calls      MapCalls // what programs may do with it
	PerCPU     bool     // each element has a value for each CPU
	Direct     bool     // programs may hold pointers to values without a lookup
}

const (
	arrayFlags = MapNUMANode | mapAccess
	fdFlags    = MapNUMANode | MapReadOnly | MapWriteOnly
	hashFlags  = MapNoPrealloc | MapNUMANode | MapZeroSeed | mapAccess
	lruFlags   = MapNoCommonLRU | MapNUMANode | MapZeroSeed | mapAccess

	element = CallLookup | CallChange
	percpu  = CallPerCPU | CallForEach
)

// MapKinds lists the kinds that exist here, with the rules of the
// *_alloc_check and *_alloc functions in kernel/bpf and net/xdp/xskmap.c.
// Limits that depend on more than one number (the memory that a map takes) are
// in package maps.
var MapKinds = []MapInfo{
	{Kind: HashMap, Key: someBytes, Value: someBytes, Flags: hashFlags, Calls: element | CallForEach},
	{Kind: ArrayMap, Key: exactly(4), Value: someBytes, Flags: arrayFlags | MapMmapable | MapInnerMap, Calls: element | CallForEach, Direct: true},
	{Kind: ProgArray, Key: exactly(4), Value: exactly(4), Flags: fdFlags, Calls: CallTail},
	{Kind: PerfEventArray, Key: exactly(4), Value: exactly(4), Flags: fdFlags | MapPreserveElems, Calls: CallOutput},
	{Kind: PerCPUHash, Key: someBytes, Value: someBytes, Flags: hashFlags &^ MapNUMANode, Calls: element | percpu, PerCPU: true},
	{Kind: PerCPUArray, Key: exactly(4), Value: someBytes, Flags: mapAccess, Calls: element | percpu, PerCPU: true},
	{Kind: CGroupArray, Key: exactly(4), Value: exactly(4), Flags: fdFlags, Calls: CallCGroup},
	{Kind: LRUHash, Key: someBytes, Value: someBytes, Flags: lruFlags, Calls: element | CallForEach},
	{Kind: LRUPerCPUHash, Key: someBytes, Value: someBytes, Flags: lruFlags &^ MapNUMANode, Calls: element | percpu, PerCPU: true},
	{Kind: LPMTrie, Key: SizeRule{Min: 5, Max: 260}, Value: someBytes, Flags: MapNoPrealloc | MapNUMANode | mapAccess, Needs: MapNoPrealloc, Calls: element},
	{Kind: ArrayOfMaps, Key: exactly(4), Value: exactly(4), Flags: fdFlags, Calls: CallLookup},
	{Kind: HashOfMaps, Key: someBytes, Value: exactly(4), Flags: hashFlags, Calls: CallLookup},
	{Kind: DevMap, Key: exactly(4), Value: SizeRule{Min: 4, Max: 8, Step: 4}, Flags: fdFlags, Calls: CallLookup | CallRedirect},
	{Kind: CPUMap, Key: exactly(4), Value: SizeRule{Min: 4, Max: 8, Step: 4}, Flags: MapNUMANode, Calls: CallRedirect},
	{Kind: XSKMap, Key: exactly(4), Value: exactly(4), Flags: fdFlags, Calls: CallLookup | CallRedirect},
	{Kind: Queue, Key: exactly(0), Value: someBytes, Flags: MapNUMANode | mapAccess, Calls: CallPush | CallPop | CallPeek},
	{Kind: Stack, Key: exactly(0), Value: someBytes, Flags: MapNUMANode | mapAccess, Calls: CallPush | CallPop | CallPeek},
	{Kind: DevMapHash, Key: exactly(4), Value: SizeRule{Min: 4, Max: 8, Step: 4}, Flags: fdFlags, Calls: CallLookup | CallRedirect},
	{Kind: RingBuf, Key: exactly(0), Value: exactly(0), Flags: MapNUMANode, Calls: CallRing},
	{Kind: BloomFilter, Key: exactly(0), Value: someBytes, Flags: MapNUMANode | MapZeroSeed | mapAccess, Calls: CallPush | CallPeek},
}

// Info describes the kind, or returns nil if it does not exist here.
func (k MapKind) Info() *MapInfo {
	for i := range MapKinds {
		if MapKinds[i].Kind == k {
			return &MapKinds[i]
		}
	}
	return nil
}

// A MapSpec is what there is to say of a map before it is made: plain data,
// which anyone can build. Package maps makes the map.
type MapSpec struct {
	Name       string
	Kind       MapKind
	KeySize    uint32 // bytes
	ValueSize  uint32 // bytes, of one CPU
	MaxEntries uint32 // elements; of a ring buffer the bytes
	Flags      uint32
	Extra      uint64 // of a bloom filter the number of hash functions, else 0

	// Inner describes the maps that a map of maps may hold.
	Inner *MapSpec

	// SpinLock is the offset of the struct bpf_spin_lock in the value, nil
	// for values without one.
	SpinLock *uint32

	// Contents is put into the map when it is made. The map of constants
	// of an object (.rodata) is then frozen: user space cannot change it
	// any more, and with MapReadOnlyProg programs cannot either.
	Contents []MapElement
	Frozen   bool
}

// A MapElement is an element to put into a map. A value shorter than the map's
// is filled with zero bytes; of a map per CPU it is the value of all of them.
type MapElement struct {
	Key, Value []byte

	// Name stands for the value where that is another object: a program in
	// a prog_array, a map in a map of maps.
	Name string
}

// ProgramsRead and ProgramsWrite report what programs may do with the values.
// It is the verifier that holds them to it.
func (s *MapSpec) ProgramsRead() bool { return s.Flags&MapWriteOnlyProg == 0 }

// ProgramsWrite: see [MapSpec.ProgramsRead].
func (s *MapSpec) ProgramsWrite() bool {
	return s.Flags&MapReadOnlyProg == 0 && s.Kind != DevMap && s.Kind != DevMapHash && s.Kind != XSKMap
}
