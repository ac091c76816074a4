package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

// A machineCode is disasm with --jit or --kernel: the machine code of programs,
// ours and the kernel's.
type machineCode struct {
	verifyRun
	jit bool
}

// wanted reports whether machine code is to be shown at all.
func (m *machineCode) wanted() bool { return m.jit || m.kernel }

func (m *machineCode) declare(flags *pflag.FlagSet) {
	flags.BoolVar(&m.jit, "jit", false, "show the machine code that the program is compiled to")
	flags.BoolVar(&m.kernel, "kernel", false, "show what the running kernel makes of the program: its rewritten instructions and machine code")
	flags.StringVar(&m.progType, "type", "", "with --jit and --kernel, the `TYPE` of a program that does not tell (default xdp)")
	flags.StringVar(&m.hook, "hook", "", "with --jit and --kernel, the `HOOK` that a classic program is translated for (default xdp)")
}

// show writes the machine code of the programs in a file. Those of an object are
// compiled each for itself. One that is rejected is reported in its place.
func (m *machineCode) show(o outputFlags, args []string, only string) error {
	format, err := o.resolve("asm")
	if err == nil && format != "asm" && format != "json" {
		err = usagef("--jit and --kernel write asm or json, not %q", format)
	}
	if err != nil {
		return err
	}
	m.program = only
	subjects, err := m.subjects(args)
	errs := []error{err}
	for i, s := range subjects {
		if i > 0 && format == "asm" {
			fmt.Fprintln(m.out)
		}
		if m.jit {
			errs = append(errs, m.showOne(s, format))
		}
		if m.jit && m.kernel && format == "asm" {
			fmt.Fprintln(m.out)
		}
		if m.kernel {
			errs = append(errs, m.showKernel(s, format))
		}
	}
	return errors.Join(errs...)
}

func (m *machineCode) showOne(s *subject, format string) error {
	r := runnable{programs: []*verifier.Program{&s.Program}}
	if !r.prove() {
		return r.rejected()
	}
	l, err := jit.List(vm.Options{}, r.proofs...)
	switch {
	case err != nil:
		return err
	case format == "json":
		return json.NewEncoder(m.out).Encode(l)
	}
	return l.Write(m.out)
}
