package maps

import (
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
	for ; n > 8; n -= 8 {
		h = fold(h ^ load64(p))
		p = unsafe.Add(p, 8)
	}
	return hashLast(h, loadBytes(p, n))
}

// hashLast ends the hash h with the last word of a key, which is the only one
// in keys of up to 8 bytes.
func hashLast(h, word uint64) uint32 {
	h = fold(h ^ word)
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
		return load32(p) == load32(q)
	case 8:
		return load64(p) == load64(q)
	case 16:
		return load64(p) == load64(q) && load64(unsafe.Add(p, 8)) == load64(unsafe.Add(q, 8))
	}
	return unsafe.String((*byte)(p), n) == unsafe.String((*byte)(q), n)
}
