package object

import (
	"github.com/cilium/ebpf/asm"
)

// resolve fills in what an instruction refers to by name. The library leaves
// names in the instructions until it loads them into the kernel, and so they
// are resolved here a second way.
func (l *linker) resolve(p *Program, ins *asm.Instruction, slot int, starts map[string]int) error {
	name := ins.Reference()
	switch {
	case ins.IsLoadFromMap():
		return l.resolveMap(p, ins, slot)
	case ins.IsKfuncCall():
		if name == "" {
			return p.fail(slot, "call of a kernel function without a name")
		}
		ins.Constant = 0
		p.Refs = append(p.Refs, Ref{Slot: slot, Kind: RefKfunc, Name: name, Weak: l.syms.weak[name]})
	case name == "":
	case ins.IsFunctionReference():
		start, ok := starts[name]
		if !ok {
			return p.fail(slot, "function %q is not defined", name)
		}
		ins.Constant = int64(start - slot - 1)
	case ins.OpCode.IsDWordLoad() && ins.Src == asm.R0:
		ins.Constant = 0
		p.Refs = append(p.Refs, Ref{Slot: slot, Kind: RefKsym, Name: name, Weak: l.syms.weak[name]})
	default:
		return p.fail(slot, "reference to %q from %v, which cannot have one", name, ins.OpCode)
	}
	return nil
}

// resolveMap puts the index of the map in place of its descriptor.
func (l *linker) resolveMap(p *Program, ins *asm.Instruction, slot int) error {
	name := ins.Reference()
	if name == "" && ins.Src == asm.PseudoMapValue {
		return l.resolveKconfig(p, ins, slot)
	}
	index, ok := l.maps[name]
	switch {
	case name == "":
		return p.fail(slot, "map by descriptor %d, which means nothing in a file", int32(ins.Constant))
	case !ok:
		return p.fail(slot, "map %q is not defined", name)
	}
	ref := Ref{Slot: slot, Kind: RefMap, Name: name}
	high := int64(0)
	if ins.Src == asm.PseudoMapValue {
		ref.Kind = RefMapValue
		ref.Offset = int32(ins.Constant >> 32)
		high = ins.Constant >> 32
	}
	ins.Constant = high<<32 | int64(index)
	p.Refs = append(p.Refs, ref)
	return nil
}
