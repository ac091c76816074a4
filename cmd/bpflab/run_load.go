package main

import (
	"errors"
	"fmt"
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
	case r.withMemory && r.progType == "":
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
	otherwise := abi.ProgType(0)
	if r.progType != "" {
		hook, err := abi.ParseHook(r.progType)
		if err != nil {
			return nil, usage(err)
		}
		otherwise = hook.Type()
	}
	obj, err := readObject(name, data, otherwise)
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
	l.collection, err = vm.CollectionOf(obj, p.Name)
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

// lineAt returns the line of source of an instruction, nil where the object
// does not tell.
func (l *loaded) lineAt(program string, index int) *object.Line {
	if l.object == nil {
		return nil
	}
	if p := l.object.Program(program); p != nil {
		return p.LineAt(index)
	}
	return nil
}

// explain adds the line of source to an error about an instruction.
func (l *loaded) explain(err error) error {
	var line *object.Line
	var fault *vm.Fault
	var refused *vm.ProgramError
	var at *ebpf.Error
	switch {
	case errors.As(err, &fault):
		line = l.lineAt(fault.Program, fault.Index)
	case errors.As(err, &refused) && errors.As(err, &at):
		line = l.lineAt(refused.Program, at.Index)
	}
	if line != nil {
		return fmt.Errorf("%w (%v)", err, line)
	}
	return err
}
