package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// A command is one row of the command table: everything that help texts and
// the dispatcher need to know.
type command struct {
	name  string
	args  string // the synopsis of what follows the flags
	short string // one line, for the list of commands
	long  string // paragraphs for the command's own help
	// bind declares the flags and returns what runs the command with the
	// remaining arguments.
	bind func(a *app, flags *pflag.FlagSet) func(args []string) error
}

// commands lists the commands in the order in which help shows them.
var commands = []command{
	compileCommand,
	liftCommand,
	asmCommand,
	disasmCommand,
	matchCommand,
	runCommand,
	verifyCommand,
	attachCommand,
	doctorCommand,
}

// An app is one invocation of the program.
type app struct {
	in     io.Reader
	out    *bufio.Writer
	errOut io.Writer
	tty    bool // standard output is a terminal
	color  bool
	files  files
	btf    string // the types that objects are adapted to, "" for the running kernel's
}

func newApp(in io.Reader, out, errOut io.Writer) *app {
	return &app{in: in, out: bufio.NewWriterSize(out, 1<<16), errOut: errOut, tty: isTerminal(out)}
}

// run parses the global flags, finds the command and runs it.
func (a *app) run(args []string) int {
	global := newFlagSet("bpflab")
	colorWhen := global.String("color", "auto", "colour the output: auto, always or never")
	help := global.BoolP("help", "h", false, "show this help")
	err := global.Parse(args)
	if err == nil {
		a.color, err = wantColor(*colorWhen, a.tty)
	}
	switch {
	case err != nil:
		return a.fail("bpflab", usage(err))
	case *help:
		a.printHelp(global)
		return a.finish("bpflab", nil)
	case global.NArg() == 0:
		return a.fail("bpflab", usagef("no command given; 'bpflab help' lists them"))
	}
	return a.dispatch(global, global.Arg(0), global.Args()[1:])
}

func (a *app) dispatch(global *pflag.FlagSet, name string, args []string) int {
	if name == "help" {
		if len(args) == 0 {
			a.printHelp(global)
			return a.finish("bpflab", nil)
		}
		name, args = args[0], []string{"--help"}
	}
	for _, c := range commands {
		if c.name == name {
			return a.finish(name, a.runCommand(c, args))
		}
	}
	return a.fail("bpflab", usagef("unknown command %q; 'bpflab help' lists them", name))
}

func (a *app) runCommand(c command, args []string) error {
	flags := newFlagSet(c.name)
	help := flags.BoolP("help", "h", false, "show this help")
	runWith := c.bind(a, flags)
	if err := flags.Parse(args); err != nil {
		return usage(fmt.Errorf("%w; see 'bpflab %s --help'", plainly(err), c.name))
	}
	if *help {
		a.printCommandHelp(c, flags)
		return nil
	}
	return runWith(flags.Args())
}

// plainly says of a flag's value what is wrong with it, in place of the words of
// Go's parser.
func plainly(err error) error {
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	if !errors.As(err, &invalid) || !errors.As(err, &number) {
		return err
	}
	want := "a number"
	switch f := invalid.GetFlag(); {
	case f.Value.Type() == "bool":
		want = "true or false"
	case errors.Is(err, strconv.ErrRange):
		want = "a smaller number"
	case strings.HasPrefix(f.Value.Type(), "uint"):
		want = "a number from 0 on"
	}
	return fmt.Errorf("--%s takes %s, not %q", invalid.GetFlag().Name, want, invalid.GetValue())
}

// newFlagSet returns a set whose flags end at the first argument, because
// filters contain words that begin with "-", and which leaves all printing to
// us.
func newFlagSet(name string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetInterspersed(false)
	flags.SortFlags = false
	flags.Usage = func() {}
	flags.SetOutput(io.Discard)
	return flags
}

func (a *app) printHelp(global *pflag.FlagSet) {
	fmt.Fprint(a.out, `bpflab compiles packet filters to classic BPF, translates classic BPF to eBPF,
proves eBPF programs safe, and runs both over packet captures: no root, no kernel.

Usage: bpflab [--color auto|always|never] COMMAND [FLAGS] [ARG…]

Commands:
`)
	for _, c := range commands {
		fmt.Fprintf(a.out, "  %-9s %s\n", c.name, c.short)
	}
	fmt.Fprintf(a.out, "\nFlags:\n%s\n", global.FlagUsages())
	fmt.Fprint(a.out, `Flags come before the first argument. "-" is standard input or output.
'bpflab help COMMAND' tells more.
`, statusHelp("the answer is no: nothing matched, a program was stopped or rejected, engines disagree"))
}

func (a *app) printCommandHelp(c command, flags *pflag.FlagSet) {
	synopsis := strings.TrimSpace("bpflab " + c.name + " [FLAGS] " + c.args)
	fmt.Fprintf(a.out, "%s\n\nUsage: %s\n\n%s\n\nFlags:\n%s%s",
		capitalise(c.short)+".", synopsis, strings.TrimSpace(c.long), flags.FlagUsagesWrapped(helpWidth), statusHelp(whenNo[c.name]))
}

// helpWidth is the number of columns that the descriptions of flags end at.
const helpWidth = 100

func capitalise(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// finish flushes the output, reports err and returns the exit status.
func (a *app) finish(name string, err error) int {
	// The error of an earlier flush, which the command has returned, comes again.
	if flushErr := a.out.Flush(); flushErr != nil && !isBrokenPipe(flushErr) && !errors.Is(err, flushErr) {
		err = errors.Join(err, ioError(flushErr))
	}
	return a.fail(name, err)
}

// fail reports err, if it has anything to say, and returns the exit status.
func (a *app) fail(name string, err error) int {
	if err == nil || isBrokenPipe(err) {
		return exitDone
	}
	for _, e := range apart(err) {
		if e != (answerNo{}) {
			fmt.Fprintf(a.errOut, "%s: %s\n", programPrefix(name), describe(e))
		}
	}
	return statusOf(err)
}

func programPrefix(name string) string {
	if name == "bpflab" {
		return name
	}
	return "bpflab " + name
}
