package verifier

import (
	"iter"
	"slices"
	"sort"
)

// An explanation finds out why a program was rejected, from the path on which
// the search has failed.
type explanation struct {
	*task
	failure  *failure
	log      *eventLog // nil if no path was followed
	end      int32     // the step that failed
	lines    []string  // the program as text, by slot
	mapNames []string

	// What was found on the way, for the remedy:
	turned    int  // slot of a comparison that is right, but the access is on the wrong side of it; -1 for none
	takenBack bool // what is at fault was given back before
}

// follow follows the failing path once more, and writes down what happens.
func (e *explanation) follow() {
	e.mapNames = e.p.mapNames()
	if e.last == nil || e.failure.code == TooComplex {
		return
	}
	first := newVerifier(e.p, e.a, e.o, nil)
	first.replay(e.last.trail)
	again := newVerifier(e.p, e.a, e.o, nil)
	log := newEventLog(max(0, first.stats.Steps-logLength))
	again.watch = log
	f, _ := again.replay(e.last.trail)
	e.end = int32(len(log.steps) - 1)
	if f != nil && f.code == e.failure.code && f.pc == e.failure.pc {
		e.failure = f
	} else { // only together with other paths, or another round, it is a failure
		for e.end >= 0 && int(log.steps[e.end].pc) != e.failure.pc {
			e.end--
		}
	}
	if e.end >= 0 {
		e.log = log
	}
}

// explain fills in what the path tells.
func (e *explanation) explain(r *Report) {
	if e.failure.code == TooComplex {
		r.Effort, r.Remedy = e.effort(), e.remedy()
		return
	}
	if e.log == nil {
		r.Remedy = remedies[e.failure.code]
		return
	}
	r.Chain, r.Omitted = e.chain()
	r.Nearest = e.nearest()
	r.Remedy = e.remedy()
}

// frame returns the number of the frame in which the path failed.
func (e *explanation) frame() int { return int(e.log.steps[e.end].frame) }

// changeOf returns the last change of a location before the failure.
func (e *explanation) changeOf(at location) int32 {
	c := e.log.last[at]
	for c != 0 && e.log.changes[c].step >= e.end {
		c = e.log.changes[c].prior
	}
	return c
}

// value returns what a register holds where the path fails.
func (e *explanation) value(at location) reg {
	if c := e.changeOf(at); c != 0 {
		return e.log.changes[c].is.reg
	}
	if frames := e.log.old.frames; int(at.frame) < len(frames) && !at.stack {
		return frames[at.frame].regs[at.index]
	}
	return reg{}
}

// changesAt is the changes that a step has made, which stand in the order of
// the steps.
func (l *eventLog) changesAt(step int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		from := 1 + sort.Search(len(l.changes)-1, func(i int) bool { return l.changes[1+i].step >= step })
		for i := from; i < len(l.changes) && l.changes[i].step == step; i++ {
			if !yield(int32(i)) {
				return
			}
		}
	}
}

// lineage returns the changes that the given ones come from, those and the
// nearest first.
func (l *eventLog) lineage(roots ...int32) []int32 {
	var out []int32
	seen := map[int32]bool{0: true}
	queue := slices.Clone(roots)
	for len(queue) > 0 {
		c := queue[0]
		queue = queue[1:]
		if seen[c] {
			continue
		}
		seen[c] = true
		out = append(out, c)
		if x := &l.changes[c]; x.written {
			queue = append(queue, x.from[0], x.from[1])
		} else {
			queue = append(queue, x.prior)
		}
	}
	return out
}
