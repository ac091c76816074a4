package vm

import (
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// What programs send out through ring buffers and perf event arrays is taken
// from the maps at the end of each run and becomes events of its result.

// A reserved record of a ring buffer is memory of the program until it is
// submitted or discarded.
type reserved struct{ lo, hi uint64 }

func ringReserve(m *Machine, a *[5]uint64) uint64 {
	addr := uint64(m.argMap.Reserve(a[1], a[2]))
	if addr != 0 {
		m.reserved = append(m.reserved, reserved{addr, addr + a[1]})
	}
	return addr
}

func ringSubmit(m *Machine, a *[5]uint64) uint64  { return m.commit(a[0], false) }
func ringDiscard(m *Machine, a *[5]uint64) uint64 { return m.commit(a[0], true) }

func (m *Machine) commit(addr uint64, discard bool) uint64 {
	for i, r := range m.reserved {
		if r.lo == addr {
			m.set.Commit(addr, discard)
			m.reserved = append(m.reserved[:i], m.reserved[i+1:]...)
			return m.reg[0]
		}
	}
	return m.refuse("r1 is not a reserved record of a ring buffer")
}

func ringOutput(m *Machine, a *[5]uint64) uint64 {
	return m.argMap.Output(m.bytes(a[1], a[2]), a[3]).Negative()
}

func ringQuery(m *Machine, a *[5]uint64) uint64 { return m.argMap.Query(a[1]) }

// Flags of perf_event_output: an index in the map, and how many bytes of the
// packet to append.
const (
	perfIndex  = 1<<32 - 1
	perfPacket = 0xfffff << 32
)

func perfEventOutput(m *Machine, a *[5]uint64) uint64 {
	flags, data := a[2], m.bytes(a[3], a[4])
	allowed := uint64(perfIndex)
	if !m.bytesContext() {
		allowed |= perfPacket
	}
	if flags&^allowed != 0 {
		return eINVAL.negative()
	}
	packet, ok := m.packetBytes(0, flags&perfPacket>>32)
	if !ok {
		return eFAULT.negative()
	}
	return m.argMap.PerfOutput(flags&perfIndex, m.cpu(), data, packet).Negative()
}

// reachRecord reports whether n bytes at addr lie within a reserved record.
func (m *Machine) reachRecord(addr, n uint64) bool {
	for _, r := range m.reserved {
		if d := addr - r.lo; d < r.hi-r.lo && n <= r.hi-r.lo-d {
			return true
		}
	}
	return false
}

// drain ends a run: records that are still reserved are discarded, and what
// the program has sent becomes events.
func (m *Machine) drain() {
	for _, r := range m.reserved {
		m.set.Commit(r.lo, true)
	}
	m.reserved = m.reserved[:0]
	for _, mp := range m.outputs {
		m.draining = mp
		mp.Drain(m.drainOne)
	}
}

func (m *Machine) drained(cpu int, data []byte) { m.emit(m.draining.Name(), cpu, data) }

func isOutput(mp *maps.Map) bool {
	return mp.Spec().Kind.Info().Calls&(abi.CallRing|abi.CallOutput) != 0
}

func mapPush(m *Machine, a *[5]uint64) uint64 {
	return m.argMap.Push(m.bytes(a[1], uint64(m.argMap.Spec().ValueSize)), a[2]).Negative()
}

func mapPop(m *Machine, a *[5]uint64) uint64 {
	return m.argMap.Pop(m.bytes(a[1], uint64(m.argMap.Spec().ValueSize))).Negative()
}

func mapPeek(m *Machine, a *[5]uint64) uint64 {
	return m.argMap.Peek(m.bytes(a[1], uint64(m.argMap.Spec().ValueSize))).Negative()
}
