package jit

import (
	"testing"
	"time"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/filters"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// eachLeftOut are all optimizations, all but one, and none.
func eachLeftOut() []tuned {
	host := hostFeatures()
	return []tuned{
		{"all", tuning{host: host}},
		{"no-constants", tuning{host, constants}},
		{"no-bounds32", tuning{host, bounds32}},
		{"no-deadCode", tuning{host, deadCode}},
		{"no-fusion", tuning{host, fusion}},
		{"no-lengthFacts", tuning{host, lengthFacts}},
		{"no-reciprocals", tuning{host, reciprocals}},
		{"no-spareRegisters", tuning{host, spareRegisters}},
		{"no-inlineCalls", tuning{host, inlineCalls}},
		{"no-leanCode", tuning{host, leanCode}},
		{"no-MOVBE", tuning{host: features{BMI2: host.BMI2}}},
		{"no-BMI2", tuning{host: features{MOVBE: host.MOVBE}}},
		{"none", tuning{off: ^optimization(0)}},
	}
}

// BenchmarkOptimizations measures what each is worth by leaving it out: the size
// and the time of the corpus of filters, packets loaded by instructions of their
// own (socket) or by address (XDP), and of two real programs.
func BenchmarkOptimizations(b *testing.B) {
	needMachineCode(b)
	var list []measured
	for _, hook := range []abi.Hook{abi.HookSocket, abi.HookXDP} {
		list = append(list, corpusMeasured(b, hook))
	}
	mixed := newFilterBench(b, "tcp port 80", mixedFrames(1<<16))
	list = append(list, filterMeasured(b, "mixed", mixed.prove(abi.HookSocket), mixed.frames))
	for _, o := range []objectBench{
		{"xdp_firewall", "firewall", manyPackets(1000), fillFirewall},
		{"xdp_balancer", "balance", manyPackets(1000), fillBalancer},
	} {
		list = append(list, o.measured(b))
	}
	for i, t := range eachLeftOut() {
		b.Run(t.name, func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			for _, m := range list {
				b.ReportMetric(m.size[i], "B/"+m.name)
				b.ReportMetric(m.ns[i], "ns/"+m.name)
			}
		})
	}
}

// measured is the size of something and its time for a packet, by tuning.
type measured struct {
	name     string
	size, ns []float64
}

// codeSize is how many bytes of code packets run through.
func codeSize(e *Engine) int {
	c := emitLean(e.native, e.tuning, e.proofs)
	if c == nil {
		c = newCompiler(e.native, e.tuning)
		c.addPrograms(e.proofs)
		c.emitGeneral()
	}
	code := c.assemble()
	return len(code.Bytes)
}

// filterMeasured judges frames.
func filterMeasured(b *testing.B, name string, proof *verifier.Proof, frames []engine.Frame) measured {
	e, err := New(vm.Options{}, proof)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	in, out, verdicts := make([]engine.Packet, len(frames)), make([]engine.Result, len(frames)), make([]uint32, len(frames))
	for i, f := range frames {
		in[i] = engine.Packet{Data: f.Data, WireLen: f.WireLen}
	}
	m := measured{name: name}
	for _, t := range eachLeftOut() {
		e.retune(b, t.tuning)
		run := func() { e.Verdicts(frames, verdicts) }
		if e.lean == nil {
			run = func() {
				if err := e.Run(in, out); err != nil {
					b.Fatal(err)
				}
			}
		}
		m.size = append(m.size, float64(codeSize(e)))
		m.ns = append(m.ns, fastestOf(20, run)/float64(len(frames)))
	}
	return m
}

// corpusMeasured is the mean of all filters for Ethernet.
func corpusMeasured(b *testing.B, hook abi.Hook) measured {
	frames, corpus := corpusFrames(), corpusProofs(b, hook)
	sum := measured{name: hook.String(), size: make([]float64, len(eachLeftOut())), ns: make([]float64, len(eachLeftOut()))}
	for _, proof := range corpus {
		m := filterMeasured(b, "", proof, frames)
		for i := range m.ns {
			sum.size[i] += m.size[i] / float64(len(corpus))
			sum.ns[i] += m.ns[i] / float64(len(corpus))
		}
	}
	return sum
}

// retune makes an engine compile anew.
func (e *Engine) retune(b *testing.B, t tuning) {
	if err := e.code.close(); err != nil {
		b.Fatal(err)
	}
	if err := e.lean.close(); err != nil {
		b.Fatal(err)
	}
	e.code, e.lean, e.tried, e.tuning = nil, nil, false, t
	if err := e.prepare(); err != nil {
		b.Fatal(err)
	}
}

func fastestOf(runs int, run func()) float64 {
	best := time.Hour
	for range runs {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	return float64(best.Nanoseconds())
}

// measured runs the program over its packets.
func (o *objectBench) measured(b *testing.B) measured {
	proofs, _ := o.prove(b)
	m := measured{name: o.program}
	var list []*contender
	for _, t := range eachLeftOut() {
		e := newBenchEngine(b, 0, vm.Options{}, proofs...)
		e.tuning = t.tuning
		m.size = append(m.size, float64(codeSize(e)))
		list = append(list, o.here(b, t.name, e, e.Machine()))
	}
	takeTurns(list)
	for _, c := range list {
		m.ns = append(m.ns, c.result())
	}
	return m
}

// corpusProofs are the filters for Ethernet of the corpus, translated for a hook.
func corpusProofs(b *testing.B, hook abi.Hook) (list []*verifier.Proof) {
	for _, c := range filters.Load() {
		if c.LinkType != cbpf.LinkEthernet {
			continue
		}
		p, err := filter.Compile(c.Expr, filter.Options{LinkType: c.LinkType, Netmask: 0xffffff00, NetmaskKnown: true})
		if err != nil {
			b.Fatal(err)
		}
		l, err := lift.Lift(p.Insns, lift.Options{Hook: hook, Access: lift.Accesses(hook)[0], Returns: &lift.Returns{Length: true}})
		if err != nil {
			continue // about what programs at the hook do not know
		}
		list = append(list, proofFor(b, &verifier.Program{Type: l.Type, Insns: l.Insns}))
	}
	return list
}

func corpusFrames() (list []engine.Frame) {
	for _, p := range packets.Generate(cbpf.LinkEthernet, 1, batch) {
		list = append(list, engine.Frame{Data: p.Data, WireLen: p.WireLen})
	}
	return list
}
