package verifier_test

import (
	"testing"
	"time"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/verifier"
)

// BenchmarkBesideKernel verifies each of our programs here and in the kernel, in
// turns, and reports the fastest of each, which other work on the machine
// disturbs least. The kernel's time is the one that it states, without the
// making of maps and the system call.
func BenchmarkBesideKernel(b *testing.B) {
	for _, p := range ownPrograms(b) {
		b.Run(p.Name, func(b *testing.B) {
			c, err := kernel.NewCollection(p.linked.Maps, p.types)
			if err != nil {
				b.Skip(err)
			}
			defer c.Close()
			here, there := time.Hour, time.Hour
			var steps, kernelSteps int
			for b.Loop() {
				start := time.Now()
				proof, report := verifier.Verify(p.Program, verifier.Options{})
				if report != nil {
					b.Fatal(report)
				}
				here, steps = min(here, time.Since(start)), proof.Stats().Steps
				_, stats, err := c.Load(&p.linked.Programs[0])
				if err != nil {
					b.Fatal(err)
				}
				there, kernelSteps = min(there, stats.Time), stats.Steps
			}
			b.ReportMetric(float64(here.Nanoseconds())/1e3, "µs-ours")
			b.ReportMetric(float64(there.Nanoseconds())/1e3, "µs-kernel")
			b.ReportMetric(float64(here)/float64(there), "ratio")
			b.ReportMetric(float64(steps), "steps-ours")
			b.ReportMetric(float64(kernelSteps), "steps-kernel")
			b.ReportMetric(0, "ns/op")
		})
	}
}
