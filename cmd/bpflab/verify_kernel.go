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
	Accepted bool         `json:"accepted"`
	Message  []string     `json:"message,omitempty"` // by lines, of a program that it refuses
	Stats    kernel.Stats `json:"stats"`
}

// askKernel loads a program into the kernel and takes it out again. The error
// is that the kernel cannot be asked.
func askKernel(s *subject) (*kernelVerdict, error) {
	c, err := kernel.NewCollection(s.Maps, s.types)
	if err != nil {
		return nil, noKernel(err)
	}
	defer c.Close()
	_, stats, err := c.Load(s.forKernel())
	var refused *kernel.VerifierError
	switch {
	case err == nil:
		return &kernelVerdict{Accepted: true, Stats: stats}, nil
	case errors.As(err, &refused):
		return &kernelVerdict{Message: refused.Message(), Stats: stats}, nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errors.ErrUnsupported):
		return nil, noKernel(err)
	}
	return nil, noKernel(fmt.Errorf("the kernel gives no verdict: %w", err))
}

// noKernel gives an error of the kernel path its status, and says where to look
// if the user may not or the system cannot.
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
	return &object.LinkedProgram{
		Program: &object.Program{Name: s.Name, Type: s.Type, License: "Dual BSD/GPL"},
		Insns:   s.Insns,
	}
}

func (v *verifyRun) printKernel(k *kernelVerdict) {
	says := fmt.Sprintf("%d steps, %d states", k.Stats.Steps, k.Stats.Peak)
	if k.Stats.Time > 0 {
		says += fmt.Sprintf(" in %v", k.Stats.Time.Round(time.Microsecond))
	}
	fmt.Fprintf(v.out, "%s by the kernel: %s\n", v.word(k.Accepted), says)
	if len(k.Message) > 0 {
		fmt.Fprintf(v.out, "  %s\n", strings.Join(k.Message, "\n  "))
	}
}
