package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// The exit statuses, the same for all commands.
const (
	exitDone        = 0
	exitNo          = 1 // the answer is no: rejected, no match, engines disagree
	exitUsage       = 2 // usage or syntax
	exitInput       = 3 // unreadable input or I/O
	exitUnsupported = 4 // not permitted or not supported here
)

// whenNo says what the answer no is about, by command. Others never give it.
var whenNo = map[string]string{
	"disasm": "the program is rejected (--jit, --kernel)",
	"match":  "no packet matched (-q), or engines disagree (--engine all)",
	"run":    "a fault stopped the program, it is rejected (--engine interp, jit), or engines disagree",
	"verify": "a program is rejected",
	"attach": "a program is rejected",
}

// statusHelp is what the help of a command, or of all, says about exit statuses.
func statusHelp(no string) string {
	text := "\nExit status:\n  0  done\n"
	if no != "" {
		text += "  1  " + no + "\n"
	}
	return text + `  2  usage or syntax error
  3  unreadable input or I/O error
  4  not permitted or not supported here
`
}

// A statusError carries the exit status of an error that the types of the
// packages do not give away.
type statusError struct {
	status int
	err    error
}

func (e statusError) Error() string { return e.err.Error() }
func (e statusError) Unwrap() error { return e.err }

func usage(err error) error              { return statusError{exitUsage, err} }
func usagef(f string, args ...any) error { return usage(fmt.Errorf(f, args...)) }
func ioError(err error) error            { return statusError{exitInput, err} }

// answerNo ends a command whose answer is no. It has been printed already
// unless err says more.
type answerNo struct{ err error }

func (e answerNo) Error() string { return fmt.Sprint(e.err) }
func (e answerNo) Unwrap() error { return e.err }

// apart lists the errors that errors.Join has put together.
func apart(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, apart(e)...)
	}
	return all
}

// statusOf maps an error to the exit status. Of several, one about input or
// output wins over a "no" that rests on a part of the input.
func statusOf(err error) int {
	var status statusError
	var no answerNo
	var capErr *capture.Error
	var pathErr *fs.PathError
	var report *verifier.Report
	switch {
	case errors.As(err, &status):
		return status.status
	case errors.Is(err, jit.ErrUnsupported):
		return exitUnsupported
	case errors.Is(err, engine.ErrPacket):
		return exitUnsupported
	case errors.As(err, &capErr):
		return exitInput
	case errors.As(err, &pathErr):
		return exitInput
	case errors.As(err, &no), errors.As(err, &report):
		return exitNo
	case isSyntax(err):
		return exitUsage
	}
	return exitInput
}

// isSyntax reports whether err is about the text or the rules of a program.
func isSyntax(err error) bool {
	var filterErr *filter.Error
	var classicSyntax *cbpf.SyntaxError
	var classicCheck *cbpf.CheckError
	var extendedSyntax *ebpf.SyntaxError
	var extended *ebpf.Error
	var liftErr *lift.Error
	return errors.As(err, &filterErr) || errors.As(err, &classicSyntax) || errors.As(err, &classicCheck) ||
		errors.As(err, &extendedSyntax) || errors.As(err, &extended) || errors.As(err, &liftErr)
}

// isRefusal reports whether err says that an engine does not take a program:
// not on this host, not without a proof, or not in this kernel.
func isRefusal(err error) bool {
	var report *verifier.Report
	var status statusError
	var no answerNo
	return errors.Is(err, jit.ErrUnsupported) || errors.As(err, &report) || errors.As(err, &status) || errors.As(err, &no)
}

// describe gives the text of an error for the terminal: a filter error with
// the expression and a caret, the verifier's report, all others on one line.
func describe(err error) string {
	var filterErr *filter.Error
	if errors.As(err, &filterErr) {
		return fmt.Sprintf("%+v", filterErr)
	}
	var report *verifier.Report
	if errors.As(err, &report) {
		return strings.TrimRight(fmt.Sprintf("%+v", report), "\n")
	}
	return err.Error()
}

// isBrokenPipe reports whether the reader of our output went away, as "head"
// does; that is no error.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
