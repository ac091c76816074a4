package main

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/maps"
)

// preload puts the elements of the --map files into the maps, before the kernel
// makes them.
func (r *attachRun) preload(l *object.Linked) error {
	for _, assignment := range r.maps {
		name, file, ok := strings.Cut(assignment, "=")
		if !ok {
			return usagef("--map wants NAME=FILE, not %q", assignment)
		}
		spec, err := linkedMap(l, name)
		if err != nil {
			return err
		}
		data, err := r.readFile(file)
		if err != nil {
			return err
		}
		if spec.Contents, err = elementsIn(spec, data); err != nil {
			return usage(inFile(file, err))
		}
	}
	return nil
}

func linkedMap(l *object.Linked, name string) (*abi.MapSpec, error) {
	var names []string
	for i := range l.Maps {
		if l.Maps[i].Name == name {
			return &l.Maps[i], nil
		}
		names = append(names, l.Maps[i].Name)
	}
	return nil, noMap(name, names)
}

// elementsIn reads a file of elements. A map of the machine does it, which knows
// the form and what a map of that kind takes; a per-CPU map gets the same
// value for all CPUs.
func elementsIn(spec *abi.MapSpec, data []byte) (elements []abi.MapElement, err error) {
	if spec.Inner != nil || spec.Kind == abi.ProgArray {
		return nil, usagef("map %q holds maps or programs, which no file can name", spec.Name)
	}
	mem, err := arena.New()
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	set, err := maps.NewSet(mem, 1)
	if err != nil {
		return nil, err
	}
	m, err := set.New(spec)
	if err != nil {
		return nil, err
	}
	if err := m.ReadJSON(bytes.NewReader(data)); err != nil {
		return nil, err
	}
	key, next, value := []byte(nil), make([]byte, spec.KeySize), make([]byte, m.ValueLen())
	for m.NextKey(key, next) == nil {
		key = slices.Clone(next)
		if err := m.Lookup(key, value); err != nil {
			return nil, err
		}
		elements = append(elements, abi.MapElement{Key: key, Value: slices.Clone(value[:spec.ValueSize])})
	}
	return elements, nil
}
