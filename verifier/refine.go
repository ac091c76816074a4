package verifier

import (
	"slices"

	"github.com/bpflab/bpflab/ebpf"
)

// A search that widens numbers can fail on a path that no run can take: at
// some jump it went the way that the forgotten number rules out. So a failing
// path is followed once more with nothing forgotten. If it fails again, the
// failure is real. If it cannot be followed beyond a jump, the direction of
// that jump matters: its operands are not forgotten from then on, and the
// search goes on. This is how counterexample-guided abstraction refinement
// works (Clarke et al. 2000). What has been proved before stays proved: the
// checkpoints from which no path is left are kept, unless one of their paths
// ended in a loop at a checkpoint that was not proved itself.

// decides reports whether a path can go on in several ways after an
// instruction; where it went is in verifier.trail.
func decides(ins ebpf.Instruction) bool {
	switch ins.Op.Class() {
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		return true
	}
	return isLegacyLoad(ins)
}

// refinements bounds how often a search starts again: each time what matters is
// worked out anew, which in a hostile program can take as long as the search.
const refinements = 500

// search follows all paths, with as little precision as is enough.
func (t *task) search() *failure {
	relevant := t.a.relevant(t.p)
	v := t.verifier(relevant)
	if f := v.checkMaps(); f != nil {
		t.finish(v)
		return f
	}
	f, settled := t.approach(v, relevant)
	t.finish(v)
	if settled {
		return f
	}
	// Nothing is forgotten but what will not be read again.
	v = t.verifier(nil)
	f = v.search()
	t.finish(v)
	return f
}

// approach searches with more and more precision until there is a proof or a
// real failure. It is not settled if it came too far or stopped learning.
func (t *task) approach(v *verifier, r *relevance) (f *failure, settled bool) {
	for range refinements {
		f := v.search()
		if f == nil {
			return nil, true
		}
		if f.code == TooComplex {
			return nil, false
		}
		real, learned := t.refine(v, r)
		if real != nil {
			return real, true
		}
		if !learned {
			return nil, false
		}
		v.restart()
	}
	return nil, false
}

// verifier makes the verifier for a search.
func (t *task) verifier(r *relevance) *verifier {
	v := newVerifier(t.p, t.a, t.o, r)
	t.used = append(t.used, v)
	if t.o.Facts {
		v.watch = make(factCollector, len(t.p.Insns))
	}
	return v
}

// finish takes over what a search has found out.
func (t *task) finish(v *verifier) {
	t.stats.add(v.stats)
	t.last = v
}

// refine follows the path on which a search has failed. It returns the failure
// if it is real, and otherwise whether there was something to be learned.
func (t *task) refine(v *verifier, r *relevance) (real *failure, learned bool) {
	exact := newVerifier(t.p, t.a, t.o, nil)
	defer exact.done()
	f, blocked := exact.replay(v.trail)
	v.stats.Steps += exact.stats.Steps
	if f != nil {
		return f, true
	}
	if blocked >= 0 && isBranch(t.p.Insns[blocked]) && r.learn(blocked) {
		return nil, true
	}
	if !v.fine {
		v.fine = true
		return nil, true
	}
	for _, pc := range exact.trail {
		learned = r.learn(pc) || learned
	}
	return nil, learned
}

// replay follows one path without forgetting anything. It returns the failure
// that it comes to, or the jump that cannot go the path's way, or -1. In
// v.trail is then what on the path there is to learn from.
func (v *verifier) replay(trail []int32) (f *failure, blocked int32) {
	v.state = v.start()
	v.pc = 0
	for {
		if f := v.advance(); f != nil {
			return f, -1
		}
		ins := v.p.Insns[v.pc]
		if !decides(ins) {
			v.pc = v.next
			continue
		}
		if isBranch(ins) || v.a.effects[v.pc].matters {
			v.trail = append(v.trail, int32(v.pc))
		}
		if len(trail) == 0 {
			return nil, -1
		}
		if !v.choose(int(trail[0])) {
			return nil, int32(v.pc)
		}
		v.pc, trail = int(trail[0]), trail[1:]
	}
}

// choose goes on with that one of the ways of the instruction just looked at
// that leads to pc.
func (v *verifier) choose(pc int) bool {
	found := !v.ended && v.next == pc
	for _, b := range v.pending {
		if b.pc == pc && !found {
			found = true
			v.state, b.state = b.state, v.state
		}
		v.release(b.state)
	}
	v.pending, v.waits = v.pending[:0], 0
	return found
}

// restart prepares for another search that builds upon what this one has
// proved.
func (v *verifier) restart() {
	for _, b := range v.pending {
		v.release(b.state)
	}
	v.pending, v.waits, v.trail = v.pending[:0], 0, v.trail[:0]
	for pc, points := range v.points {
		v.points[pc] = slices.DeleteFunc(points, func(c *checkpoint) bool {
			if c.open > 0 || c.support() != nil {
				v.forget(c)
				return true
			}
			return false
		})
	}
}
