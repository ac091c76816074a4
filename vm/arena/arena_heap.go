//go:build !unix || !(amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x || ppc64)

package arena

import (
	"errors"
	"math"
	"unsafe"
)

// Moves says that the base of an arena moves when it grows.
const Moves = true

func reserve() ([]byte, error) { return nil, nil }

// commit returns a slice that reaches to end, with the old contents. The
// memory is made of words, because atomic operations want them aligned.
func commit(mem []byte, _, end uint64) ([]byte, error) {
	if end > math.MaxInt {
		return nil, errors.New("beyond this machine's address space")
	}
	words := make([]uint64, (end+7)/8)
	grown := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), end)
	copy(grown, mem)
	return grown, nil
}

func release([]byte) error { return nil }
