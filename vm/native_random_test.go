package vm_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

var nativePrograms = flag.Int("native.programs", 50_000, "how many random programs run as machine code")

// nativePackets is how many packets each of them gets.
const nativePackets = 3

// TestNativeRandom runs random programs as machine code and in the trusted
// interpreter. In the end most of them fold all registers and the stack into what
// they return; packets and maps are compared as well. With the 10 000 of
// TestSoundRandom, of which not all are accepted, that is more than 50 000 programs.
func TestNativeRandom(t *testing.T) {
	if err := jit.Supported(); err != nil {
		require.Skip(t, "%v", err)
	}
	rnd := rand.New(rand.NewPCG(*soundSeed, 12))
	for done := 0; done < *nativePrograms; {
		seed := rnd.Uint64()
		group := provedAtRandom(rand.New(rand.NewPCG(seed, 13)))
		if err := sameInGroup(group, seed); err != nil {
			t.Fatalf("seed %#x: %v", seed, err)
		}
		done += len(group)
	}
}

// provedAtRandom returns programs for one machine, because making one takes
// longer than many runs. Some are alone: what a compiler may do depends on what
// any of the programs has.
func provedAtRandom(rnd *rand.Rand) (proofs []*verifier.Proof) {
	together := 1
	if rnd.IntN(6) > 0 {
		together = 30
	}
	for len(proofs) < together {
		var p *verifier.Program
		if g := (&generator{Rand: rnd}); rnd.IntN(3) > 0 {
			p = &verifier.Program{Type: abi.SchedCLS, Insns: g.program(5 + g.IntN(40)), Maps: genMaps}
		} else {
			p = uncertain(rnd)
		}
		p.Name = fmt.Sprint(len(proofs))
		if proof, _ := verifier.Verify(p, verifier.Options{Steps: 5000}); proof != nil {
			proofs = append(proofs, proof)
		}
	}
	return proofs
}

// sameInGroup compares what machine code and the interpreter do with programs
// that share their maps.
func sameInGroup(proofs []*verifier.Proof, seed uint64) error {
	o := func() vm.Options {
		o := soundOptions(seed)
		o.Budget = 0
		return o
	}
	m, err := vm.LoadProved(o(), proofs...)
	if err != nil {
		return err
	}
	defer m.Close()
	e, err := jit.New(o(), proofs...)
	if err != nil {
		return err
	}
	defer e.Close()
	fillMaps(m, seed)
	fillMaps(e.Machine(), seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 14))}
	for i, proof := range proofs {
		p := proof.Program()
		if err := m.Select(p.Name); err != nil {
			return err
		}
		if err := e.Select(p.Name); err != nil {
			return err
		}
		in := make([]engine.Packet, nativePackets)
		for j := range in {
			in[j] = g.packet()
			if g.IntN(3) == 0 {
				in[j] = oddPacket(g.Rand)
			}
		}
		if err := sameRuns(m, e, in); err != nil {
			return fmt.Errorf("program %d: %w\n%s", i, err, strings.Join(ebpf.Disassemble(p.Insns), "\n"))
		}
	}
	return sameMaps(m.Maps(), e.Machine().Maps())
}

// sameRuns compares one batch.
func sameRuns(m, e engine.Engine, in []engine.Packet) error {
	var want, got [nativePackets]engine.Result
	if err := m.Run(in, want[:]); err != nil {
		return err
	}
	if err := e.Run(in, got[:]); err != nil {
		return err
	}
	for i := range in {
		g, w := got[i], want[i]
		if g.R0 != w.R0 || g.Return != w.Return || g.Redirect != w.Redirect || !slices.Equal(g.Data, w.Data) || !reflect.DeepEqual(g.Events, w.Events) || g.Fault != nil || w.Fault != nil {
			return fmt.Errorf("packet %d: machine code %+v, interpreter %+v\n%x %+v", i, g, w, in[i].Data, in[i].Meta)
		}
	}
	return nil
}
