package jit

import (
	"cmp"
	"testing"
	"time"

	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

// The benchmarks compare machine code with its peers on machines that have other
// work to do. So the peers take turns, many short ones, and of each the fastest
// turn counts, which other work disturbs least.

// A contender is one of several ways to do the same.
type contender struct {
	name string
	turn func() float64 // does it for about a millisecond; nanoseconds for one of what is done
	rest *contender     // what is done around it, if that is not to count
	best float64
}

// timed makes a contender of a function that does n things.
func timed(name string, n int, run func()) *contender {
	return timedWith(name, n, func() func() { return run }, func() {})
}

// timedWith makes a contender of what prepare returns, a function that does
// n things. The time of neither prepare nor finish counts.
func timedWith(name string, n int, prepare func() (run func()), finish func()) *contender {
	return &contender{name: name, turn: func() float64 {
		best := time.Hour
		for begin := time.Now(); time.Since(begin) < time.Millisecond; {
			run := prepare()
			start := time.Now()
			run()
			best = min(best, time.Since(start))
			finish()
		}
		return float64(best.Nanoseconds()) / float64(n)
	}}
}

func (c *contender) result() float64 {
	if c.rest == nil {
		return c.best
	}
	return c.best - c.rest.best
}

const turns = 60

func takeTurns(list []*contender) {
	for range turns {
		for _, c := range list {
			for ; c != nil; c = c.rest {
				c.best = min(cmp.Or(c.best, 1e18), c.turn())
			}
		}
	}
}

// compete reports the time of each, and how many times that of the first it is.
// Benchmarks that report turn by turn have no use for b.N.
func compete(b *testing.B, unit string, list ...*contender) {
	takeTurns(list)
	for _, c := range list {
		b.Run(c.name, func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(c.result(), "ns/"+unit)
			b.ReportMetric(c.result()/list[0].result(), "ratio")
		})
	}
}

// newBenchEngine makes an engine without some of the optimizations.
func newBenchEngine(b *testing.B, off optimization, o vm.Options, proofs ...*verifier.Proof) *Engine {
	b.Helper()
	e, err := New(o, proofs...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	e.tuning.off = off
	return e
}

func newInterpreter(b *testing.B, o vm.Options, proofs ...*verifier.Proof) *vm.Machine {
	b.Helper()
	m, err := vm.LoadProved(o, proofs...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	return m
}
