package replay

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// WitnessRuns is how many runs [Witness] makes at most if not told otherwise.
const WitnessRuns = 5000

const (
	witnessBudget = 1 << 16 // instructions of a run
	longBudget    = 1 << 24 // of one that shows that a loop does not end: more than the verifier follows
	witnessSteps  = 1 << 20 // instructions of all runs, but for those of the first few
)

// Witness looks for an input on which a program does what a verifier's report
// says that it may do: it runs the program in the checked machine, on packets
// that are guessed from what the program compares with and from where earlier
// ones led, until the machine stops one at the instruction of the report. Runs
// is how many at most, 0 for [WitnessRuns]. The search is the same each time.
//
// That there is no witness does not mean that there can be none, but it may be
// that the program is safe and the verifier too imprecise to see it.
func Witness(p *verifier.Program, r *verifier.Report, runs int) *verifier.Witness {
	if !r.Code.CanFault() {
		return &verifier.Witness{Note: "none was looked for: no run is stopped for breaking this rule"}
	}
	if runs <= 0 {
		runs = WitnessRuns
	}
	s := newWitnessSearch(p, r)
	w := &verifier.Witness{}
	for i := 0; i < len(s.setups) && !w.Found && w.Runs < runs; i++ {
		// The first setup has empty maps, and half of the runs.
		share := runs / 2 / max(1, len(s.setups)-1)
		if i == 0 {
			share = runs - share*(len(s.setups)-1)
		}
		if err := s.search(s.setups[i], min(share, runs-w.Runs), w); err != nil {
			return &verifier.Witness{Note: "none was looked for: " + err.Error()}
		}
	}
	if !w.Found && s.other != nil {
		*w = *s.other
	}
	if !w.Found {
		w.Note = fmt.Sprintf("none was found in %d runs: the verifier may be imprecise, or the input a rare one", w.Runs)
		switch {
		case r.Code == verifier.StalePointer:
			w.Note = fmt.Sprintf("none was found in %d runs: the machine does not move packets as the kernel may", w.Runs)
		case r.Code == verifier.MapBounds && slices.ContainsFunc(p.Maps, hasNeighbours):
			w.Note += "; in an array the values lie one behind the other, and no run is stopped that goes from one to the next"
		}
	}
	return w
}

// A witnessSearch is one call of Witness.
type witnessSearch struct {
	program *verifier.Program
	report  *verifier.Report
	inputs  *guesser
	setups  []setup
	seen    map[uint64]bool // ways from an instruction to the next that runs have taken
	other   *verifier.Witness

	// Of the run in progress:
	last  int
	news  bool
	pairs []comparison
	steps int
}

// endlessMost is how many inputs are looked at closer that may not end.
const endlessMost = 8

// A comparison is what a conditional jump has compared.
type comparison struct{ a, b uint64 }

func newWitnessSearch(p *verifier.Program, r *verifier.Report) *witnessSearch {
	s := &witnessSearch{program: p, report: r, inputs: newGuesser(p, r), seen: map[uint64]bool{}}
	s.setups = s.inputs.setups()
	return s
}

// machine makes a machine for a setup.
func (s *witnessSearch) machine(in setup, budget uint64, trace func(*vm.Step)) (*vm.Machine, error) {
	p := s.program
	return vm.Load(vm.Collection{
		Programs: []vm.Program{{Name: p.Name, Type: p.Type, Insns: p.Insns, Absent: p.Absent}},
		Maps:     in.maps,
	}, vm.Options{Budget: budget, Trace: trace})
}

// search makes runs with one setup. The error is that of a machine that cannot
// be made for the program.
func (s *witnessSearch) search(in setup, runs int, w *verifier.Witness) error {
	m, err := s.machine(in, witnessBudget, s.step)
	if err != nil {
		return err
	}
	defer m.Close()
	limit, endless := s.steps+witnessSteps, 0
	for n := 0; n < runs && (s.steps < limit || n < 16); n++ {
		guess := s.inputs.next(n)
		w.Runs++
		s.last, s.news, s.pairs = -1, false, s.pairs[:0]
		slot, fault, err := s.run(m, guess, witnessBudget)
		if err != nil {
			return err
		}
		if s.news {
			s.inputs.keep(guess, s.pairs)
		}
		if fault == "" || slot != s.report.Slot && s.other != nil || endless >= endlessMost {
			continue
		}
		if s.report.Code == verifier.InfiniteLoop {
			endless++
		}
		found := s.confirm(in, guess, slot)
		if found == nil {
			continue
		}
		found.Runs = w.Runs
		if slot == s.report.Slot {
			*w = *found
			return nil
		}
		s.other = found
	}
	return nil
}

