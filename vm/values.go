package vm

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/maps"
)

// The maps of a machine lie in its arena. Programs reach their values as
// memory, through addresses that lookups return. An access may touch any value
// of the map: what a verifier proves, that it is the value that was looked up,
// is not known of an address. But it cannot touch what lies between the values,
// keys and links.

// values says where the values of a map lie: from start on, each stride bytes,
// at an offset. A per-CPU map has several values there, step bytes apart.
type values struct {
	m                    *maps.Map // nil for keys
	keySize              uint64
	name                 string
	start, end           uint64
	stride, offset, step uint64
	size                 uint64 // of a value
	cpus                 uint64
	may                  [2]bool // be read, be written

	// How far from the start of a value an access of each kind and width
	// may begin, as in a window: all 0 where it may not.
	limit [2][4]uint64
}

// nowhere is what a run starts with as the values last touched.
var nowhere values

// noValues is what an address belongs to that belongs to no map.
const noValues = 0

// watchMaps notes where the values of maps are that have been made since it
// was last called. The table that it fills has an entry for each granule of
// the arena: what is allocated for one map shares none with anything else.
func (m *Machine) watchMaps() {
	for next := m.set.ByID(uint32(len(m.maps) + 1)); next != nil; next = m.set.ByID(uint32(len(m.maps) + 1)) {
		m.maps, m.valuesOf = append(m.maps, next), append(m.valuesOf, nil)
		m.watch(next)
		if isOutput(next) {
			m.outputs = append(m.outputs, next)
		}
	}
}

func (m *Machine) watch(mp *maps.Map) {
	spec := mp.Spec()
	start, stride, step := mp.Elements()
	if spec.Kind.Info().Calls&(abi.CallLookup|abi.CallForEach) == 0 || start == 0 || stride == 0 || isNested(spec.Kind) {
		return
	}
	v := &values{
		m: mp, keySize: uint64(spec.KeySize), name: fmt.Sprintf("a value of map %q", spec.Name), start: uint64(start), stride: uint64(stride), step: uint64(step),
		offset: uint64(m.headerField(mp, maps.HeaderOffset)), size: uint64(spec.ValueSize), cpus: 1,
		may: [2]bool{read: spec.ProgramsRead(), write: spec.ProgramsWrite()},
	}
	if step != 0 {
		v.cpus = uint64(m.set.CPUs())
	}
	v.end = v.start + uint64(spec.MaxEntries)*v.stride
	if spec.Kind != abi.ArrayMap && spec.Kind != abi.PerCPUArray {
		// A map whose elements come and go has more room than elements.
		v.end = (v.end + arena.Granule - 1) &^ (arena.Granule - 1)
	}
	m.own(v)
	if spec.Kind.Info().Calls&abi.CallLookup != 0 {
		m.valuesOf[len(m.maps)-1] = v
	}
}

// own enters values in the table of granules.
func (m *Machine) own(v *values) {
	for kind, may := range v.may {
		if may {
			v.limit[kind] = limits(v.size)
		}
	}
	m.values = append(m.values, v)
	if more := int(v.end/arena.Granule) + 1 - len(m.owner); more > 0 {
		m.owner = append(m.owner, make([]uint16, more)...)
	}
	for g := v.start / arena.Granule; g*arena.Granule < v.end; g++ {
		m.owner[g] = uint16(len(m.values))
	}
}

// isNested reports whether the elements of a map are maps.
func isNested(k abi.MapKind) bool { return k == abi.ArrayOfMaps || k == abi.HashOfMaps }

func (m *Machine) headerField(mp *maps.Map, field uint64) uint32 {
	return binary.LittleEndian.Uint32(m.mem.Bytes(mp.Addr()+uint32(field), 4))
}

// mapAt returns the map whose header is at addr, or nil.
func (m *Machine) mapAt(addr uint64) *maps.Map {
	if i := m.mapIndex(addr); i < uint64(len(m.maps)) {
		return m.maps[i]
	}
	return nil
}

// mapIndex returns the index in m.maps of the map whose header is at addr,
// beyond the end for none.
func (m *Machine) mapIndex(addr uint64) uint64 {
	return bits.RotateLeft64(addr-m.headers, -bits.TrailingZeros64(maps.HeaderSize))
}

// valuesAt returns what the granule of an address belongs to, or nil.
func (m *Machine) valuesAt(addr uint64) *values {
	if g := addr / arena.Granule; g < uint64(len(m.owner)) && m.owner[g] != noValues {
		return m.values[m.owner[g]-1]
	}
	return nil
}

// reachValue reports whether n bytes at addr lie within a value of a map that
// programs may read or write, and remembers that value for the next access.
func (m *Machine) reachValue(addr, n uint64, kind accessKind) bool {
	v := m.valuesAt(addr)
	if v == nil {
		return m.reachRecord(addr, n)
	}
	at, ok := v.locate(addr)
	if !ok || addr+n > at+v.size {
		return false
	}
	m.value, m.valueAt = v, at
	return v.may[kind]
}

// locate returns the address of the value that an address lies in.
func (v *values) locate(addr uint64) (at uint64, ok bool) {
	d := addr - v.start
	if d >= v.end-v.start {
		return 0, false
	}
	element := d / v.stride
	d -= element * v.stride
	if d < v.offset {
		return 0, false
	}
	d -= v.offset
	cpu := uint64(0)
	if v.step != 0 {
		cpu = min(d/v.step, v.cpus-1)
		d -= cpu * v.step
	}
	return v.start + element*v.stride + v.offset + cpu*v.step, d < v.size
}

// near returns the value of a map that is nearest before or around an
// address, for messages.
func (v *values) near(addr uint64) region {
	d := min(addr-v.start, v.end-v.start-1)
	element := d / v.stride
	at := v.start + element*v.stride + v.offset
	if v.step != 0 && addr > at {
		at += min((addr-at)/v.step, v.cpus-1) * v.step
	}
	return region{v.name, at, at + v.size}
}
