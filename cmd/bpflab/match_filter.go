package main

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// linkFilters holds the engines that run the filter, by what a filter is
// compiled for, because a capture may have several link types.
type linkFilters struct {
	names   []string // of the engines
	compile func(variant) ([]bpf.RawInstruction, error)
	made    map[variant][]replay.Side
}

// A variant is what the packets of a capture make of a filter.
type variant struct {
	link      cbpf.LinkType
	bigEndian bool // the machine that wrote the capture
}

// newFilters reads the filter or the program that the flags name.
func (m *matchRun) newFilters(args []string) (*linkFilters, error) {
	f := &linkFilters{made: make(map[variant][]replay.Side)}
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
	f.compile = func(v variant) ([]bpf.RawInstruction, error) {
		options := m.filterFlags.options(v.link)
		options.BigEndian = v.bigEndian
		p, err := filter.Compile(text, options)
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
	f.compile = func(variant) ([]bpf.RawInstruction, error) { return prog, nil }
	return err
}

// of returns the engines for a capture, by link type.
func (f *linkFilters) of(r *capture.Reader) replay.Sides {
	bigEndian := r.ByteOrder() == binary.BigEndian
	return func(link cbpf.LinkType) ([]replay.Side, error) { return f.sides(variant{link, bigEndian}) }
}

func (f *linkFilters) sides(v variant) ([]replay.Side, error) {
	if sides, ok := f.made[v]; ok {
		return sides, nil
	}
	prog, err := f.compile(v)
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
	f.made[v] = sides
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
