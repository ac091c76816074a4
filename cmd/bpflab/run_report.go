package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// A runReport gathers what a program did with the packets of a capture.
type runReport struct {
	*app
	program  *loaded
	packets  uint64
	faults   uint64
	notTaken uint64            // packets that the engine cannot have
	counts   map[string]uint64 // by verdict
	summary  io.Writer
	verdicts *bufio.Writer   // of --verdicts, or nil
	writer   *capture.Writer // of -w, or nil
	outputs  []*os.File
}

// maxFaultsShown is how many faults are told one by one.
const maxFaultsShown = 5

// open begins the files that -w and --verdicts ask for, once.
func (r *runReport) open(output, verdicts string, like *capture.Reader) error {
	if r.writer != nil || r.verdicts != nil {
		return nil
	}
	if output != "" {
		w, err := r.destination(output)
		if err != nil {
			return err
		}
		r.writer = capture.NewWriterLike(w, like)
	}
	if verdicts != "" {
		w, err := r.destination(verdicts)
		if err != nil {
			return err
		}
		r.verdicts = bufio.NewWriter(w)
	}
	return nil
}

// destination creates an output file; "-" is standard output.
func (r *runReport) destination(name string) (io.Writer, error) {
	if name == "-" {
		return r.out, nil
	}
	f, err := r.create(name)
	if err == nil {
		r.outputs = append(r.outputs, f)
	}
	return f, err
}

// packet takes what the program did with one packet.
func (r *runReport) packet(number int, p *capture.Packet, results []engine.Result) error {
	result := &results[0]
	r.packets++
	for _, e := range result.Events {
		fmt.Fprintf(r.errOut, "packet %d: %s: %s\n", number, e.Source, printable(e.Data))
	}
	if result.Fault != nil {
		return r.fault(number, result.Fault)
	}
	name := r.program.typ.VerdictName(result.Return)
	r.counts[name]++
	if r.verdicts != nil {
		fmt.Fprintf(r.verdicts, "%d %s %d\n", number, name, len(result.Data))
	}
	if r.writer == nil {
		return nil
	}
	after := *p
	after.Data = result.Data
	after.WireLen += uint32(len(result.Data)) - uint32(len(p.Data))
	return r.writer.Write(&after)
}

func (r *runReport) fault(number int, fault error) error {
	count := &r.faults
	if errors.Is(fault, engine.ErrPacket) {
		count = &r.notTaken
	}
	*count++
	err := r.program.explain(fault)
	if *count <= maxFaultsShown {
		fmt.Fprintf(r.errOut, "packet %d: %v\n", number, err)
	}
	if r.verdicts != nil {
		fmt.Fprintf(r.verdicts, "%d fault %v\n", number, err)
	}
	return nil
}

// printable is text as it is, and any other data in hexadecimal.
func printable(data []byte) string {
	for _, c := range data {
		if c < ' ' && c != '\t' && c != '\n' || c > '~' {
			return fmt.Sprintf("%x", data)
		}
	}
	return string(data)
}

// finish ends the files and prints the summary. A program with faults is an
// answer of no; that packets were not taken says nothing of the program.
func (r *runReport) finish(asJSON bool) error {
	if err := r.flush(); err != nil {
		return ioError(err)
	}
	if asJSON {
		if err := r.printJSON(); err != nil {
			return err
		}
	} else {
		r.print()
	}
	if r.faults > 0 {
		return answerNo{fmt.Errorf("the program was stopped on %d of %d packets", r.faults, r.packets)}
	}
	if r.notTaken > 0 {
		return statusError{exitUnsupported, fmt.Errorf("the engine does not take %d of %d packets", r.notTaken, r.packets)}
	}
	return nil
}

func (r *runReport) flush() error {
	if r.writer != nil {
		if err := r.writer.Flush(); err != nil {
			return err
		}
	}
	if r.verdicts != nil {
		if err := r.verdicts.Flush(); err != nil {
			return err
		}
	}
	for _, f := range r.outputs {
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (r *runReport) print() {
	for _, name := range r.byCount() {
		fmt.Fprintf(r.summary, "%8d %s\n", r.counts[name], name)
	}
	if r.faults > 0 {
		fmt.Fprintf(r.summary, "%8d %s\n", r.faults, r.paint(styleRed, "stopped by a fault"))
	}
	if r.notTaken > 0 {
		fmt.Fprintf(r.summary, "%8d %s\n", r.notTaken, r.paint(styleRed, "not taken by the engine"))
	}
}

// byCount returns the verdicts, the most frequent first.
func (r *runReport) byCount() []string {
	names := slices.Sorted(maps.Keys(r.counts))
	slices.SortStableFunc(names, func(a, b string) int {
		switch x, y := r.counts[a], r.counts[b]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return names
}

func (r *runReport) printJSON() error {
	return json.NewEncoder(r.summary).Encode(struct {
		Program  string            `json:"program"`
		Type     string            `json:"type"`
		Packets  uint64            `json:"packets"`
		Verdicts map[string]uint64 `json:"verdicts"`
		Faults   uint64            `json:"faults"`
		NotTaken uint64            `json:"not_taken,omitempty"`
	}{r.program.name, r.program.typ.String(), r.packets, r.counts, r.faults, r.notTaken})
}
