package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// This file is run --bench. Timings of a busy machine are too long, never too
// short: so engines take turns, round by round, and the best round counts.

const (
	maxBenchPackets = 1 << 16 // at most, so that the capture fits into memory
	benchBatch      = 256     // as in a replay
	benchRounds     = 10
	benchRound      = 20 * time.Millisecond // at least
)

// A contender is one way to run the program over the packets.
type contender struct {
	Engine string  `json:"engine"`
	NS     float64 `json:"ns,omitempty"`    // a packet
	Speed  float64 `json:"speed,omitempty"` // times as fast as the first one
	Error  string  `json:"error,omitempty"` // why there is no figure

	Packets int `json:"packets,omitempty"` // how many it is about, if it does not take all

	round func() (ns float64, err error) // takes the time for a packet; nil with an Error
}

// A bench is what --bench measures, and its JSON.
type bench struct {
	Program string       `json:"program"`
	Type    string       `json:"type"`
	Packets int          `json:"packets"`
	Engines []*contender `json:"engines"`

	in     []engine.Packet
	frames []engine.Frame
	wants  []uint32 // what the first engine returned

	machines []machine
}

func (b *bench) close() {
	for _, m := range b.machines {
		m.Close()
	}
}

// runBench measures how long each engine takes for a packet, and prints it.
func (r *runRun) runBench(p *loaded) error {
	b := &bench{Program: p.name, Type: p.typ.String()}
	if err := r.benchInput(b, p); err != nil {
		return err
	}
	defer b.close()
	for _, name := range runEngines {
		if err := r.contend(b, name, p); err != nil {
			return err
		}
	}
	if err := b.measure(); err != nil {
		return err
	}
	if r.json {
		return json.NewEncoder(r.out).Encode(b)
	}
	b.print(r.out)
	return nil
}

// contend makes an engine and takes it in, or notes why it is not there.
func (r *runRun) contend(b *bench, name string, p *loaded) error {
	if name == engineKernel && r.withMemory {
		return nil // it runs such programs on packets only
	}
	m, err := newMachine(name, &p.runnable, r.benchOptions(p, name))
	if isRefusal(err) {
		b.Engines = append(b.Engines, &contender{Engine: name, Error: err.Error()})
		return nil
	}
	if err != nil {
		return statusError{exitUsage, p.sizeHint(p.explain(err))}
	}
	b.machines = append(b.machines, m)
	if err := r.fillMaps(m); err != nil {
		return err
	}
	return b.enter(name, m, p)
}

func (r *runRun) benchOptions(p *loaded, name string) vm.Options {
	o := r.options(p)
	if cpus, err := kernel.PossibleCPUs(); err == nil && name == engineKernel {
		o.CPUs = cpus
	}
	return o
}

// benchInput reads the packets: of few ones, several copies.
func (r *runRun) benchInput(b *bench, p *loaded) error {
	if r.withMemory {
		b.in = []engine.Packet{{Data: r.bytes, WireLen: uint32(len(r.bytes))}}
	} else if err := r.benchCapture(b); err != nil {
		return inFile(r.input, err)
	}
	if b.Packets = len(b.in); b.Packets == 0 {
		return inFile(r.input, usagef("there are no packets to measure with"))
	}
	if err := r.setMeta(b.in, p.typ); err != nil {
		return err
	}
	for n := b.Packets; len(b.in) < benchBatch; {
		b.in = append(b.in, b.in[:n]...)
	}
	for i := range b.in {
		b.frames = append(b.frames, engine.Frame{Data: b.in[i].Data, WireLen: b.in[i].WireLen})
	}
	return nil
}

func (r *runRun) benchCapture(b *bench) error {
	f, err := r.open(r.input)
	if err != nil {
		return err
	}
	defer f.Close()
	reader, err := capture.NewReader(f)
	if err != nil {
		return err
	}
	for len(b.in) < maxBenchPackets {
		packet, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		b.in = append(b.in, packet.Clone().Engine())
	}
	return nil
}

