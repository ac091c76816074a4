package vm_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// loops are programs that spend their time in one kind of instruction. The
// benchmark reports the time of one instruction.
var loops = []struct{ name, text string }{
	{"alu", `
		r2 = 1
		r3 = 10000
	loop:	r2 += r3
		r2 ^= r3
		r2 <<= 1
		r2 |= 7
		w2 -= w3
		r4 = r2
		r3 += -1
		if r3 != 0 goto loop
		r0 = r2
		exit`},
	{"load", `
		r1 = *(u32 *)(r1 + 0)
		r3 = 2500
	loop:	r2 = *(u32 *)(r1 + 0)
		r2 = *(u16 *)(r1 + 12)
		r2 = *(u8 *)(r1 + 23)
		r2 = *(u64 *)(r1 + 26)
		r2 = *(u32 *)(r1 + 0)
		r2 = *(u16 *)(r1 + 12)
		r3 += -1
		if r3 != 0 goto loop
		r0 = r2
		exit`},
	{"store", `
		r1 = *(u32 *)(r1 + 0)
		r3 = 2500
	loop:	*(u32 *)(r1 + 0) = r3
		*(u16 *)(r1 + 12) = r3
		*(u8 *)(r1 + 23) = r3
		*(u64 *)(r1 + 26) = r3
		*(u32 *)(r1 + 0) = r3
		*(u16 *)(r1 + 12) = r3
		r3 += -1
		if r3 != 0 goto loop
		r0 = 0
		exit`},
	{"stack", `
		r3 = 2500
	loop:	*(u64 *)(r10 - 8) = r3
		r2 = *(u64 *)(r10 - 8)
		*(u64 *)(r10 - 16) = r2
		r2 = *(u64 *)(r10 - 16)
		r3 += -1
		if r3 != 0 goto loop
		r0 = 0
		exit`},
	{"stack-pointer", `
		r3 = 2500
		r4 = r10
		r4 += -64
	loop:	*(u64 *)(r4 + 8) = r3
		r2 = *(u64 *)(r4 + 8)
		*(u64 *)(r4 + 16) = r2
		r2 = *(u64 *)(r4 + 16)
		r3 += -1
		if r3 != 0 goto loop
		r0 = 0
		exit`},
	{"memcpy", `
		r2 = *(u32 *)(r1 + 0)
		r3 = 256
	loop:	r4 = *(u64 *)(r2 + 0)
		*(u64 *)(r2 + 8) = r4
		r2 += 1
		r3 += -1
		if r3 != 0 goto loop
		r0 = 0
		exit`},
}

func BenchmarkInstructions(b *testing.B) {
	for _, l := range loops {
		b.Run(l.name, func(b *testing.B) {
			prog, err := ebpf.Assemble(l.text)
			if err != nil {
				b.Fatal(err)
			}
			m, err := vm.New(abi.XDP, prog, vm.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			in := []engine.Packet{{Data: make([]byte, 1500), WireLen: 1500}}
			out := make([]engine.Result, 1)
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Run(in, out); err != nil || out[0].Fault != nil {
					b.Fatal(err, out[0].Fault)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(out[0].Executed), "ns/insn")
		})
	}
}
