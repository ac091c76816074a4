package main

import (
	"errors"
	"fmt"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm/replay"
)

// load verifies programs here and then loads them into the kernel, with their
// maps. The collection is to be closed.
func (r *attachRun) load(l *object.Linked, types []byte) (*kernel.Collection, []*kernel.Program, error) {
	if !r.noVerify {
		for _, p := range verifier.ProgramsOf(l) {
			if err := r.verifyFirst(p); err != nil {
				return nil, nil, err
			}
		}
	}
	c, err := kernel.NewCollection(l.Maps, types)
	if err != nil {
		return nil, nil, r.refused(err)
	}
	c.Log = r.kernelLog
	var loaded []*kernel.Program
	for i := range l.Programs {
		p, _, err := c.Load(&l.Programs[i])
		if err != nil {
			return nil, nil, errors.Join(r.refused(err), c.Close())
		}
		loaded = append(loaded, p)
	}
	if err := c.FillProgramArrays(); err != nil {
		return nil, nil, errors.Join(r.refused(err), c.Close())
	}
	return c, loaded, nil
}

// verifyFirst asks our own verifier, whose reports say more than the kernel's.
func (r *attachRun) verifyFirst(p *verifier.Program) error {
	_, report := verifier.Verify(p, verifier.Options{})
	if report == nil {
		return nil
	}
	report.Witness = replay.Witness(p, report, 0)
	if err := report.Write(r.errOut, false); err != nil {
		return err
	}
	return answerNo{fmt.Errorf("program %q is rejected and was not loaded (--no-verify leaves it to the kernel)", p.Name)}
}

// attachTo attaches a loaded program and says so.
func (r *attachRun) attachTo(p *kernel.Program, h kernel.Hook, o kernel.AttachOptions) (*kernel.Attachment, error) {
	a, err := p.Attach(h, o)
	if err != nil {
		return nil, r.refused(err)
	}
	text := fmt.Sprintf("attached to %v", h)
	if h.Kind == kernel.HookXDP {
		text += fmt.Sprintf(" in %v mode", a.Mode)
	}
	if a.Note != "" {
		text += ": " + a.Note
	}
	if o.Pin != "" {
		text += "; it stays until " + o.Pin + " is removed"
	}
	r.say("%s", text)
	return a, nil
}
