package maps

import "github.com/bpflab/bpflab/ebpf/abi"

// The maps of redirect targets. There are no devices here: any interface
// number but 0 may be one, and a socket is a number but 0 that stands for an
// AF_XDP socket.

// A Target is where redirect_map sends a packet.
type Target struct {
	ID      uint32 // the interface, the CPU or the socket
	Program uint32 // id of the program that runs there, 0 for none
}

// Redirect returns the target for a key of a devmap, devmap_hash, cpumap or
// xskmap, and whether there is one.
func (m *Map) Redirect(key uint32) (t Target, ok bool) {
	r, _ := m.kind.(redirector)
	if r == nil {
		return Target{}, false
	}
	return r.target(key)
}

type redirector interface {
	target(key uint32) (Target, bool)
}

// Targets calls visit for the targets in the map, for redirects to all of
// them, in the order of the keys, or in a devmap_hash in that of iteration.
func (m *Map) Targets(visit func(key uint32, t Target)) {
	switch r := m.kind.(type) {
	case devMapHash:
		r.hash.each(0, func(key []byte, value uint32) bool {
			visit(get32(key), r.targetAt(value))
			return true
		})
	case redirector:
		for i := range m.spec.MaxEntries {
			if t, ok := r.target(i); ok {
				visit(i, t)
			}
		}
	}
}

// A devMap has in each slot the interface and the id of a program, which is
// the value that programs see.
type devMap struct{ *index }

func newDevMap(m *Map) (kind, error) {
	x, err := newIndex(m)
	return devMap{x}, err
}

func (d devMap) find(key []byte) uint32 {
	if d.entry(key) == 0 {
		return 0
	}
	return d.slot(key)
}

func (d devMap) read(key, value []byte) Errno { return d.readPair(key, value) }

// write is __dev_map_update_elem: all slots exist, and an interface 0 empties
// one.
func (d devMap) write(key, value []byte, flags uint64, _ int) Errno {
	slot := d.slot(key)
	ifindex, program := target(value)
	switch {
	case flags > abi.UpdateExist:
		return EINVAL
	case slot == 0:
		return E2BIG
	case flags == abi.UpdateNoExist:
		return EEXIST
	case ifindex == 0 && program > 0:
		return EINVAL
	case d.badProgram(program):
		return EINVAL
	case ifindex == 0:
		program = 0
	}
	d.exchange(slot, uint64(ifindex)|uint64(max(program, 0))<<32)
	return 0
}

func (d devMap) remove(key []byte) Errno { return d.clearSlot(key) }

func (d devMap) target(key uint32) (Target, bool) {
	e := d.entryAt(key)
	return Target{uint32(e), uint32(e >> 32)}, e != 0
}

// target takes the value of a devmap or cpumap apart: a number, and the id of a
// program if the value has room for it. None is 0, or less than 0 as for file
// descriptors.
func target(value []byte) (n uint32, program int32) {
	if len(value) == 8 {
		program = int32(get32(value[4:]))
	}
	return get32(value), program
}

// badProgram reports whether there is a program that may not stand there.
func (m *Map) badProgram(id int32) bool {
	return id > 0 && m.checkProgram(uint32(id)) != 0
}

// readPair is the lookup of user space in a map whose slots are the values.
func (x *index) readPair(key, value []byte) Errno {
	e := x.entry(key)
	if e == 0 {
		return ENOENT
	}
	put32(value, uint32(e))
	if len(value) == 8 {
		put32(value[4:], uint32(e>>32))
	}
	return 0
}

// clearSlot is the deletion that does not mind an empty slot.
func (x *index) clearSlot(key []byte) Errno {
	slot := x.slot(key)
	if slot == 0 {
		return EINVAL
	}
	x.exchange(slot, 0)
	return 0
}

// A devMapHash has the same values in a hash table.
type devMapHash struct{ *hash }

func newDevMapHash(m *Map) (kind, error) {
	h, err := makeHash(m, 8)
	return devMapHash{h}, err
}

