package verifier_test

import (
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
)

func program(p *programs.Program) *verifier.Program {
	return &verifier.Program{
		Name: p.Name, Type: p.Type, Insns: p.Insns, Maps: p.Maps, Absent: p.Absent, NotGPL: p.NotGPL, Egress: p.Egress,
	}
}
