package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

var runCommand = command{
	name:  "run",
	args:  "PROG",
	short: "run an eBPF program over a capture",
	long: `
Runs each packet of a capture through an eBPF program: one of an ELF object as
clang builds it, assembly text, raw bytes or hexadecimal. Prints how often the
program returned each verdict, by its name. 'bpflab disasm' lists the programs,
maps and variables of an object.

--engine says how. checked is the interpreter that takes any program: it checks
every access, and a bad one ends the program for that packet with an error that
names the instruction, the line of C, the register and the address. interp and
jit take programs that the verifier accepts, and print its report for others:
interp is the interpreter without the checks that are proved to be superfluous,
jit is machine code of this processor. All give the same results. auto, which is
the default, takes the fastest of them that can run the program, and says so if
the verifier rejects it; with --trace and --mem it takes checked at once.

--engine kernel runs the program in the running kernel, as root and without
attaching it to anything, with its maps, tail calls and records. Packets that the
kernel does not test-run, or would show the program otherwise than the capture
tells, are not taken, and the limit is named. --engine all compares interp, jit and
kernel, as far as they are there, packet by packet: what the program returns, the
packet after it, what it sends through ring buffers and perf events, and what the
maps hold in the end. It stops with status 1 at the first difference and shows both
states. Packets that the kernel does not take are left out for all.

Everything that a machine does is repeatable: time and random numbers are fixed
sequences, which --time and --seed begin elsewhere.

The fields of the context are those of the capture: length, protocol, the
interface, queue, hash and direction of pcapng, the interface and packet type of
LINUX_SLL2. --ctx sets these and others for all packets. Programs of control
groups and routes (cgroup_skb, lwt_in, …) see packets without their link header.

With --mem there is no capture: r1 is the address of the bytes given and r2
their length, and r0 is printed in hexadecimal.

--bench measures how long each engine takes for a packet, over the first 65 536
packets of the capture, which are kept in memory: the engines take turns, and the
best of ten rounds counts. "jit, verdicts" is what match asks for: what a program
that only looks at packets returns, and nothing else. All engines must return the
same. The kernel, where it can be asked, runs each packet many times in a row, which
flatters it, and counts the nanoseconds.

--verdicts writes one line a packet: its number, the verdict and the length of the
packet after the program, or the fault. -w leaves out the packets on which the
program was stopped by a fault. Where one of the two goes to standard output, the
summary goes to standard error. --dump-maps prints {"map", "type", "elements"} for
each map, the elements as bpftool map dump -j does; --map reads the same elements.

With --json, one object: {"program", "type", "packets", "verdicts": {NAME: N},
"faults"}, with "not_taken" for packets that the engine does not take; with --mem,
{"r0": HEX}; with --bench, {"program", "type", "packets", "engines": [{"engine",
"ns", "speed"}]}, with "error" in place of the figures of an engine that there is
not, and "packets" for one that does not take all.`,
	bind: bindRun,
}

type runRun struct {
	*app
	objectFlags
	input    string
	tails    []string
	context  []string
	maps     []string
	dump     bool
	trace    bool
	memory   string
	output   string
	verdicts string
	seed     uint64
	time     uint64
	cpus     int
	cpu      uint32
	engine   string
	repeat   int
	bench    bool
	json     bool

	withMemory bool
	bytes      []byte         // of --mem
	inputs     []contextInput // of --ctx

	before int         // packets in earlier batches, for the trace
	line   object.Line // last one shown in the trace
}

// defaultTime is what the clock of a machine shows first.
const defaultTime = 1e9

