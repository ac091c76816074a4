package vm

import (
	"encoding/binary"
	"sync"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// Every access of a program is checked against the memory that it may touch.
// Most go to the packet or to the frame. The former are checked in the
// interpreter's loop against a window, one comparison; the latter when the
// program is loaded, if they are at R10. All others come to [Machine.reach].

// A window is a range of plain memory, with its length given once for each
// width of an access: an access at lo+d lies inside if d < limit[log2 width].
type window struct {
	lo    uint64
	limit [4]uint64
}

// set makes the window [lo, hi).
func (w *window) set(lo, hi uint32) {
	n := uint64(hi - lo)
	w.lo = uint64(lo)
	w.limit = limits(n)
}

// limits returns the limits of a window of n bytes.
func limits(n uint64) [4]uint64 {
	return [4]uint64{n, max(n, 1) - 1, max(n, 3) - 3, max(n, 7) - 7}
}

// span returns the length of the window.
func (w *window) span() uint64 { return w.limit[0] }

// A reader or writer of memory says which of the two it is.
type accessKind uint8

const (
	read accessKind = iota
	write
)

// reach reports whether the program may touch 1<<width bytes at addr. It is
// the full rule: packet, stack frames in use, values of maps, context.
func (m *Machine) reach(addr uint64, width uint8, kind accessKind) bool {
	if w := &m.window[kind]; addr-w.lo < w.limit[width] {
		return true
	}
	if d := addr - uint64(m.stackLow); d < uint64(m.stackTop-m.stackLow) {
		return d+1<<width <= uint64(m.stackTop-m.stackLow)
	}
	if addr-m.valueAt < m.value.limit[kind][width] {
		return true
	}
	if d := addr - uint64(m.ctx); d < uint64(len(m.ctxAccess)) {
		return m.ctxAccess[d]>>(width+4*uint8(kind))&1 != 0
	}
	return m.reachValue(addr, 1<<width, kind)
}

// reachPlain is reach without the context, for helpers and atomic operations:
// the kernel's contexts have no memory behind their fields.
func (m *Machine) reachPlain(addr, n uint64, kind accessKind) bool {
	w := &m.window[kind]
	if d := addr - w.lo; d < w.span() && n <= w.span()-d {
		return true
	}
	size := uint64(m.stackTop - m.stackLow)
	if d := addr - uint64(m.stackLow); d < size {
		return n <= size-d
	}
	return m.reachValue(addr, n, kind)
}

// at returns a pointer to n bytes that have been checked.
func (m *Machine) at(addr uint64) unsafe.Pointer { return unsafe.Add(m.base, addr) }

// bytes returns the n bytes at addr, which have been checked.
func (m *Machine) bytes(addr, n uint64) []byte {
	return unsafe.Slice((*byte)(m.at(addr)), n)
}

// contextAccess returns the access rules of a program type's context as a table:
// bit log2 of the width of the byte for an offset says that a load there is
// allowed, and four bits above that a store is. Machines share the tables, which
// take longer to make than all else of a small machine.
func contextAccess(t abi.ProgType, c *abi.Context) []uint8 {
	table, ok := accessTables.Load(t)
	if !ok {
		table, _ = accessTables.LoadOrStore(t, tabulate(t, c))
	}
	return table.([]uint8)
}

var accessTables sync.Map // []uint8 by abi.ProgType

func tabulate(t abi.ProgType, c *abi.Context) []uint8 {
	table := make([]uint8, c.Size)
	for off := range table {
		for width := range 4 {
			if _, ok := c.Access(t, off, 1<<width, false); ok {
				table[off] |= 1 << width
			}
			if _, ok := c.Access(t, off, 1<<width, true); ok {
				table[off] |= 1 << (width + 4)
			}
		}
	}
	return table
}

// Memory is little endian. These are single moves where the host is, too, and
// unlike a plain dereference they do not ask for alignment.

func load16(p unsafe.Pointer) uint16 { return binary.LittleEndian.Uint16((*[2]byte)(p)[:]) }
func load32(p unsafe.Pointer) uint32 { return binary.LittleEndian.Uint32((*[4]byte)(p)[:]) }
func load64(p unsafe.Pointer) uint64 { return binary.LittleEndian.Uint64((*[8]byte)(p)[:]) }

func store16(p unsafe.Pointer, v uint16) { binary.LittleEndian.PutUint16((*[2]byte)(p)[:], v) }
func store32(p unsafe.Pointer, v uint32) { binary.LittleEndian.PutUint32((*[4]byte)(p)[:], v) }
func store64(p unsafe.Pointer, v uint64) { binary.LittleEndian.PutUint64((*[8]byte)(p)[:], v) }
