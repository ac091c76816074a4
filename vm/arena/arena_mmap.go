//go:build unix && (amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x || ppc64)

package arena

import "golang.org/x/sys/unix"

// Moves says that the base of an arena moves when it grows.
const Moves = false

// reserve maps the range without access and, where that has to be said, without a
// claim on swap space.
func reserve() ([]byte, error) {
	return unix.Mmap(-1, 0, Size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|noReserve)
}

// commit makes [start, end) accessible. Its pages are zero and cost nothing
// until they are touched.
func commit(mem []byte, start, end uint64) ([]byte, error) {
	return mem, unix.Mprotect(mem[start:end], unix.PROT_READ|unix.PROT_WRITE)
}

func release(mem []byte) error { return unix.Munmap(mem) }
