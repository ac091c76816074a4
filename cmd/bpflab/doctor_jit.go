package main

import (
	"runtime"
	"strings"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/jit"
)

// checkMachineCode says whether programs run as machine code here, which the
// kernel has no part in.
func checkMachineCode() kernel.Check {
	c := kernel.Check{Name: "machine code (engine jit)"}
	if err := jit.Supported(); err != nil {
		c.Detail = err.Error()
		c.Hint = "nothing is lost but speed: the interpreter takes its place"
		return c
	}
	c.OK, c.Detail = true, runtime.GOARCH
	if features := jit.Features(); len(features) > 0 {
		c.Detail += " with " + strings.Join(features, ", ")
	}
	return c
}
