package vm

import "strconv"

// The helpers that ask about the system. It is the same at each run: an idle
// one, whose current task is the one that runs when nothing else does.

// tick is how many nanoseconds a jiffy has (CONFIG_HZ=250).
const tick = 4_000_000

func ktime(m *Machine, _ *[5]uint64) uint64   { return m.now() }
func jiffies(m *Machine, _ *[5]uint64) uint64 { return m.now() / tick }

// zero answers what is 0 in such a system: process and user numbers, the
// address of the task, NUMA node, control group, routing realm, socket cookie.
func zero(*Machine, *[5]uint64) uint64 { return 0 }

// overflowUID is the owner of a packet without a socket.
const overflowUID = 65534

func socketUID(*Machine, *[5]uint64) uint64 { return overflowUID }

// currentComm gives the name of the task, cut to the space and filled up.
func currentComm(m *Machine, a *[5]uint64) uint64 {
	to := m.bytes(a[0], a[1])
	clear(to)
	var name [32]byte
	copy(to[:len(to)-1], strconv.AppendInt(append(name[:0], "swapper/"...), int64(m.cpu()), 10))
	return 0
}

// skbUnderCGroup asks for the control group of the packet's socket, of which
// there is none.
func skbUnderCGroup(*Machine, *[5]uint64) uint64 { return eNOENT.negative() }

// noSocket is a lookup among sockets, of which there are none: NULL.
func noSocket(*Machine, *[5]uint64) uint64 { return 0 }

// probeRead copies from any address, which must be memory of the program here.
func probeRead(m *Machine, a *[5]uint64) uint64 {
	to := m.bytes(a[0], a[1])
	if len(to) == 0 {
		return 0
	}
	if !m.reachPlain(a[2], a[1], read) {
		clear(to)
		return eFAULT.negative()
	}
	copy(to, m.bytes(a[2], a[1]))
	return 0
}

// probeReadString copies a string and returns its length with the 0 byte.
func probeReadString(m *Machine, a *[5]uint64) uint64 {
	to := m.bytes(a[0], a[1])
	if len(to) == 0 {
		return 0
	}
	for i := range to {
		at := a[2] + uint64(i)
		if !m.reachPlain(at, 1, read) {
			clear(to)
			return eFAULT.negative()
		}
		to[i] = m.bytes(at, 1)[0]
		if to[i] == 0 {
			return uint64(i + 1)
		}
	}
	to[len(to)-1] = 0
	return uint64(len(to))
}

// strncmp compares a buffer with a string.
func strncmp(m *Machine, a *[5]uint64) uint64 {
	for i := range uint64(uint32(a[1])) {
		if !m.reachPlain(a[2]+i, 1, read) {
			return m.refuse("r3 is not a string")
		}
		x, y := m.bytes(a[0]+i, 1)[0], m.bytes(a[2]+i, 1)[0]
		switch {
		case x < y:
			return ^uint64(0)
		case x > y:
			return 1
		case x == 0:
			return 0
		}
	}
	return 0
}
