package object

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// Linked is programs of an object as what runs or verifies them takes them:
// with the maps that they share, in the form that maps are made of.
type Linked struct {
	Programs []LinkedProgram
	Maps     []abi.MapSpec // a map of maps stands behind the maps that it may name
}

// A LinkedProgram is a program whose references are resolved: those to maps
// are indexes into [Linked.Maps].
type LinkedProgram struct {
	*Program                    // as it is in the object
	Insns    []ebpf.Instruction // in place of the object's

	// Absent says, by slot, what calls are of functions that are not there,
	// which the program finds out before it calls them.
	Absent map[int]string
}

// ErrByteOrder is the error of linking what clang made with -target bpfeb on a
// little-endian host, or with bpfel on a big-endian one. Its instructions would run
// and compare bytes in the wrong order; libbpf does not load it either.
var ErrByteOrder = errors.New("the object is for machines of the other byte order")

// Link resolves the references of programs: of those named and of those that
// the program arrays of the object hold from the start. All maps of the object
// come along, with the values that its variables have by now. The error is
// that of a program that is not there or cannot be used ([Program.Err]), or of an
// object for machines of the other byte order ([ErrByteOrder]).
func (o *Object) Link(programs ...string) (*Linked, error) {
	if o.ByteOrder != nil && o.ByteOrder.Uint16([]byte{1, 0}) != binary.NativeEndian.Uint16([]byte{1, 0}) {
		return nil, fmt.Errorf("%w: it is %v", ErrByteOrder, o.ByteOrder)
	}
	var l Linked
	order := mapOrder(o.Maps)
	for _, i := range order {
		l.Maps = append(l.Maps, mapSpec(&o.Maps[i]))
	}
	for _, name := range o.withTailCalls(programs) {
		p := o.Program(name)
		if p == nil {
			return nil, fmt.Errorf("there is no program %q", name)
		}
		if p.Err != nil {
			return nil, p.Err
		}
		linked := LinkedProgram{Program: p, Insns: slices.Clone(p.Insns), Absent: map[int]string{}}
		for _, ref := range p.Refs {
			if err := linked.resolve(ref, order); err != nil {
				return nil, fmt.Errorf("program %q, instruction %d%s: %w", p.Name, ref.Slot, lineOf(p, ref.Slot), err)
			}
		}
		l.Programs = append(l.Programs, linked)
	}
	return &l, nil
}

// lineOf is the line of source of an instruction in parentheses, if the object
// tells.
func lineOf(p *Program, slot int) string {
	if line := p.LineAt(slot); line != nil {
		return fmt.Sprintf(" (%v)", line)
	}
	return ""
}

// resolve resolves a reference. There is no kernel here whose functions and
// variables it could be to: those that a program declares weak are absent.
func (p *LinkedProgram) resolve(ref Ref, order []int) error {
	switch ref.Kind {
	case RefMap, RefMapValue:
		p.Insns[ref.Slot].Imm = int32(slices.Index(order, int(p.Insns[ref.Slot].Imm)))
	case RefKfunc:
		if !ref.Weak {
			return fmt.Errorf("kernel function %s is not supported", ref.Name)
		}
		p.Absent[ref.Slot] = "kernel function " + ref.Name + " is not there"
	case RefKsym:
		if !ref.Weak {
			return fmt.Errorf("%s of the kernel is not supported", ref.Name)
		}
	case RefPoison:
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
func (o *Object) withTailCalls(programs []string) []string {
	all := slices.Clone(programs)
	for i := range o.Maps {
		for _, e := range o.Maps[i].Contents {
			if e.Program != "" && !slices.Contains(all, e.Program) {
				all = append(all, e.Program)
			}
		}
	}
	return all
}

// mapOrder lists the maps so that a map of maps comes behind the maps that it
// may name.
func mapOrder(specs []MapSpec) []int {
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

func mapSpec(s *MapSpec) abi.MapSpec {
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
