package main

import (
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
)

// outputFlags choose the form in which a program is written.
type outputFlags struct {
	dump   int
	format string
	json   bool
}

func (o *outputFlags) declare(flags *pflag.FlagSet, formats string) {
	flags.StringVarP(&o.format, "format", "f", "", "output `FORMAT`: "+formats)
	flags.BoolVar(&o.json, "json", false, "the same as -f json")
}

// declareDump adds tcpdump's -d, -dd and -ddd. The two backquotes say that the
// flag has no argument to be named.
func (o *outputFlags) declareDump(flags *pflag.FlagSet) {
	flags.CountVarP(&o.dump, "dump", "d", "as tcpdump``: -d text, -dd a C fragment, -ddd decimal numbers")
}

func formatNames() string {
	return "classic " + joinNames(cbpf.Formats()) + "; eBPF " + joinNames(ebpf.Formats())
}

func joinNames[T ~string](formats []T) string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// resolve reduces the flags to one format name, fallback if none was given.
func (o *outputFlags) resolve(fallback string) (string, error) {
	given := 0
	for _, is := range []bool{o.dump > 0, o.format != "", o.json} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return "", usagef("give one of -d, -f and --json")
	case o.dump > 3:
		return "", usagef("-d can be given up to three times")
	case o.dump > 0:
		return strings.Repeat("d", o.dump), nil
	case o.json:
		return "json", nil
	case o.format != "":
		return o.format, nil
	}
	return fallback, nil
}

// writeClassic writes a classic program in the format the flags ask for.
func (a *app) writeClassic(o outputFlags, fallback string, prog []bpf.RawInstruction, comment func(int) string) error {
	name, err := o.resolve(fallback)
	if err != nil {
		return err
	}
	if err := a.refuseRaw(name); err != nil {
		return err
	}
	for _, f := range cbpf.Formats() {
		if string(f) == name {
			return cbpf.Write(a.out, f, prog, cbpf.WriteOptions{Comment: comment})
		}
	}
	return usagef("unknown format %q for a classic program, want one of %s", name, joinNames(cbpf.Formats()))
}

// writeExtended does the same for an eBPF program.
func (a *app) writeExtended(o outputFlags, fallback, section string, prog []ebpf.Instruction, comment func(int) string) error {
	if o.dump > 0 {
		return usagef("-d, -dd and -ddd are forms of classic programs; for eBPF use -f")
	}
	name, err := o.resolve(fallback)
	if err != nil {
		return err
	}
	if err := a.refuseRaw(name); err != nil {
		return err
	}
	for _, f := range ebpf.Formats() {
		if string(f) == name {
			return ebpf.Write(a.out, f, prog, ebpf.WriteOptions{Name: "filter", Section: section, Comment: comment})
		}
	}
	return usagef("unknown format %q for an eBPF program, want one of %s", name, joinNames(ebpf.Formats()))
}

// refuseRaw keeps binary output off a terminal.
func (a *app) refuseRaw(format string) error {
	if a.tty && (format == "raw" || format == "raw-be" || format == "elf") {
		return usagef("format %q is binary: redirect the output, or choose another with -f", format)
	}
	return nil
}

// sourceComment returns a comment function that shows, beside instruction i,
// the pieces of text that it came from.
func sourceComment(text string, origins origin.Table) func(int) string {
	return func(i int) string {
		if i >= len(origins) {
			return ""
		}
		var parts []string
		for _, span := range origins[i] {
			parts = append(parts, text[span.Start:span.End])
		}
		return strings.Join(parts, " … ")
	}
}
