package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/verifier"
)

// A subject is a program to verify, and what the kernel needs to load it.
type subject struct {
	verifier.Program
	linked *object.LinkedProgram // nil for a program that is not from an object
	types  []byte                // of the object
}

// subjects reads the programs that the arguments name. An object can have
// programs that cannot be used: the error is about these, beside the others.
func (v *verifyRun) subjects(args []string) ([]*subject, error) {
	if v.filter {
		return v.ofFilter(args)
	}
	name, err := one("program", args)
	if err != nil {
		return nil, err
	}
	data, err := v.readCode(name)
	if err != nil {
		return nil, err
	}
	typ, err := v.givenType()
	if err != nil {
		return nil, err
	}
	p, err := v.programIn(name, data, typ)
	switch {
	case err != nil:
		return nil, err
	case p.object == nil && (v.program != "" || len(v.vars)+len(v.sizes) > 0):
		return nil, usagef("--prog, --var and --map-size are for ELF objects, and %s is none", name)
	case p.classic != nil && v.progType == "":
		return v.ofClassic(fileTitle(name), p.classic)
	case v.hook+v.access+v.returns != "":
		return nil, usagef("--hook, --access and --returns are for filters and classic programs, and %s is eBPF; its type is set with --type", name)
	case p.object != nil:
		return v.ofObject(name, p.object)
	}
	return ofPlain(name, data, typ)
}

// fileTitle is what a program without a name is called.
func fileTitle(file string) string {
	if file == "-" {
		return "standard input"
	}
	return filepath.Base(file)
}

// ofPlain reads an eBPF program that is no object. One whose encoding is wrong
// is for the verifier to judge.
func ofPlain(name string, data []byte, typ abi.ProgType) ([]*subject, error) {
	if typ == 0 {
		typ = abi.XDP
	}
	p, err := plainProgram(data, typ)
	if err != nil {
		return nil, inFile(name, err)
	}
	p.Name = fileTitle(name)
	return []*subject{{Program: *p}}, nil
}

// ofObject links the programs of an object one by one, so that each is judged
// for itself.
func (v *verifyRun) ofObject(name string, obj *object.Object) (all []*subject, _ error) {
	if err := v.changeObject(obj); err != nil {
		return nil, err
	}
	if v.program != "" && obj.Program(v.program) == nil {
		return nil, inFile(name, noProgram(obj, v.program))
	}
	var errs []error
	for i := range obj.Programs {
		p := &obj.Programs[i]
		if v.program != "" && p.Name != v.program {
			continue
		}
		l, err := linkAlone(obj, p)
		if err != nil {
			errs = append(errs, usage(inFile(name, err)))
			continue
		}
		all = append(all, &subject{Program: *verifier.ProgramsOf(l)[0], linked: &l.Programs[0], types: obj.Types})
	}
	return all, errors.Join(errs...)
}

// linkAlone links a program without those that it may call by tail calls.
func linkAlone(obj *object.Object, p *object.Program) (*object.Linked, error) {
	if p.Type == 0 && p.Err == nil {
		return nil, fmt.Errorf("program %q: the section %q does not tell the type: say it with --type", p.Name, p.Section)
	}
	alone := *obj
	alone.Maps = append([]object.MapSpec(nil), obj.Maps...)
	for i := range alone.Maps {
		if m := &alone.Maps[i]; abi.MapKind(m.Kind) == abi.ProgArray {
			m.Contents = nil
		}
	}
	return alone.Link(p.Name)
}

// target is what a classic program is translated for.
func (v *verifyRun) target() (lift.Options, error) {
	t := v.targetFlags
	if t.hook == "" {
		t.hook = "xdp"
	}
	return t.liftOptions()
}

// ofClassic translates a classic program for the hook.
func (v *verifyRun) ofClassic(name string, prog []bpf.RawInstruction) ([]*subject, error) {
	options, err := v.target()
	if err != nil {
		return nil, err
	}
	l, err := lift.Lift(prog, options)
	if err != nil {
		return nil, inFile(name, err)
	}
	return lifted(name, l, func(slot int) verifier.Source {
		return verifier.Source{Text: classicText(prog, l.Origin[slot])}
	}), nil
}

// ofFilter compiles a filter and translates the result for the hook.
func (v *verifyRun) ofFilter(words []string) ([]*subject, error) {
	if v.program+v.progType+v.btf != "" || len(v.vars)+len(v.sizes) > 0 {
		return nil, usagef("--prog, --type, --btf, --var and --map-size are for programs; a filter is translated for a --hook")
	}
	options, err := v.target()
	if err != nil {
		return nil, err
	}
	link := cbpf.LinkEthernet
	if options.Hook.Type().FromNetwork() {
		link = cbpf.LinkRaw
	}
	p, err := filter.Compile(strings.Join(words, " "), filter.Options{LinkType: link})
	if err != nil {
		return nil, err
	}
	l, err := lift.Lift(p.Insns, options)
	if err != nil {
		return nil, inFilter(p, err)
	}
	origins := l.Origin.Through(p.Origin)
	text := sourceComment(p.Expr, origins)
	return lifted("filter", l, func(slot int) verifier.Source {
		if len(origins[slot]) == 0 {
			return verifier.Source{}
		}
		return verifier.Source{Column: origins[slot][0].Start + 1, Text: text(slot)}
	}), nil
}

func lifted(name string, l *lift.Program, source func(slot int) verifier.Source) []*subject {
	return []*subject{{Program: verifier.Program{Name: name, Type: l.Type, Insns: l.Insns, Source: source}}}
}
