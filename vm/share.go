package vm

import "fmt"

// Share makes another machine for the programs of m, which uses the maps of m.
// The two may run at the same time, each in a goroutine of its own, and so may
// as many more: as programs do on the processors of a real system. Counters that
// several of them change need atomic instructions or a spin lock; the number of
// the processor, for per-CPU maps, comes with each packet.
//
// The new machine starts with the first program (see [Machine.Select]). Random,
// Clock and Trace of o are called by it alone, unless they are those of m, which
// must be safe for that then; CPUs is that of m.
//
// What a program sends through a ring buffer becomes an event of the machine
// whose run ends next. Packets are limited to 256 KiB, because no memory is made
// while others use it. Share must not be called during a run, and m is closed
// after the others.
func (m *Machine) Share(o Options) (*Machine, error) {
	if o.CPUs != 0 && o.CPUs != m.o.CPUs {
		return nil, fmt.Errorf("the maps have values for %d CPUs, not %d", m.o.CPUs, o.CPUs)
	}
	o.CPUs = m.o.CPUs
	other := newMachine(m.collection, o)
	other.guest, other.mem, other.set, other.mapsOf = true, m.mem, m.set, m.mapsOf
	if err := other.allocate(); err != nil {
		return nil, err
	}
	if err := other.addPrograms(); err != nil {
		return nil, err
	}
	m.shared, other.shared = true, true
	return other, nil
}