// step is told each step of a run. It notes ways that are new, and what is
// compared.
func (s *witnessSearch) step(x *vm.Step) {
	s.steps++
	if way := uint64(uint32(s.last))<<32 | uint64(x.Index); !s.seen[way] {
		s.seen[way] = true
		s.news = true
	}
	s.last = x.Index
	class := x.Insn.Op.Class()
	if class != ebpf.ClassJMP && class != ebpf.ClassJMP32 || len(s.pairs) >= 64 {
		return
	}
	switch x.Insn.Op.Operation() {
	case ebpf.Ja, ebpf.Call, ebpf.Exit, ebpf.Jcond:
		return
	}
	b := uint64(int64(x.Insn.Imm))
	if x.Insn.Op.Source() == ebpf.SourceX {
		b = x.Registers[x.Insn.Src]
	}
	s.pairs = append(s.pairs, comparison{x.Registers[x.Insn.Dst], b})
}

// run runs a program once. Fault is "" if it was not stopped, or was stopped
// for another reason than the rule of the report.
func (s *witnessSearch) run(m *vm.Machine, in guess, budget uint64) (slot int, fault string, err error) {
	var out [1]engine.Result
	if err := m.Run([]engine.Packet{in.packet(s.program)}, out[:]); err != nil {
		return 0, "", err
	}
	var f *vm.Fault
	switch {
	case errors.As(out[0].Fault, &f):
		return f.Index, f.Msg, nil
	case errors.Is(out[0].Fault, vm.ErrBudget) && s.report.Code == verifier.InfiniteLoop:
		return s.report.Slot, fmt.Sprintf("it did not end within %d instructions", budget), nil
	}
	return 0, "", nil
}

// confirm checks that an input stops the program in a machine that has run
// nothing before, and makes the input simple: what does not matter is left
// out, and bytes that do not matter become 0.
func (s *witnessSearch) confirm(in setup, g guess, slot int) *verifier.Witness {
	fault := s.again(in, g, slot, longBudget)
	if fault == "" {
		return nil
	}
	first := &verifier.Witness{Found: true, Packet: g.data, Setup: g.describe(in), Fault: fault, Slot: slot}
	tries := simplifyTries
	try := func(changed setup, tried guess) bool {
		if tries--; tries < 0 || s.again(changed, tried, slot, witnessBudget) == "" {
			return false
		}
		in, g = changed, tried
		return true
	}
	if !try(s.setups[0], g) {
		for _, of := range in.filled {
			for i := 0; i < len(in.maps[of].Contents); {
				if !try(in.without(of, i), g) {
					i++
				}
			}
		}
	}
	for i := 0; i < len(g.context); {
		if !try(in, guess{g.data, slices.Delete(slices.Clone(g.context), i, i+1)}) {
			i++
		}
	}
	simplify(g.data, func(data []byte) bool { return try(in, guess{data, g.context}) })
	for _, of := range in.filled {
		for i := range in.maps[of].Contents {
			simplify(in.maps[of].Contents[i].Value, func(value []byte) bool { return try(in.with(of, i, value), g) })
		}
	}
	if fault = s.again(in, g, slot, longBudget); fault == "" {
		return first // simpler, it ends after all
	}
	return &verifier.Witness{Found: true, Packet: g.data, Setup: g.describe(in), Fault: fault, Slot: slot}
}

// simplifyTries is how many simpler inputs are tried, each in a new machine.
const simplifyTries = 500

// simplify makes bytes 0 as far as try lets it: all of them, or else halves,
// and parts of these that are smaller and smaller.
func simplify(data []byte, try func([]byte) bool) {
	data = slices.Clone(data)
	for size := len(data); size > 0; size = min(size-1, (size+1)/2) {
		for from := 0; from < len(data); from += size {
			part := data[from:min(from+size, len(data))]
			if !slices.ContainsFunc(part, func(b byte) bool { return b != 0 }) {
				continue
			}
			was := slices.Clone(part)
			clear(part)
			if !try(slices.Clone(data)) {
				copy(part, was)
			}
		}
	}
}

// again returns the fault of a run in a new machine, "" if it is not stopped
// at the slot. A run that is said not to end gets the budget.
func (s *witnessSearch) again(in setup, g guess, slot int, budget uint64) string {
	if s.report.Code != verifier.InfiniteLoop {
		budget = witnessBudget
	}
	m, err := s.machine(in, budget, nil)
	if err != nil {
		return ""
	}
	defer m.Close()
	if at, fault, err := s.run(m, g, budget); err == nil && at == slot {
		return fault
	}
	return ""
}