// enter runs an engine once over the packets, to see that it takes them and
// returns what the others do, and takes it in. One that can judge packets by
// their bytes alone contends a second time, in that way.
func (b *bench) enter(name string, m machine, p *loaded) error {
	if k, ok := m.(*kernelMachine); ok {
		return b.enterKernel(k)
	}
	out := make([]engine.Result, benchBatch)
	at := 0
	for in := range slices.Chunk(b.in, benchBatch) {
		if err := m.Run(in, out); err != nil {
			return err
		}
		for i := range in {
			if err := b.check(name, at, &out[i], p); err != nil {
				return err
			}
			at++
		}
	}
	b.add(name, func() error { // as above, without a look at the results
		for in := range slices.Chunk(b.in, benchBatch) {
			if err := m.Run(in, out); err != nil {
				return err
			}
		}
		return nil
	})
	f, ok := m.(engine.Filter)
	verdicts := make([]uint32, len(b.frames))
	if ok && f.Verdicts(b.frames, verdicts) == len(b.frames) {
		b.add(name+", verdicts", func() error {
			f.Verdicts(b.frames, verdicts)
			return nil
		})
	}
	return nil
}

func (b *bench) add(name string, pass func() error) {
	b.Engines = append(b.Engines, &contender{Engine: name, round: b.rounds(pass)})
}

// check looks at the first result for each packet.
func (b *bench) check(name string, i int, r *engine.Result, p *loaded) error {
	switch {
	case r.Fault != nil:
		return answerNo{fmt.Errorf("engine %s: packet %d: %w", name, i+1, p.explain(r.Fault))}
	case i == len(b.wants):
		b.wants = append(b.wants, r.Return)
	case r.Return != b.wants[i]:
		return answerNo{fmt.Errorf("engine %s: packet %d: the program returns %d, and %d with engine %s", name, i+1, r.Return, b.wants[i], ebpfEngines[0])}
	}
	return nil
}

// enterKernel lets the kernel contend. It runs each packet many times in a test
// run: one by one, entering the kernel would be all that there is to see.
func (b *bench) enterKernel(k *kernelMachine) error {
	if err := k.Run(nil, nil); err != nil { // the maps
		return err
	}
	in := b.in[:b.Packets]
	repeat := max(16, min(1000, (1<<20)/len(in)))
	_, n, err := k.Time(in, repeat)
	c := &contender{Engine: engineKernel}
	b.Engines = append(b.Engines, c)
	switch {
	case err != nil:
		return err
	case n == 0:
		c.Error = "takes none of the packets"
		return nil
	case n < len(in):
		c.Packets = n
	}
	c.round = func() (float64, error) {
		ns, _, err := k.Time(in, repeat)
		return ns, err
	}
	return nil
}

// measure lets the engines take turns.
func (b *bench) measure() error {
	for range benchRounds {
		for _, c := range b.Engines {
			if c.round == nil {
				continue
			}
			ns, err := c.round()
			if err != nil {
				return err
			}
			if c.NS == 0 || ns < c.NS {
				c.NS = ns
			}
		}
	}
	for _, c := range b.Engines {
		if c.NS > 0 {
			c.Speed = b.Engines[0].NS / c.NS
		}
	}
	return nil
}

// rounds makes rounds of passes over all packets. The first one finds out how many
// passes it takes for the time to be long enough.
func (b *bench) rounds(pass func() error) func() (float64, error) {
	passes := 0
	return func() (float64, error) {
		start := time.Now()
		for n := 0; n < passes || passes == 0; n++ {
			if err := pass(); err != nil {
				return 0, err
			}
			if passes == 0 && time.Since(start) >= benchRound {
				passes = n + 1
			}
		}
		return float64(time.Since(start).Nanoseconds()) / float64(passes*len(b.in)), nil
	}
}

func (b *bench) print(w io.Writer) {
	plural := "s"
	if b.Packets == 1 {
		plural = ""
	}
	fmt.Fprintf(w, "%s (%s), %d packet%s\n%-16s %12s %8s\n", b.Program, b.Type, b.Packets, plural, "engine", "ns a packet", "speed")
	for _, c := range b.Engines {
		if c.Error != "" {
			fmt.Fprintf(w, "%-16s %12s %8s  %s\n", c.Engine, "-", "", strings.ReplaceAll(c.Error, "\n", " "))
			continue
		}
		fmt.Fprintf(w, "%-16s %12.1f %7.1fx", c.Engine, c.NS, c.Speed)
		if c.Packets > 0 {
			fmt.Fprintf(w, "  on %d of the packets", c.Packets)
		}
		fmt.Fprintln(w)
	}
}
