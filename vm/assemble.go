package vm

import (
	"fmt"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// Assemble makes a collection of a text ([ebpf.Assemble]): a program of type t
// without a name, and the maps that the text declares ([ebpf.MapDeclaration]),
// empty. The error is an [*ebpf.SyntaxError].
func Assemble(text string, t abi.ProgType) (Collection, error) {
	unit, err := ebpf.AssembleUnit(text)
	if err != nil {
		return Collection{}, err
	}
	c := Collection{Programs: []Program{{Type: t, Insns: unit.Insns}}}
	for _, d := range unit.Maps {
		kind, ok := abi.ParseMapKind(d.Type)
		if !ok {
			return Collection{}, &ebpf.SyntaxError{Line: d.Line, Column: 1, Msg: fmt.Sprintf("there is no type of maps %q", d.Type)}
		}
		c.Maps = append(c.Maps, abi.MapSpec{
			Name: d.Name, Kind: kind, KeySize: d.Key, ValueSize: d.Value, MaxEntries: d.Entries, Flags: d.Flags,
		})
	}
	return c, nil
}
