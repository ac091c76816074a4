package vm

import (
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
)

// CollectionOf makes a collection of programs of an object: those named, of
// which the first is the one that runs, the others that its program arrays
// hold from the start, and all of its maps, with the values that its global
// variables have by now. The error is that of a program that is not there or
// cannot be used ([object.Program.Err]).
func CollectionOf(obj *object.Object, programs ...string) (Collection, error) {
	var c Collection
	order := mapOrder(obj.Maps)
	for _, i := range order {
		c.Maps = append(c.Maps, mapSpec(&obj.Maps[i]))
	}
	for _, name := range withTailCalls(obj, programs) {
		p := obj.Program(name)
		if p == nil {
			return Collection{}, fmt.Errorf("there is no program %q", name)
		}
		if p.Err != nil {
			return Collection{}, p.Err
		}
		insns := slices.Clone(p.Insns)
		for _, ref := range p.Refs {
			if ref.Kind == object.RefMap || ref.Kind == object.RefMapValue {
				insns[ref.Slot].Imm = int32(slices.Index(order, int(insns[ref.Slot].Imm)))
			}
		}
		c.Programs = append(c.Programs, Program{Name: p.Name, Type: p.Type, Insns: insns})
	}
	return c, nil
}

// withTailCalls adds to programs those that the program arrays of the object
// name.
func withTailCalls(obj *object.Object, programs []string) []string {
	all := slices.Clone(programs)
	for i := range obj.Maps {
		for _, e := range obj.Maps[i].Contents {
			if e.Program != "" && !slices.Contains(all, e.Program) {
				all = append(all, e.Program)
			}
		}
	}
	return all
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
