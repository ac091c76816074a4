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
		linked := Program{Name: p.Name, Type: p.Type, Insns: slices.Clone(p.Insns), Absent: map[int]string{}}
		for _, ref := range p.Refs {
			if err := link(&linked, ref, order); err != nil {
				return Collection{}, fmt.Errorf("program %q, instruction %d%s: %w", p.Name, ref.Slot, lineOf(p, ref.Slot), err)
			}
		}
		c.Programs = append(c.Programs, linked)
	}
	return c, nil
}

// lineOf is the line of source of an instruction in parentheses, if the object
// tells.
func lineOf(p *object.Program, slot int) string {
	if line := p.LineAt(slot); line != nil {
		return fmt.Sprintf(" (%v)", line)
	}
	return ""
}

// link resolves a reference. There is no kernel here whose functions and
// variables it could be to: those that a program declares weak are absent.
func link(p *Program, ref object.Ref, order []int) error {
	switch ref.Kind {
	case object.RefMap, object.RefMapValue:
		p.Insns[ref.Slot].Imm = int32(slices.Index(order, int(p.Insns[ref.Slot].Imm)))
	case object.RefKfunc:
		if !ref.Weak {
			return fmt.Errorf("kernel function %s is not supported", ref.Name)
		}
		p.Absent[ref.Slot] = "kernel function " + ref.Name + " is not there"
	case object.RefKsym:
		if !ref.Weak {
			return fmt.Errorf("%s of the kernel is not supported", ref.Name)
		}
	case object.RefPoison:
		// All slots of the instruction have become calls.
		poison := p.Insns[ref.Slot]
		for slot := ref.Slot; slot < len(p.Insns) && p.Insns[slot] == poison; slot++ {
			p.Absent[slot] = "the kernel's types lack what is asked for: " + ref.Name
		}
	}
	return nil
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
		MaxEntries: s.MaxEntries, Flags: s.Flags, Extra: s.Extra, Frozen: s.Frozen, SpinLock: s.SpinLock,
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
