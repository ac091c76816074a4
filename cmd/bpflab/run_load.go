package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

// A loaded program is what run makes a machine of, and what it needs to speak
// of it: the names of verdicts and the source.
type loaded struct {
	runnable
	name   string
	typ    abi.ProgType
	object *object.Object // nil if the program is no ELF object
}

// load reads the program that the arguments name.
func (r *runRun) load(name string) (*loaded, error) {
	data, err := r.readCode(name)
	if err != nil {
		return nil, err
	}
	if isELF(data) {
		return r.loadObject(name, data)
	}
	if r.program != "" || r.btf != "" || len(r.vars)+len(r.sizes)+len(r.tails) > 0 {
		return nil, usagef("--prog, --btf, --var, --map-size and --tail are for ELF objects, and %s is none", name)
	}
	typ, err := r.plainType()
	if err != nil {
		return nil, err
	}
	program, err := plainProgram(data, typ)
	if err == nil {
		err = ebpf.Validate(program.Insns)
	}
	if err != nil && isClassic(data) {
		return nil, usagef("%s is a classic program: 'bpflab lift' makes eBPF of it", name)
	}
	return &loaded{name: name, typ: typ, runnable: runnable{programs: []*verifier.Program{program}}}, inFile(name, err)
}

// plainProgram reads a program that is no object, with the maps that a text
// declares.
func plainProgram(data []byte, typ abi.ProgType) (*verifier.Program, error) {
	insns, format, err := ebpf.ParseAny(data)
	if err != nil {
		return nil, err
	}
	p := &verifier.Program{Type: typ, Insns: insns, ContextSize: typ.ContextBytes()}
	if format == ebpf.FormatAsm {
		c, err := vm.Assemble(string(data), typ)
		if err != nil {
			return nil, err
		}
		p.Insns, p.Maps = c.Programs[0].Insns, c.Maps
	}
	return p, nil
}

// isClassic reports whether data is a classic program, in any format.
func isClassic(data []byte) bool {
	prog, _, err := cbpf.ParseAny(data)
	return err == nil && cbpf.Check(prog) == nil
}

// plainType is the type of a program that does not bring its own.
func (r *runRun) plainType() (abi.ProgType, error) {
	switch {
	case r.withMemory && r.progType == "":
		return abi.RawTracepoint, nil
	case r.progType == "":
		return abi.XDP, nil
	}
	return r.givenType()
}

func (r *runRun) loadObject(name string, data []byte) (*loaded, error) {
	otherwise, err := r.givenType()
	if err != nil {
		return nil, err
	}
	obj, err := r.readObject(name, data, otherwise)
	if err != nil {
		return nil, err
	}
	if err := r.changeObject(obj); err != nil {
		return nil, err
	}
	for _, assignment := range r.tails {
		if err := setTailCall(obj, assignment); err != nil {
			return nil, err
		}
	}
	p, err := chooseProgram(obj, r.program)
	if err != nil {
		return nil, inFile(name, err)
	}
	l := &loaded{name: p.Name, typ: p.Type, object: obj}
	linked, err := obj.Link(p.Name)
	if err != nil {
		return nil, usage(inFile(name, err))
	}
	l.programs, l.linked, l.types = verifier.ProgramsOf(linked), linked, obj.Types
	return l, nil
}

// chooseProgram finds the program by name; the only one needs none.
func chooseProgram(obj *object.Object, name string) (*object.Program, error) {
	switch p := obj.Program(name); {
	case name == "" && len(obj.Programs) == 1:
		return &obj.Programs[0], nil
	case name == "":
		return nil, usagef("the object has %d programs, choose one with --prog: %s", len(obj.Programs), programNames(obj))
	case p == nil:
		return nil, noProgram(obj, name)
	default:
		return p, nil
	}
}

func noProgram(obj *object.Object, name string) error {
	return usagef("there is no program %q, there is %s", name, programNames(obj))
}

func programNames(obj *object.Object) string {
	var names []string
	for i := range obj.Programs {
		names = append(names, obj.Programs[i].Name)
	}
	return strings.Join(names, ", ")
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
