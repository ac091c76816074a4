//go:build !(amd64 && unix)

package jit

import "unsafe"

// enter is never called where there is no executable memory.
func enter(code, base uintptr, args unsafe.Pointer) {
	panic("jit: machine code entered on a host without it")
}
