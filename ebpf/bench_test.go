package ebpf_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
)

func BenchmarkText(b *testing.B) {
	prog := slices.Repeat(assemble(b, sampleProgram), 100)
	text := strings.Join(ebpf.Disassemble(prog), "\n")
	raw := ebpf.Append(nil, prog, binary.LittleEndian)
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(prog)), "ns/slot")
		})
	}
	run("decode", func() { ebpf.Decode(raw, binary.LittleEndian) })
	run("validate", func() { ebpf.Validate(prog) })
	run("disassemble", func() { ebpf.Disassemble(prog) })
	run("assemble", func() { ebpf.Assemble(text) })
}
