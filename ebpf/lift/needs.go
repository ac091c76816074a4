package lift

import (
	"math"
	"slices"
)

// needs says how long a packet must be, at some point of the program, for any
// path from there to end in a match. A packet that is shorter will not match
// whichever way the program goes, because a load that fails means no match. So
// one check for the whole need may stand where the first byte is wanted, and
// the loads behind it need none: it cannot turn a match into anything else.
type needs struct {
	never bool  // no path ends in a match
	fixed int64 // bytes from the start of the packet
	viaX  int64 // bytes from offset X on, for the X of this point
	low   int64 // the lowest offset from the start that any path reads
}

// findNeeds computes the needs at every block and load. A load raises the
// need; where paths part, what both of them need is certain.
func (g *graph) findNeeds() {
	for _, b := range slices.Backward(g.blocks) {
		n := needs{never: b == g.noMatch || len(b.succ) > 0, low: math.MaxInt64}
		for _, s := range b.succ {
			n = n.either(s.needs)
		}
		for i := range slices.Backward(b.insns) {
			n = b.insns[i].needed(n)
			b.insns[i].needs = n
		}
		b.needs = n
	}
}

// either is the need of a point from which a path with need n and one with
// need o start.
func (n needs) either(o needs) needs {
	switch {
	case n.never:
		return o
	case o.never:
		return n
	}
	return needs{fixed: min(n.fixed, o.fixed), viaX: min(n.viaX, o.viaX), low: min(n.low, o.low)}
}

// needed returns the need before an instruction with need n after it. An
// offset from X is counted only if it is small: X+k could wrap otherwise.
func (in *insn) needed(n needs) needs {
	switch in.kind {
	case loadAbs, loadMSH:
		if in.area == fromStart {
			n.fixed = max(n.fixed, int64(in.k)+int64(in.loadSize()))
			n.low = min(n.low, int64(in.k))
		}
	case loadInd:
		if in.k <= reach {
			n.viaX = max(n.viaX, int64(in.k)+int64(in.size))
		}
	}
	if in.writesX() {
		n.viaX = 0
	}
	return n
}

// writesX reports whether the instruction gives X a new value.
func (in *insn) writesX() bool {
	switch in.kind {
	case loadImm, loadLen, loadMem:
		return in.reg == regX
	case loadMSH, tax:
		return true
	}
	return false
}
