package object

import (
	"errors"
	"fmt"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// kconfigSection holds variables that stand for options of the kernel's
// configuration, "extern int CONFIG_HZ __kconfig". It exists in the BTF only.
const kconfigSection = ".kconfig"

// readOnlyProgram is BPF_F_RDONLY_PROG: programs cannot write to the map.
const readOnlyProgram = 1 << 7

// maxKconfig bounds the size of its variables in bytes, which only types tell.
const maxKconfig = 1 << 20

// addKconfig makes a map of constants for configuration variables, all 0 as of
// a kernel without the options: a program then does the same on every machine.
// Whoever wants another kernel sets them, as other variables.
func (o *Object) addKconfig(spec *cilium.CollectionSpec) error {
	var section *btf.Datasec
	if spec.Types == nil {
		return nil
	}
	err := spec.Types.TypeByName(kconfigSection, &section)
	if errors.Is(err, btf.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration variables: %w", err)
	}
	if section.Size > maxKconfig {
		return fmt.Errorf("damaged object: %d bytes of configuration variables", section.Size)
	}
	o.Maps = append(o.Maps, MapSpec{
		Name: kconfigSection, Section: kconfigSection, Kind: uint32(cilium.Array),
		KeySize: 4, ValueSize: section.Size, MaxEntries: 1, Flags: readOnlyProgram, Frozen: true,
		Contents: []Entry{{Key: make([]byte, 4), Value: make([]byte, section.Size)}},
	})
	for _, v := range section.Vars {
		if uint64(v.Offset)+uint64(v.Size) > uint64(section.Size) {
			return fmt.Errorf("damaged object: configuration variable %s lies outside of its section", v.Type.TypeName())
		}
		typed, ok := v.Type.(*btf.Var)
		if !ok {
			return fmt.Errorf("damaged object: %T as a configuration variable", v.Type)
		}
		o.Variables = append(o.Variables, Variable{
			Name: typed.Name, Map: len(o.Maps) - 1, Offset: v.Offset, Size: v.Size, Constant: true,
			Type: typeName(typed.Type), kind: btf.UnderlyingType(typed.Type),
		})
	}
	return nil
}

// resolveKconfig resolves the address of a configuration variable. The library
// keeps to itself which one it is, but the relocation of the instruction tells.
func (l *linker) resolveKconfig(p *Program, ins *asm.Instruction, slot int) error {
	name := l.relocated(p, slot)
	v := l.object.Variable(name)
	if v == nil || l.object.Maps[v.Map].Name != kconfigSection {
		return p.fail(slot, "map by descriptor %d, which means nothing in a file", int32(ins.Constant))
	}
	ins.Constant = int64(v.Offset)<<32 | int64(v.Map)
	p.Refs = append(p.Refs, Ref{Slot: slot, Kind: RefMapValue, Name: kconfigSection, Offset: int32(v.Offset)})
	return nil
}

// relocated returns the name of the undefined symbol that an instruction
// refers to in the file.
func (l *linker) relocated(p *Program, slot int) string {
	for i := len(p.Functions) - 1; i >= 0; i-- {
		f := p.Functions[i]
		if f.Start <= slot {
			at := l.syms.places[f.Name]
			at.offset += uint64(slot-f.Start) * asm.InstructionSize
			return l.syms.externs[at]
		}
	}
	return ""
}
