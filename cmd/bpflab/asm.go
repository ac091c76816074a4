package main

import "github.com/spf13/pflag"

var asmCommand = command{
	name:  "asm",
	args:  "FILE",
	short: "assemble a classic or eBPF program",
	long: `
Reads assembly text and writes the program, by default as raw bytes. Classic
text is that of the kernel's bpf_asm or of tcpdump -d; eBPF text is that of the
kernel's verifier log, with labels. Which of the two it is shows in the text.`,
	bind: func(a *app, flags *pflag.FlagSet) func([]string) error {
		return bindConvert(a, flags, "raw", "raw")
	},
}

var disasmCommand = command{
	name:  "disasm",
	args:  "FILE",
	short: "show a classic or eBPF program as text",
	long: `
Reads a program, recognised by its content, and writes it as text: a classic
program in the form of tcpdump -d, an eBPF program in that of the kernel's
verifier log. Classic programs are read in all forms but drawings (tcpdump -d,
-dd and -ddd, iptables' bytecode, raw bytes, JSON, Go, C, bpf_asm's text), eBPF
as text, raw bytes, hexadecimal and JSON. Of an ELF object, as clang makes them,
it shows all programs, with the lines of C that the instructions came from, or the
one that --prog names. Maps are declared above the programs (".map NAME type TYPE
key BYTES value BYTES entries N"), so that the text of a program assembles again;
comments tell the global variables.

--jit verifies an eBPF program, or the translation of a classic one, and shows the
amd64 machine code that it is compiled to below each instruction, on any host.
Numbers at the left of machine code are offsets; behind a jump stands the
instruction that it goes to. A program that only looks at packets has code for
batches: a loop around the program is part of it. With --json, one object a program:
{"form", "size", "registers": [{"name", "holds"}], "programs": [{"program", "type",
"instructions": [{"slot", "insn", "op", "code": [{"start", "end", "lines": [{"offset",
"bytes", "text"}]}], "also", "note"}]}], "parts": [{"what", "start", …}]}.

--kernel loads the program into the running kernel, without attaching it to
anything, and shows what that makes of it: the instructions after its verifier's
rewriting, where loads from the context have become loads from the kernel's own
structures, and its machine code. With --jit, too, ours stands above it. With
--json, one object a program: {"program", "type", "instructions", "translated":
[{"slot", "op", "insn"}], "functions": [{"address", "size", "lines": [{"offset",
"bytes", "text", "target"}]}]}.`,
	bind: func(a *app, flags *pflag.FlagSet) func([]string) error {
		return bindConvert(a, flags, "d", "asm")
	},
}

// bindConvert is asm and disasm, which differ in their default format only.
func bindConvert(a *app, flags *pflag.FlagSet, classic, extended string) func([]string) error {
	var o outputFlags
	var only string
	code := machineCode{verifyRun: verifyRun{app: a}}
	o.declare(flags, formatNames())
	if extended == "asm" {
		flags.StringVar(&only, "prog", "", "show the program `NAME` of an ELF object only")
		a.declareBTF(flags)
		code.declare(flags)
	}
	return func(args []string) error {
		switch {
		case code.wanted():
			return code.show(o, args, only)
		case code.progType+code.hook != "":
			return usagef("--type and --hook go with --jit and --kernel")
		}
		name, err := one("program", args)
		if err != nil {
			return err
		}
		prog, err := a.readProgram(name)
		if err != nil {
			return err
		}
		if prog.object != nil {
			if extended != "asm" {
				return usagef("%s is an object, not text to assemble: 'bpflab disasm' shows it", name)
			}
			if err := keepProgram(prog.object, only); err != nil {
				return inFile(name, err)
			}
			return a.writeObject(o, prog.object)
		}
		if only != "" {
			return usagef("--prog is for ELF objects")
		}
		if prog.extended != nil {
			return a.writeExtended(o, extended, "", prog.extended, nil)
		}
		return a.writeClassic(o, classic, prog.classic, nil)
	}
}
