package maps

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A hash is a hash table of chained slots; LRU maps are it, too (lru.go).
//
// A bucket is a word: 0 for empty, or the address of the first slot of a chain.
// There are twice as many as the power of two that is at least max_entries.
// A slot is
//
//	 0  next slot of the chain, or the end mark 2*bucket+1
//	 4  hash of the key; in a free slot the next free one
//	 8  1 if the slot is in a chain
//	12  1 if a program has looked it up (LRU)
//	16  key, filled up with zero bytes to a multiple of 8
//	 …  value, or the values of all CPUs
//
// Updates take a lock. A lookup that finds its key takes none, so machine code
// can do it. One that does not may have been led astray by slots that moved
// under it: if elements were taken out meanwhile it looks again, under the
// lock. (The kernel notices by the end mark alone, because it puts elements
// only at the head of a chain.)
//
// An update of an existing key does not touch the element: it puts a new one
// in its place in the chain, so that an iteration goes on as if nothing had
// happened, and gives the old one back to the pool. In per-CPU maps values are
// updated in place, as in the kernel.
type hash struct {
	pool          // of slots
	buckets, mask uint32
	keySize       uint32
	offset        uint32 // of the value in a slot
	lru           bool
	removals      atomic.Uint32 // of slots from chains
	mu            sync.Mutex
	count         uint32 // elements
	hand          uint32 // see lru.go
}

const (
	slotNext  = 0
	slotHash  = 4
	slotFree  = 4
	slotLive  = 8
	slotRef   = 12
	slotKey   = 16
	bucketLen = 4

	// touchedAt is the number of buckets for an element when the memory of
	// the buckets counts as touched: with 16 elements for each page of 1024
	// buckets.
	touchedAt = 64
)

func newHash(m *Map) (kind, error) {
	h, err := makeHash(m, m.spec.ValueSize)
	return h, err
}

func makeHash(m *Map, valueSize uint32) (*hash, error) {
	h := &hash{pool: pool{Map: m, link: slotFree}, lru: isLRU(m.spec.Kind)}
	h.mask = uint32(2*pow2(m.spec.MaxEntries) - 1)
	h.keySize = m.spec.KeySize
	h.offset = slotKey + uint32(round8(uint64(m.spec.KeySize)))
	stride := round8(uint64(valueSize))
	if m.step != 0 {
		stride *= uint64(m.set.cpus)
	}
	stride += uint64(h.offset)
	h.stride = uint32(stride)
	var err error
	if h.buckets, err = m.set.mem.Alloc(bucketLen * (uint64(h.mask) + 1)); err != nil {
		return nil, err
	}
	return h, h.reserve(uint64(m.spec.MaxEntries) + spareSlots)
}

func (h *hash) layout() layout {
	return layout{
		elements: h.start, stride: h.stride, offset: h.offset, count: h.spec.MaxEntries + spareSlots,
		buckets: h.buckets, mask: h.mask,
	}
}

func (h *hash) bucket(sum uint32) uint32 { return h.buckets + bucketLen*(sum&h.mask) }

// lookup returns the slot with the key at p, 0 for none.
func (h *hash) lookup(base, p unsafe.Pointer) uint32 {
	removals := h.removals.Load()
	slot := h.search(base, p)
	if slot != 0 || h.removals.Load() == removals {
		return slot
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, slot, _ = h.locate(unsafe.Slice((*byte)(p), h.keySize))
	return slot
}

// search is lookup without a second look. For the shortest keys it is written
// out: there comparing the key says all that comparing the hash would.
func (h *hash) search(base, p unsafe.Pointer) uint32 {
	switch h.keySize {
	case 4:
		key := load32(p)
		at := h.first(base, hashLast(HashStart^4, uint64(key)))
		for at&1 == 0 && load32(unsafe.Add(base, uintptr(at)+slotKey)) != key {
			at = follow(base, at)
		}
		return slotOrNone(at)
	case 8:
		key := load64(p)
		at := h.first(base, hashLast(HashStart^8, key))
		for at&1 == 0 && load64(unsafe.Add(base, uintptr(at)+slotKey)) != key {
			at = follow(base, at)
		}
		return slotOrNone(at)
	}
	n := h.keySize
	sum := hashKey(p, n, 0)
	at := h.first(base, sum)
	for at&1 == 0 {
		slot := unsafe.Add(base, uintptr(at))
		if load32(unsafe.Add(slot, slotHash)) == sum && sameKey(unsafe.Add(slot, slotKey), p, n) {
			return at
		}
		at = follow(base, at)
	}
	return 0
}

// slotOrNone makes 0 of an end mark.
func slotOrNone(at uint32) uint32 {
	if at&1 != 0 {
		return 0
	}
	return at
}

// first returns the first slot of the chain for a hash, or an end mark, any one
// for an empty bucket.
func (h *hash) first(base unsafe.Pointer, sum uint32) uint32 {
	at := atomic.LoadUint32((*uint32)(unsafe.Add(base, uintptr(h.bucket(sum)))))
	if at == 0 {
		return 1
	}
	return at
}

func follow(base unsafe.Pointer, slot uint32) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Add(base, uintptr(slot)+slotNext)))
}

// locate is lookup under the lock. It also returns the word that leads to the
// slot, or the bucket if there is none.
func (h *hash) locate(key []byte) (link, slot, sum uint32) {
	p, n := unsafe.Pointer(unsafe.SliceData(key)), h.spec.KeySize
	sum = hashKey(p, n, 0)
	link = h.bucket(sum)
	for slot = h.load(link); slot != 0 && slot&1 == 0; slot = h.load(link) {
		if h.load(slot+slotHash) == sum && sameKey(h.at(slot+slotKey), p, n) {
			return link, slot, sum
		}
		link = slot + slotNext
	}
	return h.bucket(sum), 0, sum
}

