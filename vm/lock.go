package vm

import (
	"runtime"

	"github.com/bpflab/bpflab/vm/maps"
)

// lockTries is how often a machine asks for a lock that another one holds, a
// second or so. A program may also have written into the lock, or wait for a
// goroutine that has ended: such a wait must not last for ever.
const lockTries = 1 << 22

// spinLock takes the lock in a value of a map. As for the kernel's verifier, a
// program holds one lock at a time.
func spinLock(m *Machine, a *[5]uint64) uint64 {
	mp, value := m.lockOf(a[0])
	switch {
	case mp == nil:
		return m.refuse("r1 is not the lock in a value of a map")
	case m.lockIn != nil:
		return m.refuse("the program holds a lock already")
	}
	for tries := 0; !mp.TryLock(value); tries++ {
		if !m.shared || tries == lockTries {
			return m.refuse("the lock is held")
		}
		runtime.Gosched()
	}
	m.lockIn, m.lockValue = mp, value
	return m.reg[0]
}

func spinUnlock(m *Machine, a *[5]uint64) uint64 {
	mp, value := m.lockOf(a[0])
	switch {
	case mp == nil:
		return m.refuse("r1 is not the lock in a value of a map")
	case m.lockIn != mp || m.lockValue != value:
		return m.refuse("the program does not hold the lock")
	}
	m.releaseLock()
	return m.reg[0]
}

// releaseLock gives back the lock that the program holds; at the end of a run
// it is one that a faulty program has left.
func (m *Machine) releaseLock() {
	if m.lockIn != nil {
		m.lockIn.Unlock(m.lockValue)
		m.lockIn = nil
	}
}

// lockOf finds the map and the value that a spin lock is in.
func (m *Machine) lockOf(addr uint64) (mp *maps.Map, value uint32) {
	v := m.valuesAt(addr)
	if v == nil || v.m == nil || v.m.Spec().SpinLock == nil {
		return nil, 0
	}
	at, ok := v.locate(addr)
	if !ok || addr-at != uint64(*v.m.Spec().SpinLock) {
		return nil, 0
	}
	return v.m, uint32(at)
}
