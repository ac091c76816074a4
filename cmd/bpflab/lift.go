package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
)

var liftCommand = command{
	name:  "lift",
	args:  "PROG",
	short: "translate a classic program to eBPF",
	long: `
Reads a classic program in any of its forms (tcpdump -d, -dd, -ddd, bpf_asm
text, iptables' bytecode, raw bytes, JSON; "-" is standard input) and writes an
eBPF program that gives the same answer at the hook.

At xdp, tc and cgroup_skb a match lets the packet pass and anything else drops
it; at a socket the return value is the length to keep. --returns changes that.`,
	bind: bindLift,
}

// targetFlags say for which hook a classic program is translated, and how it
// reaches the packet.
type targetFlags struct {
	hook    string
	access  string
	returns string
}

func (t *targetFlags) declare(flags *pflag.FlagSet, hook string) {
	var names []string
	for _, h := range abi.Hooks() {
		names = append(names, h.String())
	}
	flags.StringVar(&t.hook, "hook", hook, "make an eBPF program for this `HOOK`: "+strings.Join(names, ", "))
	flags.StringVar(&t.access, "access", "", "how it reads the packet, `ACCESS`: abs (socket, tc), direct (xdp, tc, cgroup_skb), load-bytes; default: the hook's fastest")
	flags.StringVar(&t.returns, "returns", "", "what it returns: `MATCH,NOMATCH` as numbers or names such as XDP_DROP,XDP_PASS; or length")
}

// liftOptions says how a classic program is to be translated.
func (t *targetFlags) liftOptions() (lift.Options, error) {
	hook, err := abi.ParseHook(t.hook)
	if err != nil {
		return lift.Options{}, usage(err)
	}
	options := lift.Options{Hook: hook}
	if options.Access, err = parseAccess(hook, t.access); err != nil {
		return options, usage(err)
	}
	if options.Returns, err = parseReturns(hook, t.returns); err != nil {
		return options, usage(err)
	}
	return options, nil
}

// parseAccess reads the --access flag; empty means the hook's first choice.
func parseAccess(hook abi.Hook, name string) (lift.Access, error) {
	var works []string
	for _, access := range lift.Accesses(hook) {
		if name == "" || name == access.String() {
			return access, nil
		}
		works = append(works, access.String())
	}
	return 0, fmt.Errorf("--access %s does not work at %s, where there is %s", name, hook, strings.Join(works, ", "))
}

// parseReturns reads the --returns flag; nil means the hook's own values.
func parseReturns(hook abi.Hook, text string) (*lift.Returns, error) {
	switch text {
	case "":
		return nil, nil
	case "length":
		return &lift.Returns{Length: true}, nil
	}
	match, noMatch, ok := strings.Cut(text, ",")
	if !ok {
		return nil, fmt.Errorf("--returns wants MATCH,NOMATCH or length, not %q", text)
	}
	m, err := parseVerdict(hook, match)
	if err != nil {
		return nil, err
	}
	n, err := parseVerdict(hook, noMatch)
	return &lift.Returns{Match: m, NoMatch: n}, err
}

func parseVerdict(hook abi.Hook, text string) (uint32, error) {
	for _, v := range hook.Info().Verdicts {
		if v.Name == text {
			return uint32(v.Value), nil
		}
	}
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil || n < -1<<31 || n >= 1<<32 {
		return 0, fmt.Errorf("%q is neither a 32-bit number nor a verdict of %s", text, hook)
	}
	return uint32(n), nil
}

type liftRun struct {
	*app
	outputFlags
	targetFlags
	source bool
}

func bindLift(a *app, flags *pflag.FlagSet) func([]string) error {
	l := &liftRun{app: a}
	l.targetFlags.declare(flags, "xdp")
	l.outputFlags.declare(flags, joinNames(ebpf.Formats()))
	flags.BoolVar(&l.source, "source", false, "show beside each instruction the classic one it comes from")
	return l.run
}

func (l *liftRun) run(args []string) error {
	name, err := one("classic program", args)
	if err != nil {
		return err
	}
	prog, err := l.readClassic(name)
	if err != nil {
		return err
	}
	options, err := l.liftOptions()
	if err != nil {
		return err
	}
	lifted, err := lift.Lift(prog, options)
	if err != nil {
		return inFile(name, err)
	}
	var comment func(int) string
	if l.source {
		comment = func(i int) string { return classicText(prog, lifted.Origin[i]) }
	}
	return l.writeExtended(l.outputFlags, "asm", options.Hook.Info().Section, lifted.Insns, comment)
}

// classicText lists the classic instructions of an origin set.
func classicText(prog []bpf.RawInstruction, set origin.Set) string {
	var parts []string
	for i := range prog {
		if set.Contains(i) {
			parts = append(parts, fmt.Sprintf("(%03d) %s", i, strings.Join(strings.Fields(cbpf.Mnemonic(prog[i], i)), " ")))
		}
	}
	return strings.Join(parts, " … ")
}

// readClassic reads a classic program from a file, in any form.
func (a *app) readClassic(name string) ([]bpf.RawInstruction, error) {
	prog, err := a.readProgram(name)
	if err == nil && prog.classic == nil {
		err = usagef("%s: this is eBPF, a classic program is wanted", name)
	}
	return prog.classic, err
}
