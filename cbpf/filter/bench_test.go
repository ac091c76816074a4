//go:build unix

package filter_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/testdata/oracle"
)

// hostList is "host 10.0.0.0 or host 10.0.0.1 …".
func hostList(n int) string {
	terms := make([]string, n)
	for i := range terms {
		terms[i] = fmt.Sprintf("host 10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
	}
	return strings.Join(terms, " or ")
}

// BenchmarkCompile measures compiling beside libpcap in the same run, both in
// processor time: the metric ratio is our time, garbage collection included, by
// libpcap's, below 1 where we are faster.
// libpcap's optimizer is left out where it takes minutes, and with it all of
// libpcap where that takes minutes too (84 s for 5,000 hosts).
func BenchmarkCompile(b *testing.B) {
	const (
		none = iota
		plain
		optimized
	)
	for _, c := range []struct {
		name    string
		expr    string
		libpcap int
	}{
		{"ip", "ip", optimized},
		{"tcp-port-80", "tcp port 80", optimized},
		{"everyday", "host 192.168.1.1 and tcp and (port 80 or port 443) and not net 10.0.0.0/8", optimized},
		{"flags", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src net 10.0.0.0/8", optimized},
		{"hosts-10", hostList(10), optimized},
		{"hosts-100", hostList(100), optimized},
		{"hosts-1000", hostList(1000), plain},
		{"hosts-5000", hostList(5000), none},
	} {
		b.Run(c.name, func(b *testing.B) {
			names := filter.BuiltinNames()
			var p *filter.Program
			var err error
			start := processorTime(b)
			for b.Loop() {
				if p, err = filter.Compile(c.expr, filter.Options{LinkType: cbpf.LinkEthernet, Names: names}); err != nil {
					b.Fatal(err)
				}
			}
			ours := float64(processorTime(b)-start) / float64(b.N)
			b.ReportMetric(ours, "cpu-ns/op")
			b.ReportMetric(float64(len(p.Insns)), "insns")
			b.StopTimer()
			if c.libpcap == none {
				return
			}
			o := oracle.New(b)
			best, insns := 0.0, 0
			for range max(1, min(200, int(1e8/ours))) {
				prog, took, err := o.Compile(c.expr, oracle.Options{LinkType: cbpf.LinkEthernet, Optimize: c.libpcap == optimized})
				if err != nil {
					b.Fatal(err)
				}
				if ns := float64(took.Nanoseconds()); best == 0 || ns < best {
					best, insns = ns, len(prog)
				}
			}
			b.ReportMetric(best, "libpcap-ns/op")
			b.ReportMetric(float64(insns), "libpcap-insns")
			b.ReportMetric(ours/best, "ratio")
		})
	}
}

// processorTime is what this process has used so far. The clock on the wall
// would also count what others on the machine use.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