func (h *hash) find(key []byte) uint32 {
	return h.findAt(h.set.mem.Base(), unsafe.Pointer(unsafe.SliceData(key)))
}

// findAt is find with the arena's base and a pointer to the key.
func (h *hash) findAt(base, p unsafe.Pointer) uint32 {
	slot := h.lookup(base, p)
	if slot == 0 {
		return 0
	}
	if h.lru {
		h.refer(slot)
	}
	return slot + h.offset
}

func (h *hash) read(key, value []byte) Errno {
	slot := h.lookup(h.set.mem.Base(), unsafe.Pointer(unsafe.SliceData(key))) // without refer: a dump is not use
	if slot == 0 {
		return ENOENT
	}
	h.get(slot+h.offset, value)
	return 0
}

func (h *hash) write(key, value []byte, flags uint64, from int) Errno {
	mode := flags
	if !h.lru && h.step == 0 {
		mode &^= abi.UpdateLock
	}
	if mode > abi.UpdateExist || h.locklessly(flags) {
		return EINVAL
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	link, old, sum := h.locate(key)
	switch {
	case old != 0 && mode == abi.UpdateNoExist:
		return EEXIST
	case old == 0 && mode == abi.UpdateExist:
		return ENOENT
	case old != 0 && (h.step != 0 || flags&abi.UpdateLock != 0):
		h.refer(old)
		h.putLocked(old+h.offset, value, from, flags)
		return 0
	case old != 0:
		h.replace(link, old, h.fill(key, value, sum, from))
		return 0
	case h.count < h.spec.MaxEntries:
	case !h.lru:
		return E2BIG
	default:
		h.evict()
	}
	h.insert(h.bucket(sum), sum, h.fill(key, value, sum, from))
	return 0
}

// fill makes a slot of a new element, in no chain yet.
func (h *hash) fill(key, value []byte, sum uint32, from int) uint32 {
	slot := h.allocate()
	h.store(slot+slotHash, sum)
	h.store(slot+slotRef, 0)
	area := h.bytes(slot+slotKey, h.stride-slotKey)
	clear(area[copy(area, key):])
	h.put(slot+h.offset, value, from)
	return slot
}

// insert puts a slot at the head of its chain.
func (h *hash) insert(bucket, sum, slot uint32) {
	rest := h.load(bucket)
	if rest == 0 {
		rest = (sum&h.mask)<<1 | 1
	}
	h.store(slot+slotNext, rest)
	h.store(slot+slotLive, 1)
	h.store(bucket, slot)
	h.count++
	if h.count == h.mask/touchedAt {
		h.set.mem.Filled(h.buckets, bucketLen*(uint64(h.mask)+1))
	}
}

// replace puts a slot where another one is.
func (h *hash) replace(link, old, slot uint32) {
	h.store(slot+slotNext, h.load(old+slotNext))
	h.store(slot+slotLive, 1)
	h.refer(slot)
	h.store(link, slot)
	h.discard(old)
}

// unlink takes a slot out of its chain.
func (h *hash) unlink(link, slot uint32) {
	h.store(link, h.load(slot+slotNext))
	h.count--
	h.discard(slot)
}

// discard gives a slot back that is in no chain any more.
func (h *hash) discard(slot uint32) {
	h.removals.Add(1)
	h.store(slot+slotLive, 0)
	h.free(slot)
}

func (h *hash) remove(key []byte) Errno {
	h.mu.Lock()
	defer h.mu.Unlock()
	link, slot, _ := h.locate(key)
	if slot == 0 {
		return ENOENT
	}
	h.unlink(link, slot)
	return 0
}

func (h *hash) take(key, value []byte) Errno {
	h.mu.Lock()
	defer h.mu.Unlock()
	link, slot, _ := h.locate(key)
	if slot == 0 {
		return ENOENT
	}
	h.get(slot+h.offset, value)
	h.unlink(link, slot)
	return 0
}

// next goes through the buckets, and through the chain of each.
func (h *hash) next(key, next []byte) Errno {
	h.mu.Lock()
	defer h.mu.Unlock()
	start := uint64(0)
	if key != nil {
		if _, slot, sum := h.locate(key); slot != 0 {
			if at := h.load(slot + slotNext); at&1 == 0 {
				copy(next, h.bytes(at+slotKey, h.spec.KeySize))
				return 0
			}
			start = uint64(sum&h.mask) + 1
		}
	}
	for b := start; b <= uint64(h.mask); b++ {
		if at := h.load(h.buckets + bucketLen*uint32(b)); at != 0 && at&1 == 0 {
			copy(next, h.bytes(at+slotKey, h.spec.KeySize))
			return 0
		}
	}
	return ENOENT
}

// each goes on from an element to the one that was next before the visit, as
// the kernel does.
func (h *hash) each(offset uint32, visit func([]byte, uint32) bool) (visited int) {
	for b := range uint64(h.mask) + 1 {
		at := h.load(h.buckets + bucketLen*uint32(b))
		for at != 0 && at&1 == 0 {
			next := h.load(at + slotNext)
			visited++
			if !visit(h.bytes(at+slotKey, h.spec.KeySize), at+h.offset+offset) {
				return visited
			}
			at = next
		}
	}
	return visited
}
