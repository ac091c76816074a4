package jit

import (
	"slices"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/vm/engine"
)

// BenchmarkFilterBesideKernel runs the same translated filter in batches here and
// by repeated test runs in the kernel, whose loop takes longer than the
// filter: "kernel-less-empty" is without what an empty program takes.
func BenchmarkFilterBesideKernel(b *testing.B) {
	needMachineCode(b)
	for _, hook := range []abi.Hook{abi.HookXDP, abi.HookTC} {
		for _, traffic := range []struct {
			name  string
			frame engine.Frame
		}{{"match", tcpFrame(80)}, {"other-port", tcpFrame(443)}, {"arp", arpFrame()}} {
			b.Run(hook.String()+"/"+traffic.name, func(b *testing.B) {
				f := newFilterBench(b, "tcp port 80", slices.Repeat([]engine.Frame{traffic.frame}, batch))
				if lift.Accesses(hook)[0] != lift.Direct {
					b.Fatal("the filter does not use direct packet access")
				}
				p := f.prove(hook).Program()
				k := newKernelPeer(b, &p)
				less := k.contender("kernel-less-empty", traffic.frame.Data, 1)
				less.rest = newKernelPeer(b, emptyProgram(p.Type)).contender("empty", traffic.frame.Data, 1)
				compete(b, "packet", k.contender("kernel", traffic.frame.Data, 1), less, f.machineCode("jit", hook, batch))
			})
		}
	}
}
