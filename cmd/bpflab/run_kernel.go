package main

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// fitKernel makes the machine like the kernel, in what cannot be chosen there.
func (r *runRun) fitKernel(flags *pflag.FlagSet) error {
	for _, name := range []string{"seed", "time"} {
		if flags.Changed(name) {
			return usagef("--%s is for our own engines: the kernel's clock and random numbers are its own", name)
		}
	}
	cpus, err := kernel.PossibleCPUs()
	switch {
	case errors.Is(err, errors.ErrUnsupported) && r.engine == engineAll:
		return nil
	case err != nil:
		return noKernel(fmt.Errorf("engine kernel: %w", err))
	case flags.Changed("cpus") && r.cpus != cpus:
		return usagef("--cpus %d: this kernel's per-CPU maps have values for %d", r.cpus, cpus)
	}
	r.cpus = cpus
	return nil
}

// runAll runs the program on all engines that there are here, packet by packet,
// until two of them come to different ends, and compares what the maps hold then.
// What is printed and written is what the first of them does.
func (r *runRun) runAll(p *loaded) error {
	machines, err := r.allMachines(p)
	defer func() {
		for _, m := range machines {
			m.Close()
		}
	}()
	if err != nil {
		return err
	}
	for _, m := range machines {
		if err := r.fillMaps(m); err != nil {
			return err
		}
	}
	err = r.compareCapture(machines, p)
	if r.dump {
		err = errors.Join(err, r.dumpMaps(machines[0]))
	}
	return err
}

// allMachines makes the engines that take the program here, and says of the
// others why they are left out.
func (r *runRun) allMachines(p *loaded) (machines []machine, _ error) {
	names := []string{engineInterp, engineJIT, engineKernel}
	if !p.prove() {
		r.leftOut("interp, jit", p.report)
		names = []string{engineChecked, engineKernel}
	}
	for _, name := range names {
		m, err := newMachine(name, &p.runnable, r.options(p))
		switch {
		case err == nil:
			machines = append(machines, m)
		case name == engineKernel && isRefusal(err), errors.Is(err, jit.ErrUnsupported):
			r.leftOut(name, err)
		default:
			return machines, statusError{exitUsage, p.sizeHint(p.explain(err))}
		}
	}
	if len(machines) < 2 {
		return machines, noKernel(fmt.Errorf("there is no second engine here to compare %s with", machines[0].Name()))
	}
	return machines, nil
}

func (r *runRun) leftOut(name string, why error) {
	text := strings.TrimPrefix(why.Error(), "engine "+name+": ")
	fmt.Fprintf(r.errOut, "bpflab run: engine %s is left out: %s\n", name, text)
}

// A comparison is a replay through several machines. A packet that one of them
// does not take is left out for all, because their maps would differ from
// there on.
type comparison struct {
	*runReport
	run      *runRun
	machines []machine // that of the kernel is the last
	sides    []replay.Side
	reader   *capture.Reader
	taken    int
	left     []int // numbers of the packets left out
	why      error // the first of them
}

func (r *runRun) compareCapture(machines []machine, p *loaded) error {
	c := &comparison{runReport: r.newReport(p), run: r, machines: machines}
	for _, m := range machines {
		_, inKernel := m.(*kernelMachine)
		c.sides = append(c.sides, replay.Side{Engine: &arrival{m, r, p.typ}, PadsEvents: inKernel})
	}
	for range r.repeat {
		different, err := r.compareOnce(c)
		switch {
		case err != nil:
			return errors.Join(c.finish(r.json), err)
		case different != nil:
			return errors.Join(c.flush(), answerNo{inFile(r.input, fmt.Errorf("%+v", different))})
		}
	}
	err := c.finish(r.json)
	for _, m := range machines {
		if err := fetchMaps(m); err != nil {
			return err
		}
	}
	for _, m := range machines[1:] {
		if d := replay.CompareMaps(machines[0].Maps(), m.Maps()); d != nil {
			err = errors.Join(err, answerNo{fmt.Errorf("after the last packet, engines %s and %s disagree about %v", machines[0].Name(), m.Name(), d)})
		}
	}
	return err
}

func (r *runRun) compareOnce(c *comparison) (*replay.Disagreement, error) {
	in, err := r.open(r.input)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if c.reader, err = capture.NewReader(in); err != nil {
		return nil, inFile(r.input, err)
	}
	if err := c.open(r.output, r.verdicts, c.reader); err != nil {
		return nil, err
	}
	c.taken, c.left = 0, nil
	d, err := replay.Compare(c, replay.AlwaysSides(c.sides...), func(n int, p *capture.Packet, results []engine.Result) error {
		return c.packet(c.number(n), p, results)
	})
	if d != nil {
		d.Number = c.number(d.Number)
	}
	if len(c.left) > 0 {
		fmt.Fprintf(r.errOut, "bpflab run: %d of %d packets are left out: %v\n", len(c.left), c.taken+len(c.left), c.why)
	}
	return d, inFile(r.input, err)
}

// Next gives the next packet that all engines take.
func (c *comparison) Next() (*capture.Packet, error) {
	for {
		p, err := c.reader.Next()
		if err != nil {
			return nil, err
		}
		if err = c.takes(p); err == nil {
			c.taken++
			return p, nil
		}
		c.left = append(c.left, c.taken+len(c.left)+1)
		if len(c.left) == 1 {
			c.why = fmt.Errorf("packet %d: %w", c.left[0], err)
		}
	}
}

func (c *comparison) takes(p *capture.Packet) error {
	k, ok := c.machines[len(c.machines)-1].(*kernelMachine)
	if !ok {
		return nil
	}
	in := []engine.Packet{p.Engine()}
	if err := c.run.setMeta(in, c.program.typ); err != nil {
		return err
	}
	return k.Takes(&in[0])
}

// number is the number in the capture of the nth packet that was taken.
func (c *comparison) number(n int) int {
	before := sort.Search(len(c.left), func(i int) bool { return c.left[i]-i > n })
	return n + before
}
