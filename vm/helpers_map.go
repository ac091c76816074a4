package vm

import (
	"encoding/binary"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// cpu is the processor of the run.
func (m *Machine) cpu() int { return m.processor }

func mapLookup(m *Machine, a *[5]uint64) uint64 { return m.find(a, m.cpu()) }

func mapLookupPerCPU(m *Machine, a *[5]uint64) uint64 {
	cpu := uint32(a[2])
	if cpu >= uint32(m.set.CPUs()) {
		return 0
	}
	return m.find(a, int(cpu))
}

// find looks up the key that the arguments tell, and remembers the value.
func (m *Machine) find(a *[5]uint64, cpu int) uint64 {
	addr := uint64(m.argMap.FindAt(m.base, m.at(a[1]), uint32(cpu)))
	if v := m.valuesOf[m.mapIndex(a[0])]; v != nil && addr != 0 {
		m.value, m.valueAt = v, addr
	}
	return addr
}

// lookup does map_lookup_elem in the usual case: a map with values and a key on
// the stack. It says no, and has done nothing, in all others; they take the
// way of other helpers.
func (m *Machine) lookup() bool {
	i, key := m.mapIndex(m.reg[1]), m.reg[2]
	if i >= uint64(len(m.valuesOf)) || m.valuesOf[i] == nil {
		return false
	}
	v := m.valuesOf[i]
	above := uint64(m.stackTop) - key // bytes of stack from the key on
	if above > uint64(m.stackTop-m.stackLow) || above < v.keySize {
		return false
	}
	addr := uint64(v.m.FindAt(m.base, m.at(key), uint32(m.processor)))
	m.reg[0] = addr
	if addr != 0 {
		m.value, m.valueAt = v, addr
	}
	return true
}

func mapUpdate(m *Machine, a *[5]uint64) uint64 {
	spec := m.argMap.Spec()
	key, value := m.bytes(a[1], uint64(spec.KeySize)), m.bytes(a[2], uint64(spec.ValueSize))
	return m.argMap.Put(key, value, a[3], m.cpu()).Negative()
}

func mapDelete(m *Machine, a *[5]uint64) uint64 {
	return m.argMap.Remove(m.bytes(a[1], uint64(m.argMap.Spec().KeySize))).Negative()
}

// An element is what for_each_map_elem passes to its callback.
type element struct {
	key   int // offset of the key in iteration.keys
	value uint32
}

// forEachElement is bpf_for_each_map_elem. The elements are noted before the
// first call; one that is no more there when its turn comes is passed over, and
// those added meanwhile are not visited (the kernel promises neither).
func forEachElement(m *Machine, a *[5]uint64) uint64 {
	if a[3] != 0 {
		return eINVAL.negative()
	}
	if m.depth == maxFrames-1 {
		return m.refuse(tooDeep)
	}
	if k := m.argMap.Spec().Kind; k == abi.ArrayMap || k == abi.PerCPUArray {
		it := iteration{kind: againIndexes, n: uint64(m.argMap.Spec().MaxEntries), ctx: a[2], in: m.argMap}
		return m.callBack(it, a[1])
	}
	again := &m.iterations[m.depth]
	again.elements, again.keys = again.elements[:0], again.keys[:0]
	m.noting = again
	m.argMap.ForEach(m.cpu(), m.note)
	it := iteration{kind: againElements, n: uint64(len(again.elements)), ctx: a[2], in: m.argMap, elements: again.elements, keys: again.keys}
	return m.callBack(it, a[1])
}

// noteElement is called by package maps for each element of a map.
func (m *Machine) noteElement(key []byte, value uint32) bool {
	it := m.noting
	it.elements = append(it.elements, element{len(it.keys), value})
	it.keys = append(it.keys, key...)
	return true
}

// elementArguments sets the registers for the next element of an iteration:
// map, key, value, context. It says no if none is left.
func (m *Machine) elementArguments(it *iteration) bool {
	size := int(it.in.Spec().KeySize)
	if it.kind == againIndexes {
		start, stride, step := it.in.Elements()
		key := binary.LittleEndian.AppendUint32(make([]byte, 0, 4), uint32(it.i))
		m.elementRegisters(it, key, start+uint32(it.i)*stride+uint32(m.cpu())*step)
		return true
	}
	for ; it.i < it.n; it.i++ {
		e := it.elements[it.i]
		key := it.keys[e.key:][:size]
		if it.in.Find(key, m.cpu()) != e.value {
			continue
		}
		m.elementRegisters(it, key, e.value)
		return true
	}
	return false
}

func (m *Machine) elementRegisters(it *iteration, key []byte, value uint32) {
	addr := uint64(m.keys) + uint64(m.depth-1)*m.keyRoom
	copy(m.bytes(addr, uint64(len(key))), key)
	m.reg[1], m.reg[2], m.reg[3], m.reg[4] = uint64(it.in.Addr()), addr, uint64(value), it.ctx
}

// maxTailCalls is MAX_TAIL_CALL_CNT.
const maxTailCalls = 33

// tailCall goes on with another program in place of the one that calls, in the
// same frame. Where there is none at the index that can do with the context, or
// after too many, it returns.
func tailCall(m *Machine, a *[5]uint64) uint64 {
	id := m.argMap.TailCall(uint32(a[2]))
	if id == 0 || m.tails == maxTailCalls {
		return m.reg[0]
	}
	p := &m.programs[id-1]
	if p.typ != m.entry.typ || uint32(p.needs) > m.packet.dataEnd-m.packet.data {
		return m.reg[0] // this run's context is not one for it
	}
	m.tails++
	m.pc, m.loops = p.start, maxLoops
	m.reg[1] = uint64(m.ctx)
	m.clearFrame()
	return m.reg[0]
}

// findProgram and checkProgram are what package maps asks about the contents of
// program arrays. All programs of an array must have the same type.
func (m *Machine) findProgram(name string) uint32 {
	for i := range m.programs {
		if m.programs[i].name == name {
			return uint32(i + 1)
		}
	}
	return 0
}

func (m *Machine) checkProgram(_ abi.MapKind, id uint32) maps.Errno {
	switch {
	case id == 0 || id > uint32(len(m.programs)):
		return maps.EBADF
	case m.programs[id-1].typ != m.programs[0].typ:
		return maps.EINVAL
	}
	return 0
}

// mapReference returns what loading a map or the address in a map's value
// gives.
func (d *decoder) mapReference(index, off int32, value bool) (uint64, error) {
	if uint32(index) >= uint32(len(d.m.mapsOf)) {
		return 0, d.errorf("there is no map %d: the machine has %d", index, len(d.m.mapsOf))
	}
	mp := d.m.mapsOf[index]
	if !value {
		return uint64(mp.Addr()), nil
	}
	spec := mp.Spec()
	if !spec.Kind.Info().Direct || spec.MaxEntries != 1 {
		return 0, d.errorf("map %q has no address of its value: it must be an array of one element", spec.Name)
	}
	if uint32(off) >= spec.ValueSize {
		return 0, d.errorf("map %q: offset %d is outside its value of %d bytes", spec.Name, off, spec.ValueSize)
	}
	return uint64(mp.Find(make([]byte, 4), 0)) + uint64(uint32(off)), nil
}
