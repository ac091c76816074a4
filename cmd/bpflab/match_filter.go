package main

import (
	"encoding/binary"
	"sync"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/vm/capture"
)

// linkFilters holds the programs of the filter, by what a filter is compiled
// for, because a capture may have several link types.
type linkFilters struct {
	compile func(variant) ([]bpf.RawInstruction, error)

	mu   sync.Mutex // several workers may ask
	made map[variant][]bpf.RawInstruction
}

// A variant is what the packets of a capture make of a filter.
type variant struct {
	link      cbpf.LinkType
	bigEndian bool // the machine that wrote the capture
}

// newFilters reads the filter or the program that the flags name.
func (m *matchRun) newFilters(args []string) (*linkFilters, error) {
	f := &linkFilters{made: make(map[variant][]bpf.RawInstruction)}
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

// variantsOf gives the variants of a capture's link types.
func variantsOf(r *capture.Reader) func(cbpf.LinkType) variant {
	bigEndian := r.ByteOrder() == binary.BigEndian
	return func(link cbpf.LinkType) variant { return variant{link, bigEndian} }
}

func (f *linkFilters) program(v variant) (prog []bpf.RawInstruction, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if prog, ok := f.made[v]; ok {
		return prog, nil
	}
	if prog, err = f.compile(v); err == nil {
		f.made[v] = prog
	}
	return prog, err
}
