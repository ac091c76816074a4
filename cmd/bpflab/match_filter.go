package main

import (
	"fmt"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// linkFilters holds the engines that run the filter, by link type, because a
// filter is compiled for one, and a capture may have several.
type linkFilters struct {
	names   []string // of the engines
	compile func(cbpf.LinkType) ([]bpf.RawInstruction, error)
	made    map[cbpf.LinkType][]replay.Side
}

// newFilters reads the filter or the program that the flags name.
func (m *matchRun) newFilters(args []string) (*linkFilters, error) {
	f := &linkFilters{made: make(map[cbpf.LinkType][]replay.Side)}
	switch m.engine {
	case "all":
		f.names = []string{"cbpf", "interp"}
	case "cbpf", "interp":
		f.names = []string{m.engine}
	default:
		return nil, usagef("--engine takes cbpf, interp or all, not %q", m.engine)
	}
	if m.program != "" {
		return f, m.useProgram(f, args)
	}
	text, err := m.expression(m.filterFlags.file, args)
	if err != nil {
		return nil, err
	}
	f.compile = func(link cbpf.LinkType) ([]bpf.RawInstruction, error) {
		p, err := filter.Compile(text, m.filterFlags.options(link))
		if err != nil {
			return nil, err
		}
		return p.Insns, nil
	}
	return f, nil
}

func (m *matchRun) useProgram(f *linkFilters, args []string) error {
	if len(args) > 0 || m.filterFlags.file != "" {
		return usagef("both a program and a filter given")
	}
	prog, err := m.readClassic(m.program)
	f.compile = func(cbpf.LinkType) ([]bpf.RawInstruction, error) { return prog, nil }
	return err
}

// sides returns the engines for packets of a link type.
func (f *linkFilters) sides(link cbpf.LinkType) ([]replay.Side, error) {
	if sides, ok := f.made[link]; ok {
		return sides, nil
	}
	prog, err := f.compile(link)
	if err != nil {
		return nil, err
	}
	var sides []replay.Side
	for _, name := range f.names {
		e, err := newEngine(name, prog)
		if err != nil {
			return nil, err
		}
		sides = append(sides, replay.Side{Engine: e})
	}
	f.made[link] = sides
	return sides, nil
}

// newEngine makes an engine that runs a classic program. The eBPF interpreter
// gets its translation for a socket, whose return value is the classic one.
func newEngine(name string, prog []bpf.RawInstruction) (engine.Engine, error) {
	if name == "cbpf" {
		return vm.NewClassic(prog, vm.Options{})
	}
	lifted, err := lift.Lift(prog, lift.Options{Hook: abi.HookSocket, Access: lift.Abs})
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", name, err)
	}
	return vm.New(lifted.Type, lifted.Insns, vm.Options{})
}

func (f *linkFilters) close() {
	for _, sides := range f.made {
		for _, s := range sides {
			s.Engine.Close()
		}
	}
}
