package jit

import (
	"slices"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/vm/engine"
)

// BenchmarkFilterBesideKernel runs the same translated filter here and by test
// runs in the kernel, of which the time of an empty program is taken off: what is
// left is the program's machine code. Here a batch is judged, its loop included.
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
				k := newKernelPeer(b, &p).contender("kernel", traffic.frame.Data, 1)
				k.rest = newKernelPeer(b, emptyProgram(p.Type)).contender("", traffic.frame.Data, 1)
				compete(b, "packet", k, f.machineCode("jit", hook, batch))
			})
		}
	}
}
