package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// engineWords are what --engine takes beside auto.
const engineWords = "cbpf, interp, jit, kernel or all"

// A worker has the engines that run the filter in one goroutine.
type worker struct {
	filters *linkFilters
	names   []string // of the engines
	made    map[variant][]engine.Engine
	errOut  io.Writer
}

// engineNames returns the names of the engines that the flags ask for.
func (m *matchRun) engineNames() (names []string, err error) {
	switch m.engine {
	case engineAll:
		names = []string{engineClassic, engineInterp}
		if jit.Supported() == nil {
			names = append(names, engineJIT)
		}
		names = append(names, engineKernel)
	case "auto", engineClassic, engineInterp, engineJIT, engineKernel:
		names = []string{m.engine}
	default:
		return nil, usagef("--engine takes auto, %s, not %q", engineWords, m.engine)
	}
	switch {
	case m.jobs < 1:
		return nil, usagef("-j takes a number from 1 on, not %d", m.jobs)
	case m.jobs > 1 && len(names) > 1:
		return nil, usagef("--engine all compares packet by packet: it goes without -j")
	}
	return names, nil
}

// newWorkers makes as many workers as -j asks for and there are processors for.
func (m *matchRun) newWorkers(names []string) (workers []*worker) {
	for range min(m.jobs, runtime.NumCPU()) {
		workers = append(workers, &worker{m.filters, names, make(map[variant][]engine.Engine), m.errOut})
	}
	return workers
}

// engines returns the engines for a variant of the filter.
func (w *worker) engines(v variant) (engines []engine.Engine, err error) {
	if engines, ok := w.made[v]; ok {
		return engines, nil
	}
	prog, err := w.filters.program(v)
	if err != nil {
		return nil, err
	}
	for _, name := range w.names {
		e, err := newEngine(name, prog)
		if err != nil && name == engineKernel && len(w.names) > 1 {
			if errors.Is(err, kernel.ErrNotSupported) { // as on a host without machine code
				continue
			}
			fmt.Fprintf(w.errOut, "bpflab match: %v; it is left out\n", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		engines = append(engines, e)
	}
	w.made[v] = engines
	return engines, nil
}

func (m *matchRun) close() (err error) {
	for _, w := range m.workers {
		for _, engines := range w.made {
			for _, e := range engines {
				err = errors.Join(err, e.Close())
			}
		}
	}
	return err
}

// sideOf is an engine in a comparison. What the kernel returns shows only up to
// the packet's length.
func sideOf(e engine.Engine) replay.Side {
	s := replay.Side{Engine: e}
	if e.Name() == engineKernel {
		s.Verdict = replay.NonZero
	}
	return s
}

// notePassed counts the packets that the kernel does not take.
func (m *matchRun) notePassed(number int, results []engine.Result) {
	fault := results[len(results)-1].Fault
	if !errors.Is(fault, engine.ErrPacket) {
		return
	}
	if m.passed++; m.passed == 1 {
		m.passedWhy = fmt.Errorf("packet %d: %w", number, fault)
	}
}

func (m *matchRun) tellPassed() {
	if m.passed > 0 {
		fmt.Fprintf(m.errOut, "bpflab match: engine kernel was left out on %d packets: %v\n", m.passed, m.passedWhy)
		m.passed = 0
	}
}

// newEngine makes an engine that runs a classic program.
func newEngine(name string, prog []bpf.RawInstruction) (engine.Engine, error) {
	switch name {
	case engineKernel:
		e, err := kernel.NewClassic(prog)
		if err != nil {
			return nil, statusError{exitUnsupported, fmt.Errorf("engine kernel: %w", err)}
		}
		return e, nil
	case "auto":
		// The one machine takes longer programs than the other.
		if e, err := newTranslated(engineJIT, prog); err == nil {
			return e, nil
		}
	case engineInterp, engineJIT:
		return newTranslated(name, prog)
	}
	return vm.NewClassic(prog, vm.Options{})
}

// newTranslated makes an eBPF engine of the translation for a socket, whose
// return value is the classic one.
func newTranslated(name string, prog []bpf.RawInstruction) (engine.Engine, error) {
	lifted, err := lift.Lift(prog, lift.Options{Hook: abi.HookSocket, Access: lift.Abs})
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", name, err)
	}
	program := &verifier.Program{Type: lifted.Type, Insns: lifted.Insns}
	e, err := newMachine(name, &runnable{programs: []*verifier.Program{program}}, vm.Options{})
	if err != nil {
		return nil, err
	}
	if err := e.Run(nil, nil); err != nil { // compiles
		return nil, errors.Join(fmt.Errorf("engine %s: %w", name, err), e.Close())
	}
	return e, nil
}