// write is __dev_map_hash_update_elem, which takes BPF_EXIST for BPF_ANY.
func (d devMapHash) write(key, value []byte, flags uint64, from int) Errno {
	ifindex, program := target(value)
	switch {
	case flags > abi.UpdateExist || ifindex == 0:
		return EINVAL
	case flags == abi.UpdateNoExist && d.find(key) != 0:
		return EEXIST
	case d.badProgram(program):
		return EINVAL
	}
	var full [8]byte
	put32(full[:], ifindex)
	put32(full[4:], uint32(max(program, 0)))
	return d.hash.write(key, full[:], flags&abi.UpdateNoExist, from)
}

func (d devMapHash) take([]byte, []byte) Errno { return ENOTSUPP }

func (d devMapHash) target(key uint32) (Target, bool) {
	var k [4]byte
	put32(k[:], key)
	addr := d.hash.find(k[:])
	if addr == 0 {
		return Target{}, false
	}
	return d.targetAt(addr), true
}

func (d devMapHash) targetAt(value uint32) Target {
	return Target{d.load(value), d.load(value + 4)}
}

// A cpuMap has in each slot the length of the CPU's queue and the id of a
// program.
type cpuMap struct{ *index }

func newCPUMap(m *Map) (kind, error) {
	x, err := newIndex(m)
	return cpuMap{x}, err
}

// maxQueue is the longest queue that a CPU may have.
const maxQueue = 16384

func (c cpuMap) read(key, value []byte) Errno { return c.readPair(key, value) }

// write is cpu_map_update_elem, with ENOMEM for a program that does not fit.
func (c cpuMap) write(key, value []byte, flags uint64, _ int) Errno {
	slot := c.slot(key)
	queue, program := target(value)
	switch {
	case flags > abi.UpdateExist:
		return EINVAL
	case slot == 0:
		return E2BIG
	case flags == abi.UpdateNoExist:
		return EEXIST
	case queue > maxQueue:
		return EOVERFLOW
	case get32(key) >= uint32(c.set.cpus):
		return ENODEV
	case queue == 0:
		program = 0
	case c.badProgram(program):
		return ENOMEM
	}
	c.exchange(slot, uint64(queue)|uint64(max(program, 0))<<32)
	return 0
}

func (c cpuMap) remove(key []byte) Errno { return c.clearSlot(key) }

func (c cpuMap) target(key uint32) (Target, bool) {
	e := c.entryAt(key)
	return Target{key, uint32(e >> 32)}, e != 0
}

// An xskMap has in each slot the number of a socket. User space cannot read it.
// What a program finds is the slot, in place of the kernel's struct
// bpf_xdp_sock.
type xskMap struct{ *index }

func newXSKMap(m *Map) (kind, error) {
	x, err := newIndex(m)
	return xskMap{x}, err
}

func (x xskMap) find(key []byte) uint32 {
	if x.entry(key) == 0 {
		return 0
	}
	return x.slot(key)
}

func (x xskMap) read([]byte, []byte) Errno { return EOPNOTSUPP }

// write is xsk_map_update_elem.
func (x xskMap) write(key, value []byte, flags uint64, _ int) Errno {
	slot, socket := x.slot(key), uint64(get32(value))
	switch {
	case flags > abi.UpdateExist:
		return EINVAL
	case slot == 0:
		return E2BIG
	case socket == 0:
		return EBADF
	}
	switch old := x.entry(key); {
	case old == socket:
		return 0
	case old != 0 && flags == abi.UpdateNoExist:
		return EEXIST
	case old == 0 && flags == abi.UpdateExist:
		return ENOENT
	}
	x.exchange(slot, socket)
	return 0
}

func (x xskMap) remove(key []byte) Errno { return x.clearSlot(key) }

func (x xskMap) target(key uint32) (Target, bool) {
	e := x.entryAt(key)
	return Target{ID: uint32(e)}, e != 0
}
