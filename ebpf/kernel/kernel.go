package kernel

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrNotSupported says that this system has no eBPF, or not the part that was
// asked for. errors.Is(err, errors.ErrUnsupported) holds for it.
var ErrNotSupported = fmt.Errorf("eBPF in the kernel: %w on this system", errors.ErrUnsupported)

// license lets programs call every helper; the kernel keeps some for programs
// that say they are GPL-compatible.
const license = "Dual BSD/GPL"

// A VerifierError is the kernel's refusal of a program. %v prints one line,
// the verifier's last word; %+v the whole log.
type VerifierError struct {
	Program string   // its name
	Cause   error    // the system call's error
	Log     []string // the verifier's log by lines; may be empty
	Hint    string   // what to do about it; may be empty
}

// Unwrap returns the system call's error.
func (e *VerifierError) Unwrap() error { return e.Cause }

func (e *VerifierError) Error() string {
	text := fmt.Sprintf("the kernel refuses program %q (%v): %s", e.Program, e.Cause, e.reason())
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// reason returns the last line of the log that is not statistics, with the
// instruction before it where the line does not name one.
func (e *VerifierError) reason() string {
	last := len(e.Log) - 1
	for last >= 0 && (statistics.MatchString(e.Log[last]) || e.Log[last] == "") {
		last--
	}
	if last < 0 {
		return "the verifier gave no reason"
	}
	for i := last - 1; i >= 0; i-- {
		if isInstruction(e.Log[i]) {
			return strings.TrimSpace(e.Log[i]) + ": " + strings.TrimSpace(e.Log[last])
		}
	}
	return strings.TrimSpace(e.Log[last])
}

// Message returns what the verifier says in the end, behind the instruction it
// was at: the lines of the log that show neither instructions nor states nor
// statistics.
func (e *VerifierError) Message() []string {
	var message []string
	for _, line := range e.Log {
		switch line = strings.TrimSpace(line); {
		case isInstruction(line):
			message = message[:0]
		case line != "" && !statistics.MatchString(line):
			message = append(message, line)
		}
	}
	return message
}

// Stats returns the statistics in the log, 0 for what is not there.
func (e *VerifierError) Stats() Stats {
	if e == nil {
		return Stats{}
	}
	return readStats(e.Log)
}

// Stats are what the kernel's verifier says of its work.
type Stats struct {
	Steps  int           `json:"steps"`   // instructions looked at, on all paths
	States int           `json:"states"`  // kept in total
	Peak   int           `json:"peak"`    // and at most at a time
	Time   time.Duration `json:"time_ns"` // to the microsecond
}

var (
	statistics = regexp.MustCompile(`^(processed|verification time|stack depth) `)
	processed  = regexp.MustCompile(`^processed (\d+) insns .* total_states (\d+) peak_states (\d+)`)
	took       = regexp.MustCompile(`^verification time (\d+) usec`)
)

func readStats(log []string) (s Stats) {
	for _, line := range log {
		if m := processed.FindStringSubmatch(line); m != nil {
			s.Steps, _ = strconv.Atoi(m[1])
			s.States, _ = strconv.Atoi(m[2])
			s.Peak, _ = strconv.Atoi(m[3])
		}
		if m := took.FindStringSubmatch(line); m != nil {
			micros, _ := strconv.Atoi(m[1])
			s.Time = time.Duration(micros) * time.Microsecond
		}
	}
	return s
}

// isInstruction reports whether a line of the log shows an instruction, as in
// "7: (95) exit".
func isInstruction(line string) bool {
	index, rest, ok := strings.Cut(line, ": (")
	return ok && len(rest) > 2 && rest[2] == ')' && strings.Trim(index, "0123456789 ") == ""
}

// Format implements [fmt.Formatter].
func (e *VerifierError) Format(f fmt.State, verb rune) {
	io.WriteString(f, e.Error())
	if verb == 'v' && f.Flag('+') {
		for _, line := range e.Log {
			io.WriteString(f, "\n\t"+line)
		}
	}
}

// An Info describes a loaded program.
type Info struct {
	Translated int    // bytes of the program after the kernel's rewriting
	Jited      int    // bytes of machine code, 0 if it is interpreted
	Tag        string // the kernel's hash of the program, in hexadecimal
	Verified   uint32 // instructions that the verifier walked through
}

// A Check is one line of what this machine and user can do; see [Probe].
type Check struct {
	Name   string `json:"name"` // what was looked at, such as "program type xdp"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`         // what was found
	Hint   string `json:"hint,omitempty"` // what to do about it; empty if OK
}