func bindRun(a *app, flags *pflag.FlagSet) func([]string) error {
	r := &runRun{app: a}
	captures := flags.StringArrayP("read", "r", nil, "read the capture `FILE`")
	flags.StringVar(&r.program, "prog", "", "the program of the object to run, by `NAME`; not needed if there is only one")
	a.declareBTF(flags)
	r.objectFlags.declare(flags, "xdp, with --mem raw_tracepoint")
	flags.StringArrayVar(&r.tails, "tail", nil, "put a program of the object into a program array: `MAP[INDEX]=PROGRAM`; can be given several times")
	flags.StringArrayVar(&r.maps, "map", nil, "put elements into a map first: `NAME=FILE`, in bpftool's JSON; can be given several times")
	flags.StringSliceVar(&r.context, "ctx", nil, "what all packets have in fields of the context, by its names in C: `FIELD=N`; several have commas between them")
	flags.BoolVar(&r.dump, "dump-maps", false, "print all maps at the end, one JSON object a line")
	flags.BoolVar(&r.trace, "trace", false, "print each instruction that is run, with the registers before it")
	flags.StringVar(&r.memory, "mem", "", "no capture: run once over these bytes, `HEX`")
	flags.StringVarP(&r.output, "write", "w", "", "write all packets, as the program left them, to `FILE`")
	flags.StringVar(&r.verdicts, "verdicts", "", "write one line a packet to `FILE`")
	flags.Uint64Var(&r.seed, "seed", 0, "begin the random numbers that programs draw elsewhere: `N` is their seed")
	flags.Uint64Var(&r.time, "time", defaultTime, "what the clock shows first, in `NANOSECONDS`; it goes on by a microsecond whenever it is asked")
	flags.IntVar(&r.cpus, "cpus", 1, "per-CPU maps have values for `N` processors")
	flags.Uint32Var(&r.cpu, "cpu", 0, "the program runs on the processor with the number `N`")
	flags.StringVar(&r.engine, "engine", "auto", "run the program with this `ENGINE`: auto, "+strings.Join(runEngines, ", ")+", or all to compare them")
	flags.IntVar(&r.repeat, "repeat", 1, "run over the capture `N` times; maps keep their contents")
	flags.BoolVar(&r.bench, "bench", false, "measure the time that each engine takes for a packet")
	flags.BoolVar(&r.json, "json", false, "print the result as one JSON object")
	return func(args []string) error {
		r.withMemory = flags.Changed("mem") // with no bytes, too
		switch len(*captures) {
		case 0:
		case 1:
			r.input = (*captures)[0]
		default: // match takes several: the first must not be dropped unnoticed
			return usagef("run takes one capture, not %d", len(*captures))
		}
		if r.engine == engineKernel || r.engine == engineAll {
			if err := r.fitKernel(flags); err != nil {
				return err
			}
		}
		return r.run(args)
	}
}

func hookNames() string {
	var names []string
	for _, h := range abi.Hooks() {
		names = append(names, h.String())
	}
	return strings.Join(names, ", ")
}

func (r *runRun) run(args []string) error {
	name, err := one("program", args)
	if err == nil {
		err = r.checkFlags()
	}
	if err != nil {
		return err
	}
	if r.bytes, err = hex.DecodeString(strings.Join(strings.Fields(r.memory), "")); err != nil {
		return usagef("--mem wants bytes in hexadecimal, two digits each: %w", err)
	}
	p, err := r.load(name)
	if err != nil {
		return err
	}
	if r.withMemory {
		p.provedFor(len(r.bytes))
	}
	if r.inputs, err = contextInputs(p.typ, r.context); err != nil {
		return err
	}
	if r.bench {
		return r.runBench(p)
	}
	if r.engine == engineAll {
		return r.runAll(p)
	}
	m, err := r.machine(p, r.options(p))
	if err != nil {
		return err
	}
	defer m.Close()
	if err := r.fillMaps(m); err != nil {
		return err
	}
	if r.withMemory {
		err = r.runMemory(m, p)
	} else {
		err = r.runCapture(m, p)
	}
	if r.dump {
		return errors.Join(err, r.dumpMaps(m))
	}
	return err
}

// options are for one machine: each has a clock and random numbers of its own. By
// default they are those of the machine itself, which machine code knows how to
// make.
func (r *runRun) options(p *loaded) vm.Options {
	options := vm.Options{CPUs: r.cpus}
	if r.seed != 0 {
		options.Random = rand.New(rand.NewPCG(r.seed, 0)).Uint32
	}
	if r.time != defaultTime {
		options.Clock = r.clock()
	}
	if r.trace {
		options.Trace = func(s *vm.Step) { r.printStep(p, s) }
	}
	return options
}

// machine makes the engine that --engine asks for.
func (r *runRun) machine(p *loaded, o vm.Options) (machine, error) {
	name := r.engine
	if name == "auto" && (r.trace || r.withMemory) {
		name = engineChecked
	} else if name == "auto" {
		name = p.fastest()
	}
	m, err := newMachine(name, &p.runnable, o)
	switch {
	case isRefusal(err):
		return nil, err
	case err != nil:
		return nil, statusError{exitUsage, p.sizeHint(p.explain(err))}
	case r.engine == "auto" && p.report != nil:
		fmt.Fprintf(r.errOut, "bpflab run: every access is checked, because the verifier rejects the program: %v\n", p.report)
	}
	return m, nil
}

