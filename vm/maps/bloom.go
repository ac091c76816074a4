package maps

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A bloom filter is a set of values that only grows: one that was pushed is
// there for ever, another may seem to be. It is a vector of bits, of which each
// value sets some. Their number is the kernel's (bloom_map_alloc), which bits
// they are is not.
type bloom struct {
	refusal
	data  uint32
	mask  uint32 // number of bits - 1
	funcs uint64 // hash functions
}

func newBloom(m *Map) (kind, error) {
	b := &bloom{refusal: refusal{m, EOPNOTSUPP}, funcs: m.spec.Extra}
	if b.funcs == 0 {
		b.funcs = 5
	}
	b.mask = bloomMask(uint64(m.spec.MaxEntries), b.funcs)
	var err error
	b.data, err = m.set.mem.Alloc((uint64(b.mask) + 1) / 8)
	return b, err
}

// bloomMask takes 7/5 bits for each value and function, an approximation of
// 1/ln 2 that is best, and rounds up to a power of two.
func bloomMask(n, funcs uint64) uint32 {
	want := n * funcs
	if want < 1<<32 {
		want = want / 5 * 7
	}
	switch {
	case want > 1<<31:
		return 1<<32 - 1
	case want <= 64:
		return 63
	}
	return uint32(1)<<bits.Len64(want-1) - 1
}

func (b *bloom) layout() layout { return layout{elements: b.data, mask: b.mask} }

// bit returns the word and the bit that a hash function sets for a value.
func (b *bloom) bit(value []byte, i uint64) (word *uint64, bit uint64) {
	h := hashKey(unsafe.Pointer(unsafe.SliceData(value)), b.spec.ValueSize, i) & b.mask
	return b.pair(b.data + h/64*8), 1 << (h % 64)
}

// read is peek: the value goes in.
func (b *bloom) read(_, value []byte) Errno {
	for i := range b.funcs {
		if word, bit := b.bit(value, i); atomic.LoadUint64(word)&bit == 0 {
			return ENOENT
		}
	}
	return 0
}

// write is push.
func (b *bloom) write(_, value []byte, flags uint64, _ int) Errno {
	if flags != abi.UpdateAny {
		return EINVAL
	}
	for i := range b.funcs {
		word, bit := b.bit(value, i)
		atomic.OrUint64(word, bit)
	}
	return 0
}
