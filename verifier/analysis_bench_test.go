package verifier

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A lifted filter is about as long, and looks like this.
const filterText = `
	r2 = *(u32 *)(r1 +76)
	r3 = *(u32 *)(r1 +80)
	r0 = 0
	r4 = r2
	r4 += 34
	if r4 > r3 goto out
	r5 = *(u16 *)(r2 +12)
	if r5 != 8 goto out
	r5 = *(u8 *)(r2 +23)
	if r5 == 6 goto ports
	if r5 != 17 goto out
	ports: r5 = *(u16 *)(r2 +20)
	r5 &= 65311
	if r5 != 0 goto out
	r5 = *(u8 *)(r2 +14)
	r5 &= 15
	r5 <<= 2
	*(u64 *)(r10 -8) = r5
	r2 += r5
	r4 = r2
	r4 += 18
	if r4 > r3 goto out
	r5 = *(u16 *)(r2 +14)
	if r5 == 80 goto match
	r5 = *(u16 *)(r2 +16)
	if r5 == 80 goto match
	r6 = *(u64 *)(r10 -8)
	if r6 != 99 goto out
	match: r0 = 1
	out: exit`

// largeProgram has about n slots: many blocks with stores, lookups and loops.
func largeProgram(tb testing.TB, n int) *Program {
	var b strings.Builder
	b.WriteString("r6 = r1\n")
	for i := range n / 20 {
		fmt.Fprintf(&b, `
			r7 = 0
			l%[1]d: *(u32 *)(r10 -4) = r7
			*(u64 *)(r10 -%[2]d) = r6
			r2 = r10
			r2 += -4
			r1 = map[fd:0]
			call bpf_map_lookup_elem#1
			if r0 == 0 goto next%[1]d
			r3 = *(u64 *)(r0 +0)
			r4 = r7
			r4 &= 15
			r0 += r4
			if r3 == 5 goto n%[1]d
			r3 = *(u8 *)(r0 +0)
			n%[1]d: *(u64 *)(r10 -16) = r3
			next%[1]d: r7 += 1
			r6 = *(u64 *)(r10 -%[2]d)
			if r7 < 4 goto l%[1]d
		`, i, 24+8*(i%50))
	}
	b.WriteString("r0 = 0\nexit\n")
	p := programOf(tb, b.String())
	p.Maps = testMaps
	return p
}

// deepLoops is a program of n loops, each within the one before.
func deepLoops(n int) *Program {
	insns := make([]ebpf.Instruction, 0, 2*n+2)
	for range n {
		insns = append(insns, ebpf.ALU64Imm(ebpf.Add, ebpf.R1, 1))
	}
	for i := range n {
		to := n - 1 - i
		ins := ebpf.JumpIfImm(ebpf.Jne, ebpf.R1, int32(i), int16(to-len(insns)-1))
		insns = append(insns, ins)
	}
	return &Program{Type: abi.SchedCLS, Insns: append(insns, ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())}
}

func BenchmarkAnalyse(b *testing.B) {
	filter := programOf(b, filterText)
	large := largeProgram(b, 20_000)
	for _, bench := range []struct {
		name string
		p    *Program
	}{
		{fmt.Sprintf("filter of %d", len(filter.Insns)), filter},
		{fmt.Sprintf("program of %d", len(large.Insns)), large},
		{"16000 nested loops", deepLoops(16000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, f := analyse(bench.p); f != nil {
					b.Fatal(f)
				}
			}
		})
		b.Run("relevance, "+bench.name, func(b *testing.B) {
			b.ReportAllocs()
			a, f := analyse(bench.p)
			if f != nil {
				b.Fatal(f)
			}
			for b.Loop() {
				a.relevant(bench.p)
			}
		})
	}
}
