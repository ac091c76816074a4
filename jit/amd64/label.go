package amd64

// An Assembler writes instructions one after the other. Its zero value is ready.
// Its methods panic if an operand cannot be encoded, which is a mistake in the
// program that calls them.
type Assembler struct {
	buf    []byte  // the code, with two bytes reserved for each jump to a label
	jumps  []jump  // in the order of the code
	labels []place // by Label
	refs   []ref   // of LeaLabel, in the order of the code
	todo   []int32 // jumps out of reach, while Finish works
}

// A Label is a place to jump to. It may be bound before or after the jumps.
type Label int

// A place is where a label is bound: before buf[at], behind the first `jumps`
// jumps. at is unbound before Bind.
type place struct {
	at, jumps int32
}

const unbound = -1

// NewLabel returns a label that must be bound before Finish.
func (a *Assembler) NewLabel() Label {
	a.labels = append(a.labels, place{at: unbound})
	return Label(len(a.labels) - 1)
}

// Bind makes l the place of the next instruction. A label is bound once.
func (a *Assembler) Bind(l Label) {
	if a.labels[l].at != unbound {
		panic("amd64: a label is bound twice")
	}
	a.labels[l] = place{at: int32(len(a.buf)), jumps: int32(len(a.jumps))}
}

// A Pos is a place in the code, whose offset is known after Finish.
type Pos int

// Pos returns the place of the next instruction.
func (a *Assembler) Pos() Pos { return Pos(len(a.buf)) }

// A ref is a 32-bit displacement, relative to its end, to a label.
type ref struct {
	at, jumps int32 // of the displacement, as for a place
	label     Label
}

// LeaLabel sets dst to the address of l.
func (a *Assembler) LeaLabel(dst Reg, l Label) {
	if dst > R15 {
		panic("amd64: no such register")
	}
	a.buf = append(a.buf, rexW|byte(dst>>3)<<2, 0x8d, byte(dst&7)<<3|rmDisp)
	a.refs = append(a.refs, ref{at: int32(len(a.buf)), jumps: int32(len(a.jumps)), label: l})
	a.buf = append32(a.buf, 0)
}
