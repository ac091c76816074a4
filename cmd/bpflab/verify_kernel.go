package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
)

// A kernelVerdict is what the kernel says of a program.
type kernelVerdict struct {
	Accepted   bool         `json:"accepted"`
	Message    []string     `json:"message,omitempty"` // by lines, of a program that it refuses
	Stats      kernel.Stats `json:"stats"`
	Translated int          `json:"translated,omitempty"` // bytes of the program after its rewriting
	Machine    int          `json:"machine,omitempty"`    // bytes of its machine code, 0 if it makes none
	Log        []string     `json:"log,omitempty"`        // if it is wanted
}

// askKernel loads a program into the kernel and takes it out again. The error
// is that the kernel cannot be asked.
func askKernel(s *subject, withLog bool) (*kernelVerdict, error) {
	c, err := kernel.NewCollection(s.Maps, s.types)
	if err != nil {
		return nil, noKernel(err)
	}
	defer c.Close()
	c.Log = withLog
	p, stats, err := c.Load(s.forKernel())
	v := kernelVerdict{Stats: stats}
	var refused *kernel.VerifierError
	switch {
	case errors.As(err, &refused):
		v.Message = refused.Message()
		if withLog {
			v.Log = refused.Log
		}
		return &v, nil
	case err != nil:
		return nil, noKernel(notAsked(err))
	}
	info, err := p.Info()
	if err != nil {
		return nil, noKernel(err)
	}
	v.Accepted, v.Log = true, p.Log()
	v.Translated, v.Machine = info.Translated, info.Jited
	return &v, nil
}

// notAsked says what to do about a kernel that does not load programs at all.
func notAsked(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; 'bpflab doctor' tells more", err)
	case errors.Is(err, errors.ErrUnsupported):
		return err
	}
	return fmt.Errorf("the kernel gives no verdict: %w", err)
}

func noKernel(err error) error {
	lacks := errors.Is(err, fs.ErrPermission) || errors.Is(err, kernel.ErrNotPermitted) || errors.Is(err, errors.ErrUnsupported)
	if lacks && !errors.Is(err, kernel.ErrInUse) {
		err = fmt.Errorf("%w; 'bpflab doctor' tells what works here", err)
	}
	return statusError{exitUnsupported, err}
}

// forKernel is the program in the form that the kernel path takes.
func (s *subject) forKernel() *object.LinkedProgram {
	if s.linked != nil {
		return s.linked
	}
	p := linkedProgram(s.Name, s.Type, s.Insns)
	return &p
}

func (v *verifyRun) printKernel(k *kernelVerdict) {
	says := fmt.Sprintf("%d steps, %d states", k.Stats.Steps, k.Stats.Peak)
	if k.Stats.Time > 0 {
		says += fmt.Sprintf(" in %v", k.Stats.Time.Round(time.Microsecond))
	}
	if k.Accepted {
		says += fmt.Sprintf("; %d bytes translated, %d of machine code", k.Translated, k.Machine)
	}
	fmt.Fprintf(v.out, "%s by the kernel: %s\n", v.word(k.Accepted), says)
	if len(k.Message) > 0 {
		fmt.Fprintf(v.out, "  %s\n", strings.Join(k.Message, "\n  "))
	}
}

// printLog prints the kernel verifier's log, in its own words.
func (v *verifyRun) printLog(k *kernelVerdict) {
	fmt.Fprintln(v.out)
	for _, line := range k.Log {
		fmt.Fprintf(v.out, "  %s\n", line)
	}
}
