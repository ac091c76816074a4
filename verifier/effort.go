package verifier

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
)

// sampleSteps is how many steps of a search that took too many are done again
// to count them.
const sampleSteps = 50_000

// stepCounter is a watcher that counts steps by slot.
type stepCounter []int

func (c stepCounter) before(v *verifier) { c[v.pc]++ }
func (stepCounter) after(*verifier)      {}
func (stepCounter) mark() int            { return 0 }
func (stepCounter) rewind(int)           {}

// effort finds out where the steps of a search went that took too many, and
// what keeps its states apart there.
func (e *explanation) effort() *Effort {
	o := e.o
	o.Steps = min(o.Steps, sampleSteps)
	counts := make(stepCounter, len(e.p.Insns))
	v := newVerifier(e.p, e.a, o, e.last.relevant)
	v.watch = counts
	v.search()
	from, to, share := e.hottest(counts)
	join := e.mostStates(from, to)
	return &Effort{
		Share: share, From: e.place(from), To: e.place(to), At: e.place(join),
		States: len(e.last.points[join]), Apart: e.apart(join),
	}
}

// hottest returns the loop in which most of the steps were, or the stretch
// around the most frequent instruction if none had half of them.
func (e *explanation) hottest(counts stepCounter) (from, to, share int) {
	total, loops := 0, map[int32]int{}
	for slot, n := range counts {
		total += n
		if e.a.loop[slot] != 0 {
			loops[e.a.loop[slot]] += n
		}
	}
	for from, loop := range e.a.loop {
		n := loops[loop]
		if loop == 0 || 2*n < total {
			continue
		}
		to = from
		for slot := from; slot < len(counts); slot++ {
			if e.a.loop[slot] == loop {
				to = slot
			}
		}
		return from, to, 100 * n / total
	}
	peak := slices.Index(counts, slices.Max(counts))
	from, to = peak, peak
	busy := func(slot int) bool { return slot >= 0 && slot < len(counts) && 2*counts[slot] >= counts[peak] }
	for busy(from - 1) {
		from--
	}
	for busy(to + 1) {
		to++
	}
	n := 0
	for _, c := range counts[from : to+1] {
		n += c
	}
	return from, to, 100 * n / max(total, 1)
}

// mostStates returns the slot between two at which the most states are kept.
func (e *explanation) mostStates(from, to int) int {
	join := from
	for slot := from; slot <= to; slot++ {
		if len(e.last.points[slot]) > len(e.last.points[join]) {
			join = slot
		}
	}
	return join
}

// comparedStates is how many states at a place are compared at most.
const comparedStates = 256

// apart returns what differs between the states that were seen at a slot, the
// most different first.
func (e *explanation) apart(slot int) []Differ {
	points := e.last.points[slot]
	points = points[max(0, len(points)-comparedStates):]
	relevant := e.a.relevant(e.p)
	values := map[location][]string{}
	note := func(at location, text string) {
		if !slices.Contains(values[at], text) {
			values[at] = append(values[at], text)
		}
	}
	for _, c := range points {
		f := c.state.top()
		for i := range f.regs[:10] {
			note(location{index: uint8(i)}, e.regText(&f.regs[i]))
		}
		for i := range frameSize / 8 {
			s := f.slotAt(i)
			note(location{stack: true, index: uint8(i)}, e.content(&change{at: location{stack: true}}, &s))
		}
	}
	var out []Differ
	for at, texts := range values {
		if len(texts) < 2 {
			continue
		}
		c := &change{at: at}
		out = append(out, Differ{What: locationName(c), Values: len(texts), Examples: texts[:min(3, len(texts))], Why: e.matters(relevant, slot, at)})
	}
	slices.SortFunc(out, func(a, b Differ) int {
		return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(a.What, b.What))
	})
	return out[:min(len(out), 6)]
}

// matters says what a location is needed for from a slot on.
func (e *explanation) matters(r *relevance, slot int, at location) string {
	matters := r.regs[slot]>>at.index&1 != 0
	if at.stack {
		matters = r.slots[slot]>>at.index&1 != 0
	}
	if matters {
		return "It is part of an address, a size or what ends a loop."
	}
	if !at.stack {
		if branch := e.nextBranch(slot, ebpf.Register(at.index)); branch >= 0 {
			return fmt.Sprintf("It decides no address and no loop, but is compared at %d.", branch)
		}
	}
	return "It decides no address, no size and no loop: it need not be exact here. Masking it, or keeping it in a map, makes the states alike."
}

// nextBranch returns the next conditional jump that compares the register,
// before it is written again; -1 if there is none.
func (e *explanation) nextBranch(slot int, r ebpf.Register) int {
	for ; slot < len(e.p.Insns); slot += e.p.Insns[slot].Width() {
		ins := e.p.Insns[slot]
		reads, writes := e.p.registers(ins)
		if isBranch(ins) && reads>>r&1 != 0 {
			return slot
		}
		if writes>>r&1 != 0 || isExit(ins) {
			break
		}
	}
	return -1
}
