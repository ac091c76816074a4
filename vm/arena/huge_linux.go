//go:build amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x || ppc64

package arena

import "golang.org/x/sys/unix"

// preferHuge asks for huge pages. What the kernel says to it does not matter: it
// is advice, and kernels without huge pages refuse it.
func preferHuge(mem []byte) { _ = unix.Madvise(mem, unix.MADV_HUGEPAGE) }

// makeHuge moves what is there to huge pages, on kernels from 6.1 on.
func makeHuge(mem []byte) {
	preferHuge(mem)
	_ = unix.Madvise(mem, unix.MADV_COLLAPSE)
}
