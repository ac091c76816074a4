package object

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// poisonHelper is the helper number that libbpf and the library write over
// instructions whose relocation has no answer.
const poisonHelper = btf.COREBadRelocationSentinel

// relocate applies the CO-RE relocations: the compiler has marked
// instructions that depend on the layout of kernel types, and they are adapted
// to those of the target. As in the library, the relocations of a program are
// answered together, and functions linked into two programs twice.
func (l *linker) relocate(p *Program, insns asm.Instructions, slots []int) error {
	var relos []*btf.CORERelocation
	var at []int
	for i := range insns {
		if r := btf.CORERelocationMetadata(&insns[i]); r != nil {
			relos, at = append(relos, r), append(at, i)
		}
	}
	if len(relos) == 0 {
		return nil
	}
	if err := l.loadTypes(); err != nil {
		return p.fail(slots[at[0]], "needs kernel type information for its CO-RE relocations (%v): %w", relos[0], err)
	}
	fixups, err := l.answer(relos)
	if err != nil {
		return l.blame(p, relos, at, slots, err)
	}
	for k, fixup := range fixups {
		slot := slots[at[k]]
		ins := &insns[at[k]]
		if err := fixup.Apply(ins); err != nil {
			return p.fail(slot, "CO-RE relocation %v: %w", relos[k], err)
		}
		if isPoison(*ins) {
			p.Refs = append(p.Refs, Ref{Slot: slot, Kind: RefPoison, Name: fmt.Sprint(relos[k])})
		}
	}
	return nil
}

func (l *linker) answer(relos []*btf.CORERelocation) ([]btf.COREFixup, error) {
	local := func(t btf.Type) (btf.TypeID, error) { return l.spec.Types.TypeID(t) }
	return btf.CORERelocate(relos, []*btf.Spec{l.types}, l.spec.ByteOrder, local)
}

// blame finds the first relocation that fails by itself, for an error that
// names its instruction.
func (l *linker) blame(p *Program, relos []*btf.CORERelocation, at, slots []int, err error) error {
	for k, r := range relos {
		if _, err := l.answer([]*btf.CORERelocation{r}); err != nil {
			return p.fail(slots[at[k]], "CO-RE relocation %v: %w", r, err)
		}
	}
	return p.fail(slots[at[0]], "CO-RE relocations: %w", err)
}

// loadTypes reads the target's BTF once.
func (l *linker) loadTypes() (err error) {
	switch {
	case l.types != nil:
	case l.options.Types != nil:
		l.types, err = btf.LoadSpecFromReader(l.options.Types)
	default:
		l.types, err = btf.LoadKernelSpec()
	}
	return err
}

// isPoison reports whether the library has replaced an instruction. For a
// 64-bit load it writes one into r10, which has the same two slots; libbpf and
// [encode] write two calls.
func isPoison(ins asm.Instruction) bool {
	if ins.Width() == 2 {
		return ins.Dst == asm.R10 && ins.Constant == poisonHelper
	}
	return ins.IsBuiltinCall() && ins.Constant == poisonHelper
}
