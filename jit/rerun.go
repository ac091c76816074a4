package jit

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// After a fault of machine code nobody knows which instruction it was: the
// processor's state is lost. What is left is the input. So the packets are run
// once more in a machine that believes no proof and checks every access. If a
// program does what it must not, the verifier was wrong, and that machine names
// the instruction. If all runs end well, the compiler was wrong.

// findCause runs the packets of a batch in which machine code has faulted, and
// adds to the fault what comes of it.
func (e *Engine) findCause(f *Fault, in []engine.Packet) {
	var c vm.Collection
	for _, proof := range e.proofs {
		p := proof.Program()
		c.Maps = p.Maps
		c.Programs = append(c.Programs, checkedProgram(&p))
	}
	f.Packet, f.Checked = checkedRun(c, e.native.Entry(), e.options, e.machine.Maps(), in)
}

func checkedProgram(p *verifier.Program) vm.Program {
	return vm.Program{Name: p.Name, Type: p.Type, Insns: p.Insns, Absent: p.Absent}
}

// checkedRun runs packets in checked mode, with maps that hold what those of
// the engine hold now. It returns the first packet at which a program is
// stopped, and why; without one the number is below 0.
func checkedRun(c vm.Collection, entry int, o vm.Options, now *maps.Set, in []engine.Packet) (packet int, cause error) {
	m, err := vm.Load(c, o)
	if err != nil {
		return -1, err
	}
	defer func() { cause = errors.Join(cause, m.Close()) }()
	if entry > 0 {
		if err := m.Select(c.Programs[entry].Name); err != nil {
			return -1, err
		}
	}
	then := now.All() // those of the programs, then others that have been made since
	for i, mp := range m.Maps().All() {
		copyMap(mp, then[i])
	}
	var out [1]engine.Result
	for i := range in {
		if err := m.Run(in[i:i+1], out[:]); err != nil {
			return -1, err
		}
		if f := (*vm.Fault)(nil); errors.As(out[0].Fault, &f) {
			return i, f
		}
	}
	return -1, nil
}

// maxCopied is how many bytes a map may have to be copied.
const maxCopied = 1 << 25

// copyMap puts the elements of one map into another one, as far as that is
// possible from outside, and in a second or so: what is not there may be the
// reason why a fault does not reproduce, but is none to say nothing.
func copyMap(to, from *maps.Map) {
	if s := from.Spec(); uint64(s.MaxEntries)*uint64(int(s.KeySize)+from.ValueLen()) > maxCopied {
		return
	}
	var elements bytes.Buffer
	if from.WriteJSON(&elements) == nil {
		_ = to.ReadJSON(&elements)
	}
}

// explain is what the checked run adds to the message of a fault.
func (f *Fault) explain() string {
	switch {
	case f.Checked == nil:
		return "the packets run without a fault in checked mode"
	case f.Packet < 0:
		return fmt.Sprintf("no checked run: %v", f.Checked)
	}
	return fmt.Sprintf("packet %d in checked mode: %v", f.Packet, f.Checked)
}
