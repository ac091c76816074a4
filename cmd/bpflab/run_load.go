package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm"
)

// A loaded program is what run makes a machine of, and what it needs to speak
// of it: the names of verdicts and the source.
type loaded struct {
	name       string
	typ        abi.ProgType
	collection vm.Collection
	object     *object.Object // nil if the program is no ELF object
}

// load reads the program that the arguments name.
func (r *runRun) load(name string) (*loaded, error) {
	data, err := r.readFile(name)
	if err != nil {
		return nil, err
	}
	if isELF(data) {
		return r.loadObject(name, data)
	}
	if r.program != "" || len(r.vars) > 0 {
		return nil, usagef("--prog and --var are for ELF objects")
	}
	insns, _, err := ebpf.ParseAny(data)
	if err != nil {
		return nil, inFile(name, err)
	}
	typ, err := r.plainType()
	return &loaded{
		name: name, typ: typ,
		collection: vm.Collection{Programs: []vm.Program{{Type: typ, Insns: insns}}},
	}, err
}

// plainType is the type of a program that does not bring its own.
func (r *runRun) plainType() (abi.ProgType, error) {
	switch {
	case r.memory != "" && r.progType == "":
		return abi.RawTracepoint, nil
	case r.progType == "":
		return abi.XDP, nil
	}
	hook, err := abi.ParseHook(r.progType)
	if err != nil {
		return 0, usage(err)
	}
	return hook.Type(), nil
}

func (r *runRun) loadObject(name string, data []byte) (*loaded, error) {
	if r.progType != "" {
		return nil, usagef("--type is for programs that are no ELF object: the sections of %s tell", name)
	}
	obj, err := readObject(name, data)
	if err != nil {
		return nil, err
	}
	for _, assignment := range r.vars {
		variable, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return nil, usagef("--var wants NAME=VALUE, not %q", assignment)
		}
		if err := obj.Set(variable, value); err != nil {
			return nil, usage(err)
		}
	}
	p, err := chooseProgram(obj, r.program)
	if err != nil {
		return nil, inFile(name, err)
	}
	l := &loaded{name: p.Name, typ: p.Type, object: obj}
	l.collection, err = collect(obj, p)
	return l, inFile(name, err)
}

// chooseProgram finds the program by name; the only one needs none.
func chooseProgram(obj *object.Object, name string) (*object.Program, error) {
	var names []string
	for i := range obj.Programs {
		names = append(names, obj.Programs[i].Name)
	}
	switch p := obj.Program(name); {
	case name == "" && len(obj.Programs) == 1:
		return &obj.Programs[0], nil
	case name == "":
		return nil, usagef("the object has %d programs, choose one with --prog: %s", len(names), strings.Join(names, ", "))
	case p == nil:
		return nil, usagef("there is no program %q, there is %s", name, strings.Join(names, ", "))
	default:
		return p, nil
	}
}

// collect gathers a program, those that its program arrays hold from the
// start, and the maps of the object.
func collect(obj *object.Object, first *object.Program) (vm.Collection, error) {
	var c vm.Collection
	order := mapOrder(obj.Maps)
	for _, i := range order {
		c.Maps = append(c.Maps, mapSpec(&obj.Maps[i]))
	}
	programs := []*object.Program{first}
	for i := range obj.Maps {
		for _, e := range obj.Maps[i].Contents {
			if p := obj.Program(e.Program); p != nil && !slices.Contains(programs, p) {
				programs = append(programs, p)
			}
		}
	}
	for _, p := range programs {
		if p.Err != nil {
			return c, p.Err
		}
		insns := slices.Clone(p.Insns)
		for _, ref := range p.Refs {
			if ref.Kind == object.RefMap || ref.Kind == object.RefMapValue {
				insns[ref.Slot].Imm = int32(slices.Index(order, int(insns[ref.Slot].Imm)))
			}
		}
		c.Programs = append(c.Programs, vm.Program{Name: p.Name, Type: p.Type, Insns: insns})
	}
	return c, nil
}

// mapOrder lists the maps so that a map of maps comes behind the maps that it
// may name.
func mapOrder(specs []object.MapSpec) []int {
	var plain, outer []int
	for i := range specs {
		if specs[i].Inner != nil {
			outer = append(outer, i)
		} else {
			plain = append(plain, i)
		}
	}
	return append(plain, outer...)
}

func mapSpec(s *object.MapSpec) abi.MapSpec {
	out := abi.MapSpec{
		Name: s.Name, Kind: abi.MapKind(s.Kind), KeySize: s.KeySize, ValueSize: s.ValueSize,
		MaxEntries: s.MaxEntries, Flags: s.Flags, Extra: s.Extra, Frozen: s.Frozen,
	}
	if s.Inner != nil {
		inner := mapSpec(s.Inner)
		out.Inner = &inner
	}
	for _, e := range s.Contents {
		out.Contents = append(out.Contents, abi.MapElement{Key: e.Key, Value: e.Value, Name: e.Program + e.Map})
	}
	return out
}

// explain adds the line of source to an error about an instruction.
func (l *loaded) explain(err error) error {
	var fault *vm.Fault
	if l.object == nil || !errors.As(err, &fault) {
		return err
	}
	p := l.object.Program(fault.Program)
	if p == nil {
		return err
	}
	if line := p.LineAt(fault.Index); line != nil {
		return fmt.Errorf("%w (%v)", err, line)
	}
	return err
}
