package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm/replay"
)

var verifyCommand = command{
	name:  "verify",
	args:  "PROG",
	short: "prove that an eBPF program is safe, or say why not",
	long: `
Follows all paths through a program and proves that every run of it ends and
touches only what it may, or reports the first path on which that fails: the
rule that is broken, the place in the source, the arithmetic, how it came about,
what to do, and, if one is found, a packet on which the program goes wrong. PROG
is an ELF object as clang builds it, all of its programs or the one of --prog;
assembly text, raw bytes or hexadecimal; or a classic program in any form, which
is translated for the --hook first. With --filter the arguments are a filter,
which is compiled and translated, and the report names the part of it.

--state prints a proved program with what is known before each instruction:
beside it stand the registers and parts of the stack that are new and will be
read, and the register that holds an address. For a program that is rejected
the report shows the path instead.

--kernel loads the program into the kernel as well, with its maps but without
attaching it to anything, and prints the kernel's verdict below ours, with the
instructions that its verifier went through, the time, and the size of what the
kernel has made of the program ('bpflab disasm --kernel' shows that). --kernel-log
adds the verifier's log.

With --json, one object a program: {"program", "type", "instructions",
"accepted", "stats": {"steps", "states", "peak", "searches"}, "time_ns"}, for a
rejected one with "report": {"code", "message", "slot", …}, with --state
"listing", an array, and with --kernel "kernel": {"accepted", "message",
"stats", "translated", "machine", "log"}.`,
	bind: bindVerify,
}

type verifyRun struct {
	*app
	objectFlags
	targetFlags
	filter bool
	steps  int
	strict bool
	state  bool
	kernel bool
	json   bool

	kernelLog bool

	wordy bool // the last program took more than a line
}

func bindVerify(a *app, flags *pflag.FlagSet) func([]string) error {
	v := &verifyRun{app: a}
	flags.StringVar(&v.program, "prog", "", "the program of the object to verify, by `NAME` (default all)")
	a.declareBTF(flags)
	v.objectFlags.declare(flags, "xdp")
	flags.BoolVar(&v.filter, "filter", false, "the arguments are a filter, not a program")
	v.targetFlags.declare(flags, "")
	flags.IntVar(&v.steps, "steps", verifier.DefaultSteps, "give up after looking at `N` instructions, over all paths")
	flags.BoolVar(&v.strict, "strict", false, "refuse what the kernel allows privileged users only: reading stack that was never written, letting the value of a pointer out")
	flags.BoolVar(&v.state, "state", false, "print the program with what is known before each instruction")
	flags.BoolVar(&v.kernel, "kernel", false, "ask the kernel, too")
	flags.BoolVar(&v.kernelLog, "kernel-log", false, "print the log of the kernel's verifier, with all details; implies --kernel")
	flags.BoolVar(&v.json, "json", false, "print one JSON object a program")
	return v.run
}

func (v *verifyRun) run(args []string) error {
	if v.steps < 1 {
		return usagef("--steps is at least 1")
	}
	subjects, err := v.subjects(args)
	if subjects == nil {
		return err
	}
	errs := []error{err}
	for _, s := range subjects {
		errs = append(errs, v.verify(s))
	}
	return errors.Join(errs...)
}

// A verdict is what there is to say of a program, and its JSON.
type verdict struct {
	Program      string                `json:"program"`
	Type         string                `json:"type"`
	Instructions int                   `json:"instructions"`
	Accepted     bool                  `json:"accepted"`
	Stats        verifier.Stats        `json:"stats"`
	Time         time.Duration         `json:"time_ns"`
	Report       *verifier.Report      `json:"report,omitempty"`
	Listing      []verifier.ListedInsn `json:"listing,omitempty"`
	Kernel       *kernelVerdict        `json:"kernel,omitempty"`

	proof *verifier.Proof
}

// verify verifies a program and prints the verdict. The error is an answerNo if
// it is rejected here or by the kernel.
func (v *verifyRun) verify(s *subject) error {
	result := verdict{Program: s.Name, Type: s.Type.String(), Instructions: len(s.Insns)}
	options := verifier.Options{Steps: v.steps, Strict: v.strict, Facts: v.state}
	start := time.Now()
	result.proof, result.Report = verifier.Verify(&s.Program, options)
	result.Time = time.Since(start)
	result.Accepted = result.proof != nil
	if result.Accepted {
		result.Stats = result.proof.Stats()
	} else {
		result.Stats = result.Report.Stats
		result.Report.Witness = replay.Witness(&s.Program, result.Report, 0)
	}
	var err error
	if v.kernel || v.kernelLog {
		result.Kernel, err = askKernel(s, v.kernelLog)
	}
	err = errors.Join(v.print(&result), err)
	if !result.Accepted || result.Kernel != nil && !result.Kernel.Accepted {
		err = errors.Join(err, answerNo{})
	}
	return err
}

func (v *verifyRun) print(r *verdict) error {
	if v.json {
		if v.state && r.Accepted {
			r.Listing = r.proof.Listing()
		}
		encoder := json.NewEncoder(v.out)
		encoder.SetEscapeHTML(false) // comparisons have "<" and ">" in them
		return encoder.Encode(r)
	}
	if v.wordy {
		fmt.Fprintln(v.out)
	}
	v.wordy = !r.Accepted || v.state || v.kernelLog
	fmt.Fprintf(v.out, "%s %s (%s): %d instructions, %d steps, %d states in %v\n",
		v.word(r.Accepted), v.paint(styleBold, r.Program), r.Type, r.Instructions, r.Stats.Steps, r.Stats.Peak, r.Time.Round(time.Microsecond))
	if r.Kernel != nil {
		v.printKernel(r.Kernel)
		if v.kernelLog {
			v.printLog(r.Kernel)
		}
	}
	switch {
	case !r.Accepted:
		fmt.Fprintln(v.out)
		return r.Report.Write(v.out, v.color)
	case v.state:
		fmt.Fprintln(v.out)
		return r.proof.WriteListing(v.out, v.color)
	}
	return nil
}

func (a *app) word(accepted bool) string {
	if accepted {
		return a.paint(styleGreen, "accepted")
	}
	return a.paint(styleRed, "rejected")
}
