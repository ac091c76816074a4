//go:build !linux || !(amd64 || arm64 || riscv64 || loong64 || ppc64le || s390x || ppc64)

package arena

func takeSpare() []byte             { return nil }
func keepSpare([]byte, uint64) bool { return false }
