package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/ebpf/kernel"
)

var doctorCommand = command{
	name:  "doctor",
	short: "say what this machine and user can do",
	long: `
Says whether programs run as machine code here (engine jit), and lists what the
parts of bpflab that use the kernel need (root, bpf(), its JIT, BTF, tracefs, …),
whether it is there, and what to do about what is not. Then it tries each hook
that 'bpflab attach' knows: a program that does nothing is attached to interfaces
of a network namespace made for it, to a new control group, to a rare event, to
a file that nobody runs; all of it is gone afterwards. Compiling, translating and
running over captures need none of it.

What is left to users without rights is in the list, too: classic filters on
their own sockets, and user namespaces, in which they capture on interfaces of
their own.

With --json, one object a line: {"name", "ok", "detail", "hint"}.`,
	bind: bindDoctor,
}

func bindDoctor(a *app, flags *pflag.FlagSet) func([]string) error {
	asJSON := flags.Bool("json", false, "one JSON object a line")
	return func(args []string) error {
		if len(args) > 0 {
			return usagef("doctor takes no arguments")
		}
		for _, check := range append([]kernel.Check{checkMachineCode()}, kernel.Probe()...) {
			if *asJSON {
				if err := json.NewEncoder(a.out).Encode(check); err != nil {
					return err
				}
				continue
			}
			a.printCheck(check)
		}
		return nil
	}
}

func (a *app) printCheck(c kernel.Check) {
	mark := a.paint(styleGreen, "yes")
	if !c.OK {
		mark = a.paint(styleRed, "no ")
	}
	fmt.Fprintf(a.out, "%s  %-28s %s\n", mark, c.Name, c.Detail)
	if !c.OK && c.Hint != "" {
		fmt.Fprintf(a.out, "     %s\n", a.paint(styleFaint, "→ "+c.Hint))
	}
}
