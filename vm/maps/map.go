package maps

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A Map is a live map. Its methods Lookup, Update, Delete, LookupAndDelete,
// NextKey and Freeze are what the bpf system call offers to user space; the
// methods in program.go are what helper functions offer to programs.
type Map struct {
	set    *Set
	kind   kind
	array  *array // kind, if it is this one; hash likewise
	hash   *hash
	place  layout
	step   uint32 // from one CPU's value to the next, 0 if there is only one
	spec   abi.MapSpec
	info   *abi.MapInfo
	id     uint32
	addr   uint32 // of the header
	frozen atomic.Bool
}

// A kind is what a map of some kind does. Keys and values have the right
// length; a value from user space is that of all CPUs.
type kind interface {
	layout() layout
	// find is the lookup of a program: the address of the value of the
	// first CPU, 0 for none.
	find(key []byte) uint32
	// read is the lookup of user space.
	read(key, value []byte) Errno
	// write is the update, by a program on the CPU from, or by user space.
	write(key, value []byte, flags uint64, from int) Errno
	remove(key []byte) Errno
	// take is lookup-and-delete, for user space only.
	take(key, value []byte) Errno
	// next sets next to the key behind key, or to the first key if key is
	// nil or not there.
	next(key, next []byte) Errno
	// each calls visit for the elements until it says no, with the address
	// of the value plus offset, and counts the calls. The element may be
	// deleted meanwhile.
	each(offset uint32, visit func(key []byte, value uint32) bool) int
}

// userSpace stands for the CPU of an update that does not come from a program.
const userSpace = -1

// fill puts the initial contents into a new map.
func (m *Map) fill() error {
	for i, e := range m.spec.Contents {
		value := e.Value
		if e.Name != "" {
			id, err := m.resolve(e.Name)
			if err != nil {
				return fmt.Errorf("initial element %d: %w", i, err)
			}
			value = make([]byte, 4)
			put32(value, id)
		}
		if err := m.Update(e.Key, m.spread(value), abi.UpdateAny); err != nil {
			return fmt.Errorf("initial element %d: %w", i, err)
		}
	}
	if m.spec.Frozen {
		m.frozen.Store(true)
	}
	return nil
}

// resolve returns the id of what an initial element names.
func (m *Map) resolve(name string) (uint32, error) {
	if m.spec.Kind == abi.ProgArray {
		if m.set.Program != nil {
			if id := m.set.Program(name); id != 0 {
				return id, nil
			}
		}
		return 0, fmt.Errorf("there is no program %q", name)
	}
	if inner := m.set.ByName(name); inner != nil {
		return inner.id, nil
	}
	return 0, fmt.Errorf("there is no map %q", name)
}

// spread makes the value of an initial element as long as user space gives
// it: filled up with zero bytes, and the same for each CPU.
func (m *Map) spread(value []byte) []byte {
	size := int(m.spec.ValueSize)
	if len(value) > size {
		return value // Update says so
	}
	full := make([]byte, m.ValueLen())
	for at := 0; at < len(full); at += max(int(m.step), 1) {
		copy(full[at:], value)
		if m.step == 0 {
			break
		}
	}
	return full
}

// Spec returns what the map was made from; MaxEntries is what the map really
// holds. It is not to be changed.
func (m *Map) Spec() *abi.MapSpec { return &m.spec }

// Name returns the name of the map.
func (m *Map) Name() string { return m.spec.Name }

// ID returns the number of the map in its set, from 1.
func (m *Map) ID() uint32 { return m.id }

// Addr returns the address of the map's header, which stands for the map in
// programs.
func (m *Map) Addr() uint32 { return m.addr }

// ValueLen returns the length of a value for user space: for a per-CPU map the
// values of all CPUs, each padded to a multiple of 8 bytes.
func (m *Map) ValueLen() int {
	if m.step != 0 {
		return int(m.step) * m.set.cpus
	}
	return int(m.spec.ValueSize)
}

// String returns name, kind and sizes on one line.
func (m *Map) String() string {
	s := &m.spec
	return fmt.Sprintf("%s: %v, key %d B, value %d B, max_entries %d", s.Name, s.Kind, s.KeySize, s.ValueSize, s.MaxEntries)
}

// Lookup copies the value of a key into value, which is [Map.ValueLen] bytes
// long. For queues and stacks the key is nil and the value is the one that
// LookupAndDelete would take; for a bloom filter the key is nil and value goes
// in: ENOENT says that it is surely not there.
func (m *Map) Lookup(key, value []byte) error {
	if m.spec.Flags&abi.MapWriteOnly != 0 {
		return EPERM
	}
	if err := m.lengths(key, value); err != nil {
		return err
	}
	return m.kind.read(key, value).err()
}

// Update adds or replaces an element as flags say (UpdateAny, UpdateNoExist or
// UpdateExist of package abi, with UpdateLock or without). For queues, stacks
// and bloom filters the key is nil.
func (m *Map) Update(key, value []byte, flags uint64) error {
	if !m.writable() {
		return EPERM
	}
	if m.locklessly(flags) {
		return EINVAL
	}
	if err := m.lengths(key, value); err != nil {
		return err
	}
	return m.kind.write(key, value, flags, userSpace).err()
}

// Delete deletes the element with that key.
func (m *Map) Delete(key []byte) error {
	if !m.writable() {
		return EPERM
	}
	if err := m.keyLength(key); err != nil {
		return err
	}
	return m.kind.remove(key).err()
}

// LookupAndDelete is Lookup and Delete in one step, for hash maps; for queues
// and stacks the key is nil.
func (m *Map) LookupAndDelete(key, value []byte) error {
	if m.spec.Flags&abi.MapWriteOnly != 0 || !m.writable() {
		return EPERM
	}
	if err := m.lengths(key, value); err != nil {
		return err
	}
	return m.kind.take(key, value).err()
}

// NextKey sets next to the key that follows key, or to the first one if key is
// nil or is not in the map. ENOENT says that key was the last.
func (m *Map) NextKey(key, next []byte) error {
	if m.spec.Flags&abi.MapWriteOnly != 0 {
		return EPERM
	}
	if key != nil {
		if err := m.keyLength(key); err != nil {
			return err
		}
	}
	if err := m.keyLength(next); err != nil {
		return err
	}
	return m.kind.next(key, next).err()
}

// ErrClosed is the error of operations of user space on a map whose arena has
// been closed.
var ErrClosed = errors.New("the memory of the map is closed")

func (m *Map) closed() bool { return m.set.mem.Base() == nil }

// Freeze takes the right to change the map from user space, for good. Programs
// keep theirs.
func (m *Map) Freeze() error {
	switch {
	case m.spec.SpinLock != nil:
		return ENOTSUPP
	case !m.writable():
		return EPERM
	}
	m.frozen.Store(true)
	return nil
}

func (m *Map) writable() bool {
	return m.spec.Flags&abi.MapReadOnly == 0 && !m.frozen.Load()
}

// lengths checks what the system call cannot: it knows no lengths and takes
// what it needs from memory.
func (m *Map) lengths(key, value []byte) error {
	if err := m.keyLength(key); err != nil {
		return err
	}
	if len(value) != m.ValueLen() {
		return fmt.Errorf("a value of %d bytes, not %d: %w", len(value), m.ValueLen(), EINVAL)
	}
	return nil
}

func (m *Map) keyLength(key []byte) error {
	if m.closed() {
		return ErrClosed
	}
	if len(key) != int(m.spec.KeySize) {
		return fmt.Errorf("a key of %d bytes, not %d: %w", len(key), m.spec.KeySize, EINVAL)
	}
	return nil
}
