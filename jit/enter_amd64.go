//go:build unix

package jit

import "unsafe"

// enter runs machine code, with base in R15 and args in RDI. The code returns
// to Go by RET. It may change every register but RSP and RBP — what Go wants
// to find in registers (the goroutine in R14, zero in X15) is restored after
// every call of an assembly function — and must leave the direction flag clear
// and the upper halves of the vector registers zero.
//
// args must not point into a goroutine's stack, and the code must not keep the
// address of one: stacks move when they grow, which the callers of enter may
// do at any time.
//
// The compiler inlines enter, so it costs nothing; but it remains a frame of
// its own in what [runtime.Callers] tells, by which faultOf knows that it was
// machine code that faulted.
func enter(code, base uintptr, args unsafe.Pointer) {
	jump(code, base, args)
}

//go:noescape
func jump(code, base uintptr, args unsafe.Pointer)
