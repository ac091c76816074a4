//go:build !(amd64 && unix)

package jit

import (
	"fmt"
	"runtime"
)

// memory does not exist here: newMemory makes none.
type memory struct{}

func newMemory([]byte) (*memory, error) {
	return nil, fmt.Errorf("machine code is made for amd64 and Unix systems, not for %s/%s", runtime.GOOS, runtime.GOARCH)
}

func (*memory) addr() uintptr { return 0 }

func (*memory) Close() error { return nil }
