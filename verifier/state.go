package verifier

import "github.com/bpflab/bpflab/verifier/num"

// A slot is eight bytes of a stack frame, aligned. A register stored to it can
// be found there again; of other bytes is known whether they have been
// written, and whether they are 0.
type slot struct {
	reg   reg   // what was spilled, if spill is not 0; else the zero value
	spill uint8 // a bit for each byte that the spilled register takes, lowest address first: all, or a half, or less for a number
	init  uint8 // a bit for each byte that has been written
	zero  uint8 // a bit for each byte that is known to be 0
}

// blank reports whether nothing is known of the slot.
func (s *slot) blank() bool { return s.spill|s.init|s.zero == 0 }

// A frame is an activation of a function: its registers and its stack.
type frame struct {
	regs  [11]reg
	stack []slot // stack[i] is the eight bytes at R10 - 8*(i+1); what is behind its end is unset
	fn    int32  // index of the function in analysis.funcs
	call  int32  // slot of the call, -1 for the program itself
	loop  callback
}

// A callback says for which helper a frame is the callback's, the zero value
// that it is a plain function's.
type callback struct {
	helper int32 // number of the helper, 0 for none
	call   int32 // which of all calls of such helpers that the search has come to
	obj    int32 // the map that for_each_map_elem goes over
	rounds int32 // how often the callback was entered on this path
	limit  int32 // how often it can be entered
	off    int32 // the pointer to the stack that the helper passes on
	stack  int8  // and its frame, -1 for NULL
}

// A reference is something that the program has to give back: a socket, a
// record of a ring buffer.
type reference struct {
	id   uint32
	slot int32 // of the call that acquired it
	kind kind
}

// A state is all that is known at one point of a path.
type state struct {
	frames []*frame // the last one is that of the function being run
	refs   []reference
	lock   lock
	nextID uint32 // the next free id of registers
	waits  uint32 // how often may_goto was passed on this path
}

// A lock is the spin lock held: that in the value of map obj with identity id,
// see locks.go.
type lock struct {
	held bool
	obj  int32
	id   uint32
}

func (s *state) top() *frame { return s.frames[len(s.frames)-1] }

// newID returns an id that no register has.
func (s *state) newID() uint32 {
	s.nextID++
	return s.nextID
}

// each calls f for every register and every spilled register of all frames.
func (s *state) each(f func(*reg)) {
	for _, fr := range s.frames {
		for i := range fr.regs {
			f(&fr.regs[i])
		}
		for i := range fr.stack {
			if fr.stack[i].spill != 0 {
				f(&fr.stack[i].reg)
			}
		}
	}
}

// newState returns a state without frames.
func (v *verifier) newState() *state {
	if n := len(v.spare); n > 0 {
		s := v.spare[n-1]
		v.spare = v.spare[:n-1]
		return s
	}
	return new(state)
}

// newFrame adds a frame to a state: no register is set but R10.
func (v *verifier) newFrame(s *state, fn, call int) *frame {
	f := s.grow()
	stack := f.stack[:0]
	*f = frame{fn: int32(fn), call: int32(call), stack: stack}
	f.regs[10] = reg{kind: stackPtr, num: num.Const(0), frame: uint8(len(s.frames) - 1)}
	return f
}

// grow adds a frame with any content, one of those that the state had before
// if there is one.
func (s *state) grow() *frame {
	if n := len(s.frames); n < cap(s.frames) {
		s.frames = s.frames[:n+1]
		if s.frames[n] != nil {
			return s.frames[n]
		}
	} else {
		s.frames = append(s.frames, nil)
	}
	f := new(frame)
	s.frames[len(s.frames)-1] = f
	return f
}

// clone returns a copy of a state.
func (v *verifier) clone(s *state) *state {
	c := v.newState()
	frames, refs := c.frames, c.refs
	*c = *s
	c.refs = append(refs[:0], s.refs...)
	c.frames = frames[:0]
	for _, f := range s.frames {
		g := c.grow()
		stack := g.stack
		*g = *f
		g.stack = append(stack[:0], f.stack...)
	}
	return c
}

// release says that nobody uses the state any more.
func (v *verifier) release(s *state) {
	s.frames, s.refs, s.lock = s.frames[:0], s.refs[:0], lock{}
	s.nextID, s.waits = 0, 0
	v.spare = append(v.spare, s)
}
