package maps

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// HashMul and HashStart are the constants of the hash function of hash maps,
// for machine code that computes it, too:
//
//	h = HashStart ^ length of the key
//	for each 8 bytes of the key, little endian, the last ones filled up with zeros:
//		p = (h ^ word) * HashMul, 128 bits
//		h = upper half of p ^ lower half of p
//	hash = upper half of h ^ lower half of h
//
// It is the same on every run, because the order of iteration follows from it.
// The kernel's has a random seed: who knows the constants can make keys that
// all land in one bucket, which makes the map slow, not wrong.
const (
	HashMul   = 0x9e3779b97f4a7c15
	HashStart = 0x2d358dccaa6c78a5
)

// hashKey returns the hash of the n bytes at p. Bloom filters ask for several
// hashes of one value, by number; maps for number 0.
func hashKey(p unsafe.Pointer, n uint32, number uint64) uint32 {
	h := HashStart ^ uint64(n) ^ number<<32
	switch n { // the loop below would do, but takes longer
	case 4:
		h = fold(h ^ uint64(binary.LittleEndian.Uint32((*[4]byte)(p)[:])))
		return uint32(h>>32) ^ uint32(h)
	case 8:
		h = fold(h ^ binary.LittleEndian.Uint64((*[8]byte)(p)[:]))
		return uint32(h>>32) ^ uint32(h)
	}
	for ; n > 8; n -= 8 {
		h = fold(h ^ loadBytes(p, 8))
		p = unsafe.Add(p, 8)
	}
	h = fold(h ^ loadBytes(p, n))
	return uint32(h>>32) ^ uint32(h)
}

func fold(w uint64) uint64 {
	hi, lo := bits.Mul64(w, HashMul)
	return hi ^ lo
}

// sameKey compares two keys of n bytes.
func sameKey(p, q unsafe.Pointer, n uint32) bool {
	switch n {
	case 4:
		return *(*[4]byte)(p) == *(*[4]byte)(q)
	case 8:
		return binary.LittleEndian.Uint64((*[8]byte)(p)[:]) == binary.LittleEndian.Uint64((*[8]byte)(q)[:])
	}
	return unsafe.String((*byte)(p), n) == unsafe.String((*byte)(q), n)
}
