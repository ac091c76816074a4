package kernel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// XDPMode says which part of an interface runs an XDP program.
type XDPMode uint8

const (
	XDPAuto    XDPMode = iota // native, and generic where the driver cannot
	XDPNative                 // the driver, before it makes a struct sk_buff
	XDPGeneric                // the network stack, after that: slower, any driver
)

// xdpModes is indexed by XDPMode.
var xdpModes = [...]string{"auto", "native", "generic"}

// String returns auto, native or generic.
func (m XDPMode) String() string { return xdpModes[m] }

// ParseXDPMode reads the name of a mode.
func ParseXDPMode(name string) (XDPMode, error) {
	for m, n := range xdpModes {
		if n == name {
			return XDPMode(m), nil
		}
	}
	return 0, fmt.Errorf("unknown XDP mode %q, want one of %s", name, strings.Join(xdpModes[:], ", "))
}

// An Order is the place of a program among those at the same tcx hook. They run
// one after another until one returns something else than TCX_NEXT (-1). The
// zero value is the end of the list.
type Order struct {
	Head    bool   // before all others
	Before  bool   // before Program, not after it
	Program string // one of the others, its name or id
}

// ParseOrder reads head, tail, before:PROGRAM or after:PROGRAM.
func ParseOrder(text string) (Order, error) {
	where, program, named := strings.Cut(text, ":")
	switch {
	case text == "head":
		return Order{Head: true}, nil
	case text == "tail":
		return Order{}, nil
	case named && program != "" && (where == "before" || where == "after"):
		return Order{Before: where == "before", Program: program}, nil
	}
	return Order{}, fmt.Errorf("unknown order %q, want head, tail, before:PROGRAM or after:PROGRAM, where PROGRAM is a name or an id", text)
}

// AttachOptions say how a program is attached. The zero value is good for most.
type AttachOptions struct {
	Mode  XDPMode // at XDP
	Order Order   // at tcx
	// Replace takes away the XDP program that is in the way, for good: it is
	// not put back.
	Replace bool
	// Promiscuous asks, at a socket, also for packets to other hosts.
	Promiscuous bool
	// Pin is a path in a BPF file system to keep the attachment at. It then
	// outlives Close and the process, until the file is removed. Where there are
	// two attachments, one each way, "-in" and "-out" are appended.
	Pin string
	// Netns is the path of the network namespace that the interface is in, as
	// in [CaptureOptions].
	Netns string
}

// Reasons of an [AttachError]. There is a fourth, [ErrNotSupported].
var (
	// ErrNotPermitted says that the user may not.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNoTarget says that there is no such interface, control group,
	// tracepoint, file or function.
	ErrNoTarget = errors.New("no such place")
	// ErrInUse says that something is attached there already.
	ErrInUse = errors.New("in use")
)

// A ProgramRef names a program in the kernel.
type ProgramRef struct {
	ID   uint32
	Name string // at most 15 bytes, "" if unknown
}

// String returns "program 17 (xdp_firewall)".
func (r ProgramRef) String() string {
	if r.Name == "" {
		return "program " + strconv.Itoa(int(r.ID))
	}
	return fmt.Sprintf("program %d (%s)", r.ID, r.Name)
}

// An AttachError says why a program was not attached. It is one of the reasons
// above for errors.Is, unless the kernel gave another.
type AttachError struct {
	Hook     Hook
	Reason   error        // ErrNotPermitted, ErrNoTarget, ErrInUse, ErrNotSupported or nil
	Detail   string       // what is missing or in the way
	Hint     string       // what to do about it, "" if there is nothing to say
	Programs []ProgramRef // those in the way, of ErrInUse
	Err      error        // the system call's error, nil if there was none
}

func (e *AttachError) Error() string {
	text := "attaching to " + e.Hook.String() + ": "
	switch {
	case e.Detail != "":
		text += e.Detail
	case e.Err != nil:
		text += e.Err.Error()
	default:
		text += fmt.Sprint(e.Reason)
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap returns the reason and the system call's error.
func (e *AttachError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Reason, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// An Element is what a map holds for a key.
type Element struct {
	Key    []byte
	Values [][]byte // one, or in a per-CPU map one for each CPU that there can be
}
