package num

import (
	"math/bits"
	"unsafe"
)

// Word is the machine word that a number is about. Registers are uint64 and
// their lower halves uint32. The smaller two are the words of the proofs:
// their width is what modelWidth says, so that all operands can be tried.
type Word interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64
}

// modelWidth is the width in bits of uint8 and uint16, by their size in bytes.
// Only proofs use these words, and only proofs set their width.
var modelWidth = [3]uint8{1: 3, 2: 6}

// width is a constant in the code compiled for uint32 and uint64, as is all
// that is computed from it.
func width[U Word]() uint {
	if unsafe.Sizeof(U(0)) > 2 {
		return 8 * uint(unsafe.Sizeof(U(0)))
	}
	return uint(modelWidth[unsafe.Sizeof(U(0))])
}

func ones[U Word]() U {
	if unsafe.Sizeof(U(0)) > 2 {
		return ^U(0)
	}
	return U(1)<<modelWidth[unsafe.Sizeof(U(0))] - 1
}

// signBit is the smallest number of the signed order, as a word.
func signBit[U Word]() U { return ones[U]()>>1 + 1 }

// shiftMask is what a shift leaves of its distance: 63, 31; in a model whose
// width is no power of two, distances of the width and above can remain.
func shiftMask[U Word]() U { return below[U](uint(bits.Len(width[U]() - 1))) }

// below has ones in the n lowest bits.
func below[U Word](n uint) U { return (U(1)<<n - 1) & ones[U]() }

// length is the number of bits that x needs.
func length[U Word](x U) uint { return uint(bits.Len64(uint64(x))) }

// trailing is the number of zeros at the low end of x, at most the width.
func trailing[U Word](x U) uint {
	return min(uint(bits.TrailingZeros64(uint64(x))), width[U]())
}

// signed reads x as a two's complement number.
func signed[U Word](x U) int64 {
	s := 64 - width[U]()
	return int64(uint64(x)<<s) >> s
}

// unsigned is the word that holds x, or what is left of x in it.
func unsigned[U Word](x int64) U { return U(x) & ones[U]() }

// lower is the lower half of x.
func lower[W, H Word](x W) H { return H(x) & ones[H]() }
