package vm

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/bpflab/bpflab/verifier"
)

// LoadProved makes a machine for programs that have been proved safe. It runs
// them in trusted mode: what a proof speaks of is not checked again, and
// branches that no run takes are gone. All that the machine is made of comes
// from the proofs, which must be about the same maps; the first program is the
// one that runs.
//
// Helper functions of [Options.Helpers] must be among those that the programs
// were proved with, because a proof relies on what prototypes promise.
func LoadProved(o Options, proofs ...*verifier.Proof) (*Machine, error) {
	var c Collection
	for i, proof := range proofs {
		p := proof.Program()
		if i > 0 && !reflect.DeepEqual(p.Maps, c.Maps) {
			return nil, inProgram(p.Name, errors.New("it was proved with other maps than the first program"))
		}
		if err := provedHelpers(o, &p); err != nil {
			return nil, inProgram(p.Name, err)
		}
		c.Maps = p.Maps
		c.Programs = append(c.Programs, Program{Name: p.Name, Type: p.Type, Insns: p.Insns, Absent: p.Absent, proof: proof, contextSize: p.ContextSize})
	}
	return Load(c, o)
}

func provedHelpers(o Options, p *verifier.Program) error {
	for i := range o.Helpers {
		proto := &o.Helpers[i].Proto
		same := false
		for j := range p.Helpers {
			same = same || reflect.DeepEqual(&p.Helpers[j], proto)
		}
		if !same {
			return fmt.Errorf("it was not proved with helper function %d as it is given", proto.ID)
		}
	}
	return nil
}
