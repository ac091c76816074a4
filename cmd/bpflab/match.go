package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

var matchCommand = command{
	name:  "match",
	args:  "FILTER…",
	short: "print, count or copy the packets of a capture that a filter matches",
	long: `
Reads captures (pcap or pcapng, plain, gzip or zstd, recognised by content; "-"
is standard input) and runs each packet through the filter, compiled for the
packet's link type; no filter matches all. A matching packet is printed as one
line: its number in the file, time (UTC), captured/wire length and a summary of
its layers. With -p the filter is an existing classic program, in any form.

--engine chooses what runs the filter: the classic interpreter (cbpf), the
eBPF interpreter over its translation (interp), machine code made of that (jit),
the running kernel's (kernel: the filter is attached to a pair of sockets, which
takes no privilege), or all of them (all), which stops with status 1 at the first
packet on which two disagree and shows both states. What the kernel does not
take, as by metadata that packets on such sockets have not, is told on standard
error. The default (auto) is machine code where there can be any, or else cbpf.

-j lets several processors read and judge packets, each in other pieces of the
capture. What is printed or written, and its order, stays the same. Packets of an
interface are for "bpflab attach".

With --json, one object a line: {"file", "number", "time", "caplen", "wirelen",
"linktype", "summary"}; with --count, {"count"}.`,
	bind: bindMatch,
}

type matchRun struct {
	*app
	filterFlags
	inputs  []string
	output  string
	program string
	engine  string
	jobs    int
	limit   uint64
	count   bool
	quiet   bool
	json    bool

	filters    *linkFilters
	workers    []*worker
	writer     *capture.Writer
	outputFile *os.File
	begun      bool // a capture could be read and the filter fits it
	matched    uint64
	passed     int   // packets that --engine all has compared without the kernel
	passedWhy  error // the first of them
	pending    bool  // something may not have been handed over to the output
}

func bindMatch(a *app, flags *pflag.FlagSet) func([]string) error {
	m := &matchRun{app: a}
	flags.StringArrayVarP(&m.inputs, "read", "r", nil, "read the capture `FILE`; can be given several times")
	flags.StringVarP(&m.output, "write", "w", "", "write the matching packets to `FILE`, in the format of the input")
	flags.BoolVar(&m.count, "count", false, "print only how many packets matched")
	flags.Uint64VarP(&m.limit, "limit", "c", 0, "stop after `N` matching packets")
	flags.BoolVarP(&m.quiet, "quiet", "q", false, "print nothing; exit status 1 if no packet matched")
	flags.BoolVar(&m.json, "json", false, "one JSON object a line")
	flags.StringVar(&m.engine, "engine", "auto", "the `ENGINE` that runs the filter: auto, "+engineWords)
	flags.IntVarP(&m.jobs, "jobs", "j", 1, "let `N` processors judge packets")
	flags.StringVarP(&m.program, "program", "p", "", "use the classic program in `FILE` instead of a filter")
	m.filterFlags.declare(flags)
	return m.run
}

func (m *matchRun) run(args []string) error {
	switch {
	case len(m.inputs) == 0:
		return usagef("no capture given: -r FILE (packets of an interface: bpflab attach)")
	case len(m.inputs) > 1 && m.output != "":
		return usagef("-w takes one capture, not %d", len(m.inputs))
	case twice(m.inputs, "-"):
		return errStdinTwice
	case m.output == "-" && (m.count || m.json):
		return usagef("-w - leaves no room for --count or --json on standard output")
	case m.output != "" && m.json && !m.count:
		return usagef("-w writes the packets and prints none: it goes with --json only for --count")
	case m.quiet && (m.count || m.json):
		return usagef("-q prints nothing: it goes neither with --count nor with --json")
	}
	names, err := m.engineNames()
	if err != nil {
		return err
	}
	if m.filters, err = m.newFilters(args); err != nil {
		return err
	}
	m.workers = m.newWorkers(names)
	defer m.close()
	for _, name := range m.inputs {
		if err = m.readCapture(name); err != nil {
			break
		}
	}
	// What matched before an error is delivered all the same.
	end := m.conclude()
	if err == errEnough {
		return end
	}
	if end == (answerNo{}) && err != nil {
		return err
	}
	return errors.Join(err, end)
}

// errEnough ends the replay once -c packets have matched, or -q has its answer.
var errEnough = errors.New("enough")

// readCapture replays one capture through the filter.
func (m *matchRun) readCapture(name string) error {
	in, err := m.open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	reader, err := capture.NewReader(in)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	variantOf := variantsOf(reader)
	// A mistake in the filter is an error even where there are no packets.
	for _, i := range reader.Interfaces() {
		if _, err := m.workers[0].engines(variantOf(i.LinkType)); err != nil {
			return err
		}
	}
	if err := m.openOutput(reader); err != nil {
		return err
	}
	m.begun = true
	if len(m.workers[0].names) > 1 {
		err = m.compare(name, reader, variantOf)
	} else {
		err = m.filter(name, reader, variantOf)
	}
	if err == nil || errors.Is(err, errEnough) || errors.As(err, new(answerNo)) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// filter runs the packets through the one engine that was asked for.
func (m *matchRun) filter(name string, r *capture.Reader, variantOf func(cbpf.LinkType) variant) error {
	var engines []replay.EngineFor
	for _, w := range m.workers {
		engines = append(engines, func(link cbpf.LinkType) (engine.Engine, error) {
			made, err := w.engines(variantOf(link))
			if err != nil {
				return nil, err
			}
			return made[0], nil
		})
	}
	return replay.Filter(r, engines, func(matches *replay.Matches) error {
		if m.count && m.limit == 0 && m.writer == nil {
			m.matched += uint64(matches.Len())
			return nil
		}
		for match := range matches.All() {
			if err := m.deliver(name, match.Number, match.Packet); err != nil {
				return err
			}
		}
		return nil
	}, m.idle)
}

// compare runs them through several engines, and stops where those disagree.
func (m *matchRun) compare(name string, r *capture.Reader, variantOf func(cbpf.LinkType) variant) error {
	sides := func(link cbpf.LinkType) (sides []replay.Side, err error) {
		engines, err := m.workers[0].engines(variantOf(link))
		for _, e := range engines {
			sides = append(sides, sideOf(e))
		}
		return sides, err
	}
	disagreement, err := replay.Compare(prompt{r, m}, sides, func(number int, p *capture.Packet, results []engine.Result) error {
		m.notePassed(number, results)
		if results[0].Fault != nil {
			return fmt.Errorf("packet %d: %w", number, results[0].Fault)
		}
		if results[0].Return == 0 {
			return nil
		}
		return m.deliver(name, number, func() *capture.Packet { return p })
	})
	m.tellPassed()
	if disagreement != nil {
		return answerNo{fmt.Errorf("%s: %+v", name, disagreement)}
	}
	return err
}

// deliver counts a matching packet and prints or writes it.
func (m *matchRun) deliver(file string, number int, packet func() *capture.Packet) error {
	m.matched++
	m.pending = true
	var err error
	switch {
	case m.writer != nil:
		err = m.writer.Write(packet())
	case m.count || m.quiet:
	case m.json:
		err = m.printPacketJSON(file, number, packet())
	default:
		m.printLine(file, number, packet())
	}
	if err == nil && (m.matched == m.limit || m.quiet && m.writer == nil) {
		return errEnough
	}
	return err
}
