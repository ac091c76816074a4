package filter

import (
	"math/bits"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// Operations on two values that are not constant want one in A and the other
// in X. X is also what indirect loads address with, so an operand that
// contains one cannot be computed while X holds the other operand; that one
// waits in scratch memory.

// operands brings x into A and y into X, or the other way round if they may
// be swapped.
func (s *selector) operands(x, y *ir.Value, commutes bool) {
	switch {
	case s.lastX(x, y):
		s.firstA(x, y)
	case commutes && s.lastX(y, x):
		s.firstA(y, x)
	case !touchesX(x):
		s.inX(y)
		s.inA(x)
	case commutes && !touchesX(y):
		s.inX(x)
		s.inA(y)
	default:
		s.throughScratch(x, y)
	}
}

// lastX reports whether y can be brought into X when x is in A already.
func (s *selector) lastX(x, y *ir.Value) bool {
	if _, stored := s.st.slot(y); stored || x == y || s.st.x == y && !touchesX(x) {
		return true
	}
	_, ok := headerLength(y)
	return ok || y.Op == ir.Const || y.Op == ir.Len
}

// firstA brings x into A and then y into X.
func (s *selector) firstA(x, y *ir.Value) {
	s.inA(x)
	if s.st.x == y || s.directX(y) {
		s.st.x = y
		return
	}
	slot := s.hold(x) // computing x cost y its slot
	s.inX(y)
	s.inA(x)
	s.release(slot)
}

// throughScratch computes the operand that needs more slots of scratch memory
// first, which keeps the number needed for both small (Sethi and Ullman).
func (s *selector) throughScratch(x, y *ir.Value) {
	if s.st.a == x || s.slots.need(x) > s.slots.need(y) {
		s.inA(x)
		slot := s.hold(x)
		s.inX(y)
		s.inA(x) // from its slot
		s.release(slot)
		return
	}
	s.inA(y)
	slot := s.hold(y)
	s.inA(x)
	s.inX(y) // from its slot
	s.release(slot)
}

// hold stores v, which is in A, until release. It prefers a slot that nothing
// is planned for, and next one whose value can be computed again.
func (s *selector) hold(v *ir.Value) (slot int) {
	taken := s.temps | s.slots.phis[s.pos]
	free := ^(taken | s.slots.kept[s.pos])
	if free == 0 {
		free = ^taken
	}
	if free == 0 {
		s.fail(errScratch(v))
		return 0
	}
	slot = bits.TrailingZeros16(free)
	s.temps |= 1 << slot
	s.add(opSt, uint32(slot), v.Origin)
	s.st.put(slot, v)
	return slot
}

func (s *selector) release(slot int) { s.temps &^= 1 << slot }

// touchesX reports whether computing v may need X.
func touchesX(v *ir.Value) bool {
	for {
		switch {
		case v.Op == ir.Load:
			return len(v.Args) > 0
		case len(v.Args) == 0 || v.Op == ir.Phi:
			return false
		case v.Op != ir.Neg && v.Args[1].Op != ir.Const:
			return true
		}
		if _, ok := headerLength(v); ok {
			return true
		}
		v = v.Args[0]
	}
}
