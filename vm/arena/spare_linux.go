//go:build amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x || ppc64

package arena

import "golang.org/x/sys/unix"

// spare are ranges that closed arenas have left. To make a range and to give it
// back means to make and to give back page tables, which takes several times as
// long as all else that a small machine needs.
var spare = make(chan []byte, 8)

// maxSpare is how far a range may have been used to be kept: enough for a machine
// without large maps.
const maxSpare = 8 << 20

// takeSpare returns such a range, nil if there is none.
func takeSpare() []byte {
	select {
	case mem := <-spare:
		return mem
	default:
		return nil
	}
}

// keepSpare keeps a range that was used up to end, without access and without
// contents, as a new one is; or says no. That the memory is gone with the
// advice, and zero when it comes back, is so on Linux only.
func keepSpare(mem []byte, end uint64) bool {
	if end > maxSpare || unix.Madvise(mem[:end], unix.MADV_DONTNEED) != nil || unix.Mprotect(mem[:end], unix.PROT_NONE) != nil {
		return false
	}
	select {
	case spare <- mem:
		return true
	default:
		return false
	}
}
