package object

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A linker turns the library's programs into ours.
type linker struct {
	spec    *cilium.CollectionSpec
	object  *Object
	syms    symbols
	options Options
	maps    map[string]int // name → index in Object.Maps
	types   *btf.Spec      // the target of CO-RE relocations, read when first needed
}

// program converts one program. What is wrong with it ends up in its Err.
func (l *linker) program(spec *cilium.ProgramSpec) Program {
	p := Program{
		Name: spec.Name, Section: spec.SectionName, License: spec.License,
		Type: abi.ProgType(spec.Type), AttachType: uint32(spec.AttachType),
		AttachTo: spec.AttachTo, Flags: spec.Flags,
	}
	insns := append(asm.Instructions(nil), spec.Instructions...)
	slots := l.layout(&p, insns)
	err := l.relocate(&p, insns, slots)
	if err == nil {
		err = l.emit(&p, insns, slots)
	}
	if err == nil {
		if err = ebpf.Validate(p.Insns); err != nil {
			err = p.validationError(err)
		}
	}
	if err != nil {
		p.Insns, p.Refs, p.Err = nil, nil, err
	}
	return p
}

// layout gives every instruction its slot, and finds the functions and the
// source lines. A line holds until the next one of the same function.
func (l *linker) layout(p *Program, insns asm.Instructions) (slots []int) {
	known := map[Line]int{}
	slot := 0
	var from origin.Set
	for _, ins := range insns {
		slots = append(slots, slot)
		if name := ins.Symbol(); name != "" {
			p.Functions = append(p.Functions, Function{Name: name, Start: slot, TypeID: l.typeID(&ins)})
			from = nil
		}
		if source, ok := ins.Source().(*btf.Line); ok && source.LineNumber() == 0 {
			from = nil // made by the compiler, from no line
		} else if ok {
			line := Line{fileName(source.FileName()), int(source.LineNumber()), strings.TrimSpace(source.Line())}
			index, seen := known[line]
			if !seen {
				index = len(p.Lines)
				known[line] = index
				p.Lines = append(p.Lines, line)
			}
			from = origin.Of(index, index+1)
		}
		for range ins.Width() {
			p.Origin = append(p.Origin, from)
			slot++
		}
	}
	return slots
}

// typeID returns the id of the function that starts with an instruction.
func (l *linker) typeID(ins *asm.Instruction) uint32 {
	f := btf.FuncMetadata(ins)
	if f == nil {
		return 0
	}
	id, err := l.spec.Types.TypeID(f)
	if err != nil {
		return 0 // cannot be: the function comes from there
	}
	return uint32(id)
}

// fileName tidies "./dir/../file.c", as compilers put names together.
func fileName(name string) string {
	if name == "" {
		return ""
	}
	return path.Clean(name)
}

// fail makes an error about an instruction.
func (p *Program) fail(slot int, format string, args ...any) error {
	return &Error{Program: p.Name, Slot: slot, Line: p.LineAt(slot), Err: fmt.Errorf(format, args...)}
}

// validationError adds program and line to what package ebpf says.
func (p *Program) validationError(err error) error {
	var bad *ebpf.Error
	if !errors.As(err, &bad) {
		return &Error{Program: p.Name, Slot: -1, Err: err}
	}
	return p.fail(bad.Index, "%s", bad.Msg)
}

// emit converts the instructions and resolves what they refer to.
func (l *linker) emit(p *Program, insns asm.Instructions, slots []int) error {
	starts := map[string]int{}
	for _, f := range p.Functions {
		if _, twice := starts[f.Name]; twice {
			return p.fail(f.Start, "there are two functions %q", f.Name)
		}
		starts[f.Name] = f.Start
	}
	for i, ins := range insns {
		if err := l.resolve(p, &ins, slots[i], starts); err != nil {
			return err
		}
		p.Insns = append(p.Insns, encode(ins)...)
	}
	slices.SortFunc(p.Refs, func(a, b Ref) int { return a.Slot - b.Slot })
	return nil
}

// encode converts one instruction, in one or two slots. The library's opcode
// has more than a byte: it tells apart what the kernel tells by Off or Imm.
func encode(ins asm.Instruction) []ebpf.Instruction {
	if isPoison(ins) {
		return slices.Repeat([]ebpf.Instruction{ebpf.CallTo(poisonHelper)}, int(ins.Width()))
	}
	out := ebpf.Instruction{
		Op: ebpf.Opcode(ins.OpCode), Dst: ebpf.Register(ins.Dst), Src: ebpf.Register(ins.Src),
		Off: ins.Offset, Imm: int32(ins.Constant),
	}
	if ins.OpCode.Class().IsALU() {
		switch ins.OpCode.ALUOp() {
		case asm.SDiv, asm.SMod:
			out.Off = 1
		case asm.MovSX8:
			out.Off = 8
		case asm.MovSX16:
			out.Off = 16
		case asm.MovSX32:
			out.Off = 32
		}
	}
	if out.Op == ebpf.CallX && out.Dst == 0 {
		// Clang before 19 has the register in the immediate.
		out.Dst, out.Imm = ebpf.Register(min(uint32(ins.Constant), 15)), 0
	}
	if ins.Width() == 2 {
		return []ebpf.Instruction{out, {Imm: int32(ins.Constant >> 32)}}
	}
	return []ebpf.Instruction{out}
}

// inferTypes gives the programs of sections that are only the address of a
// tail call ("2/7", iproute2's way) the one type that the others have, and what
// has no type after that the default.
func (o *Object) inferTypes(def abi.ProgType) {
	types := map[abi.ProgType]bool{}
	for _, p := range o.Programs {
		if p.Type != 0 {
			types[p.Type] = true
		}
	}
	for i := range o.Programs {
		p := &o.Programs[i]
		if p.Type != 0 {
			continue
		}
		p.Type = def
		if _, _, ok := tailSection(p.Section); ok && len(types) == 1 {
			for p.Type = range types {
			}
		}
	}
}