// checkFlags refuses flags that do not go together.
func (r *runRun) checkFlags() error {
	switch {
	case r.withMemory == (r.input != ""):
		return usagef("give a capture with -r, or bytes with --mem")
	case r.engine != "auto" && r.engine != engineAll && !slices.Contains(runEngines, r.engine):
		return usagef("--engine takes auto, %s or all, not %q", strings.Join(runEngines, ", "), r.engine)
	case r.withMemory && (r.engine == engineKernel || r.engine == engineAll):
		return usagef("--mem runs on our own engines: the kernel does not test-run programs that are about no packet")
	case r.trace && (r.engine == engineJIT || r.engine == engineKernel || r.engine == engineAll):
		return usagef("--trace is for the interpreter, not for machine code or the kernel")
	case r.bench && (r.engine != "auto" || r.trace || r.dump || r.repeat > 1 || r.output != "" || r.verdicts != ""):
		return usagef("--bench measures all engines and shows nothing else: it goes without --engine, --repeat, --trace, --dump-maps, -w and --verdicts")
	case r.repeat < 1 || r.cpus < 1 || int64(r.cpu) >= int64(r.cpus):
		return usagef("--repeat and --cpus are at least 1, and --cpu is below --cpus")
	case r.withMemory && (r.repeat > 1 || r.output != "" || r.verdicts != ""):
		return usagef("--repeat, -w and --verdicts are for captures, not for --mem")
	case r.output == "-" && r.verdicts == "-" || r.toStdout() && (r.json || r.dump):
		return usagef("standard output has room for one of -w -, --verdicts - and --json or --dump-maps")
	case r.trace && r.toStdout():
		return usagef("--trace prints on standard output: give -w and --verdicts a file")
	case r.trace && r.json:
		return usagef("--trace prints on standard output, and --json leaves no room for it there")
	case r.repeat > 1 && r.input == "-":
		return usagef("--repeat cannot read standard input again")
	}
	return nil
}

// toStdout reports whether a file of results goes to standard output.
func (r *runRun) toStdout() bool { return r.output == "-" || r.verdicts == "-" }

// clock is a clock that gives the same times on every run.
func (r *runRun) clock() func() uint64 {
	now := r.time
	return func() uint64 {
		shown := now
		now += 1000
		return shown
	}
}

// runMemory runs the program once over the bytes of --mem and prints r0.
func (r *runRun) runMemory(m machine, p *loaded) error {
	in := []engine.Packet{{Data: r.bytes, WireLen: uint32(len(r.bytes))}}
	out := make([]engine.Result, 1)
	if err := (&arrival{m, r, p.typ}).Run(in, out); err != nil {
		return err
	}
	if out[0].Fault != nil {
		return answerNo{p.explain(out[0].Fault)}
	}
	form := "%x\n"
	if r.json { // as a string: numbers of JSON are exact to 53 bits only
		form = "{\"r0\":\"%x\"}\n"
	}
	fmt.Fprintf(r.out, form, out[0].R0)
	return nil
}

func (r *runRun) newReport(p *loaded) *runReport {
	report := &runReport{app: r.app, program: p, counts: map[string]uint64{}, summary: r.out}
	if r.toStdout() {
		report.summary = r.errOut
	}
	return report
}

// runCapture runs the program over the capture and reports what it did.
func (r *runRun) runCapture(m machine, p *loaded) error {
	report := r.newReport(p)
	for range r.repeat {
		if err := r.replay(m, report); err != nil {
			return errors.Join(report.finish(r.json), err)
		}
	}
	return report.finish(r.json)
}

func (r *runRun) replay(m machine, report *runReport) error {
	in, err := r.open(r.input)
	if err != nil {
		return err
	}
	defer in.Close()
	reader, err := capture.NewReader(in)
	if err != nil {
		return inFile(r.input, err)
	}
	if err := report.open(r.output, r.verdicts, reader); err != nil {
		return err
	}
	e := &arrival{m, r, report.program.typ}
	return inFile(r.input, replay.Run(reader, replay.Always(e), report.packet))
}

// An arrival is an engine whose packets come in the way that the flags say:
// on one processor, with fields of the context set.
type arrival struct {
	machine
	run *runRun
	typ abi.ProgType
}

// Run adds to each packet's metadata what the flags say, and counts the packets
// for the trace.
func (a *arrival) Run(in []engine.Packet, out []engine.Result) error {
	if err := a.run.setMeta(in, a.typ); err != nil {
		return err
	}
	err := a.machine.Run(in, out)
	a.run.before += len(in)
	return err
}

func (r *runRun) setMeta(in []engine.Packet, typ abi.ProgType) error {
	for i := range in {
		in[i].Meta.CPU = r.cpu
		for _, c := range r.inputs {
			if err := vm.SetContext(&in[i].Meta, typ, c.field, c.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// printStep prints one instruction of a trace, behind its line of C where the
// object tells, and the registers that are not 0.
func (r *runRun) printStep(p *loaded, s *vm.Step) {
	if s.Index == 0 {
		fmt.Fprintf(r.out, "%s\n", r.paint(styleBold, fmt.Sprintf("packet %d: %s", r.before+s.Packet+1, s.Program)))
	}
	if line := p.lineAt(s.Program, s.Index); line != nil && *line != r.line {
		fmt.Fprintf(r.out, "%s\n", r.paint(styleFaint, "; "+line.Text))
		r.line = *line
	}
	fmt.Fprintf(r.out, "%5d: %-36s", s.Index, s.Insn)
	for i, v := range s.Registers {
		if v != 0 {
			fmt.Fprintf(r.out, " r%d=%#x", i, v)
		}
	}
	fmt.Fprintln(r.out)
}
