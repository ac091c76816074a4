package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/maps"
)

// This file reads the flags of run that hold assignments: NAME=VALUE.

// A contextInput is a value of --ctx.
type contextInput struct {
	field string
	value uint64
}

// contextInputs reads the values of --ctx and tries them on a packet.
func contextInputs(t abi.ProgType, assignments []string) (inputs []contextInput, err error) {
	var try cbpf.Metadata
	for _, assignment := range assignments {
		field, text, ok := strings.Cut(assignment, "=")
		value, err := strconv.ParseUint(text, 0, 64)
		if !ok || err != nil {
			return nil, usagef("--ctx wants FIELD=N, not %q", assignment)
		}
		if err := vm.SetContext(&try, t, field, value); err != nil {
			return nil, usagef("--ctx: %w", err)
		}
		inputs = append(inputs, contextInput{field, value})
	}
	return inputs, nil
}

// objectFlags are about a program that is not a filter: which one it is, and
// what its object leaves open.
type objectFlags struct {
	program  string
	progType string
	vars     []string
	sizes    []string
}

// declare adds the flags that are the same for all commands; what otherwise
// says is the type that a program has without --type.
func (o *objectFlags) declare(flags *pflag.FlagSet, otherwise string) {
	flags.StringVar(&o.progType, "type", "", "`TYPE` of a program whose section of an ELF object does not tell, or that is no object: "+hookNames()+", or the kernel's name of another, such as lwt_xmit (default "+otherwise+")")
	flags.StringArrayVar(&o.vars, "var", nil, "set a global variable of the object: `NAME=VALUE`; can be given several times")
	flags.StringArrayVar(&o.sizes, "map-size", nil, "set the max_entries of a map, which some objects leave to their loader: `NAME=N`; can be given several times")
}

// givenType is the type that --type tells, 0 if it is not given.
func (o *objectFlags) givenType() (abi.ProgType, error) {
	if o.progType == "" {
		return 0, nil
	}
	t, err := abi.ParseProgType(o.progType)
	if err != nil {
		return 0, usagef("--type: %w", err)
	}
	return t, nil
}

// changeObject does to an object what --var and --map-size say.
func (o *objectFlags) changeObject(obj *object.Object) error {
	for _, assignment := range o.vars {
		variable, value, ok := strings.Cut(assignment, "=")
		if !ok {
			return usagef("--var wants NAME=VALUE, not %q", assignment)
		}
		if err := obj.Set(variable, value); err != nil {
			return usage(err)
		}
	}
	for _, assignment := range o.sizes {
		if err := setMapSize(obj, assignment); err != nil {
			return err
		}
	}
	return nil
}

func setMapSize(obj *object.Object, assignment string) error {
	name, text, ok := strings.Cut(assignment, "=")
	size, err := strconv.ParseUint(text, 0, 32)
	if !ok || err != nil {
		return usagef("--map-size wants NAME=N, not %q", assignment)
	}
	m, err := mapOf(obj, name)
	if err == nil {
		m.MaxEntries = uint32(size)
	}
	return err
}

// sizeHint adds to an error of loading what to do about an object's maps without
// a size.
func (l *loaded) sizeHint(err error) error {
	for i := range l.programs[0].Maps {
		if m := &l.programs[0].Maps[i]; l.object != nil && m.MaxEntries == 0 && errors.Is(err, maps.EINVAL) {
			return fmt.Errorf("%w; set it with --map-size %s=N", err, m.Name)
		}
	}
	return err
}

var tailCall = regexp.MustCompile(`^(.+)\[([^]]+)\]=(.+)$`)

// setTailCall makes a program an initial element of a program array, in place
// of one that the object has there.
func setTailCall(obj *object.Object, assignment string) error {
	parts := tailCall.FindStringSubmatch(assignment)
	if parts == nil {
		return usagef("--tail wants MAP[INDEX]=PROGRAM, not %q", assignment)
	}
	index, err := strconv.ParseUint(parts[2], 0, 32)
	if err != nil {
		return usagef("--tail %s: the index is not a number of 32 bits", assignment)
	}
	m, err := mapOf(obj, parts[1])
	switch {
	case err != nil:
		return err
	case abi.MapKind(m.Kind) != abi.ProgArray:
		return usagef("--tail %s: map %q is of kind %v, not prog_array", assignment, m.Name, abi.MapKind(m.Kind))
	case index >= uint64(m.MaxEntries):
		return usagef("--tail %s: map %q has %d entries", assignment, m.Name, m.MaxEntries)
	case obj.Program(parts[3]) == nil:
		return noProgram(obj, parts[3])
	}
	key := binary.LittleEndian.AppendUint32(nil, uint32(index))
	m.Contents = slices.DeleteFunc(m.Contents, func(e object.Entry) bool { return string(e.Key) == string(key) })
	m.Contents = append(m.Contents, object.Entry{Key: key, Program: parts[3]})
	return nil
}

// mapOf finds a map of an object by its name.
func mapOf(obj *object.Object, name string) (*object.MapSpec, error) {
	if m := obj.Map(name); m != nil {
		return m, nil
	}
	names := make([]string, len(obj.Maps))
	for i := range obj.Maps {
		names[i] = obj.Maps[i].Name
	}
	return nil, noMap(name, names)
}
