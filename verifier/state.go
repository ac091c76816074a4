package verifier

// A slot is eight bytes of a stack frame, aligned. A register stored to it can
// be found there again; of other bytes is known whether they have been
// written, and whether they are 0.
type slot struct {
	reg   reg   // what was spilled, if spill is not 0; else the zero value
	spill uint8 // a bit for each byte that the spilled register takes, lowest address first: all, or a half, or less for a number
	init  uint8 // a bit for each byte that has been written
	zero  uint8 // a bit for each byte that is known to be 0
}

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
	obj    int32 // the map that for_each_map_elem goes over
	rounds int32 // how often the callback was entered on this path
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
	packet uint16 // bytes from data on that are in the packet
	meta   uint16 // bytes from data_meta on that are before data
	nextID uint32 // the next free id of registers
	waits  uint32 // how often may_goto was passed on this path
}

// A lock is the spin lock held: that in the value of map obj with identity id.
type lock struct {
	held bool
	obj  int32
	id   uint32
	ref  uint32
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
