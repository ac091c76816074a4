package main

import (
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
	"github.com/bpflab/bpflab/vm/replay"
)

// The engines, by the names that --engine takes.
const (
	engineClassic = "cbpf"    // the interpreter of classic programs; all others are for eBPF
	engineChecked = "checked" // the interpreter, checking every access: it takes programs that are not proved
	engineInterp  = "interp"  // the interpreter, spared the checks by a proof
	engineJIT     = "jit"     // machine code
	engineKernel  = "kernel"  // the running kernel, by test runs
	engineAll     = "all"     // not one, but all that there are here, compared
)

// ebpfEngines lists our own, the slowest first.
var ebpfEngines = []string{engineChecked, engineInterp, engineJIT}

// runEngines are those that run takes.
var runEngines = append(slices.Clone(ebpfEngines), engineKernel)

// A runnable is programs that share maps, the first of which is the one that
// runs, and what the verifier says of them once it is asked.
type runnable struct {
	programs []*verifier.Program
	proofs   []*verifier.Proof
	report   *verifier.Report // of the first program that is rejected
	linked   *object.Linked   // for the kernel; nil for a program that is no object
	types    []byte           // of the object
}

// prove asks the verifier and reports whether all programs are proved.
func (r *runnable) prove() bool {
	for _, p := range r.programs[len(r.proofs):] {
		if r.report != nil {
			break
		}
		var proof *verifier.Proof
		if proof, r.report = verifier.Verify(p, verifier.Options{}); proof != nil {
			r.proofs = append(r.proofs, proof)
		}
	}
	return r.report == nil
}

// provedFor has the programs proved for contexts of n bytes, where contexts are
// bytes.
func (r *runnable) provedFor(n int) {
	for _, p := range r.programs {
		p.ContextSize = n
	}
}

// rejected returns the report with a packet on which the program does what it
// must not, if one is found.
func (r *runnable) rejected() error {
	r.report.Witness = replay.Witness(r.programs[len(r.proofs)], r.report, 0)
	return r.report
}

// fastest names the fastest engine that can run the programs here.
func (r *runnable) fastest() string {
	switch {
	case !r.prove():
		return engineChecked
	case jit.Supported() != nil:
		return engineInterp
	}
	return engineJIT
}

// collection is the programs without what the verifier knows of them.
func (r *runnable) collection() vm.Collection {
	c := vm.Collection{Maps: r.programs[0].Maps}
	for _, p := range r.programs {
		c.Programs = append(c.Programs, vm.Program{Name: p.Name, Type: p.Type, Insns: p.Insns, Absent: p.Absent})
	}
	return c
}

// A machine is an engine whose programs have maps.
type machine interface {
	engine.Engine
	Maps() *maps.Set
}

// newMachine makes an engine by its name. The error is a [*verifier.Report] if
// the engine needs a proof and there is none.
func newMachine(name string, r *runnable, o vm.Options) (machine, error) {
	switch name {
	case engineChecked:
		return vm.Load(r.collection(), o)
	case engineInterp:
		if !r.prove() {
			return nil, r.rejected()
		}
		return vm.LoadProved(o, r.proofs...)
	case engineJIT:
		if err := jit.Supported(); err != nil {
			return nil, fmt.Errorf("engine jit: %w", err)
		}
		if !r.prove() {
			return nil, r.rejected()
		}
		return jit.New(o, r.proofs...)
	case engineKernel:
		return newKernelMachine(r, o)
	}
	return nil, usagef("there is no engine %q", name)
}
