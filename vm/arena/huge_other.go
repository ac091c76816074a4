//go:build !linux || !(amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x || ppc64)

package arena

func preferHuge([]byte) {}
func makeHuge([]byte)   {}
