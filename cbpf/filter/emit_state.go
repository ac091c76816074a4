package filter

import (
	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// A state says which values the registers and scratch memory hold at a point
// of the program. A nil entry is one that is unknown or was never written.
type state struct {
	a, x *ir.Value
	m    *[cbpf.MemWords]*ir.Value // shared between states, replaced when written; nil if all unknown
}

// meet returns what holds in both states.
func (s state) meet(t state) state {
	if s.a != t.a {
		s.a = nil
	}
	if s.x != t.x {
		s.x = nil
	}
	switch {
	case s.m == t.m:
	case s.m == nil || t.m == nil:
		s.m = nil
	default:
		m := *s.m
		for i, v := range t.m {
			if m[i] != v {
				m[i] = nil
			}
		}
		s.m = &m
	}
	return s
}

// entryState returns what holds when b is entered. All predecessors have been
// written, because they stand before b.
func entryState(b *ir.Block, exits []state) state {
	if len(b.Preds) == 0 {
		return state{}
	}
	s := exits[b.Preds[0].From.ID]
	for _, e := range b.Preds[1:] {
		s = s.meet(exits[e.From.ID])
	}
	return s
}

// put records that scratch slot i holds v.
func (s *state) put(i int, v *ir.Value) {
	var m [cbpf.MemWords]*ir.Value
	if s.m != nil {
		m = *s.m
	}
	m[i] = v
	s.m = &m
}

// slot finds v in scratch memory.
func (s *state) slot(v *ir.Value) (int, bool) {
	if s.m != nil {
		for i, w := range s.m {
			if w == v {
				return i, true
			}
		}
	}
	return 0, false
}

// has reports whether v is anywhere, so that it was evaluated on every way to
// this point.
func (s *state) has(v *ir.Value) bool {
	_, ok := s.slot(v)
	return ok || s.a == v || s.x == v
}
