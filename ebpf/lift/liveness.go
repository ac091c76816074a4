package lift

import "slices"

// live says which parts of the classic machine are read before they are
// written, from some point of the program on.
type live struct {
	a, x bool
	m    uint16 // a bit for each word of scratch memory
}

func (l live) or(o live) live { return live{l.a || o.a, l.x || o.x, l.m | o.m} }

// has reports whether a register is read.
func (l live) has(r reg) bool { return r == regA && l.a || r == regX && l.x }

// set returns l with a register read, or written.
func (l live) set(r reg, read bool) live {
	if r == regA {
		l.a = read
	} else {
		l.x = read
	}
	return l
}

// removeDead removes the instructions whose result nobody reads. One pass
// backward is enough, since there are no cycles. Loads from the packet stay,
// because they can end the program, and so does division by X; those whose
// value is not wanted are marked.
func (g *graph) removeDead() {
	for _, b := range slices.Backward(g.blocks) {
		var l live
		for _, s := range b.succ {
			l = l.or(s.in)
		}
		if b.end != nil {
			l.a = b.end.a
		}
		kept := len(b.insns)
		for i := range slices.Backward(b.insns) {
			in := &b.insns[i]
			if !in.stays(l) {
				continue
			}
			in.note(l)
			l = in.before(l)
			kept--
			b.insns[kept] = *in
		}
		b.insns = b.insns[kept:]
		b.in = l
	}
}

// stays reports whether an instruction has an effect, given what is read after it.
func (in *insn) stays(after live) bool {
	switch in.kind {
	case loadImm, loadLen, loadMem:
		return after.has(in.reg)
	case storeMem:
		return after.m>>in.k&1 != 0
	case alu:
		return after.a || in.divides()
	case loadField, loadCall, neg, txa:
		return after.a
	case tax:
		return after.x
	}
	return true
}

// note keeps what translating a load needs to know of what comes after.
func (in *insn) note(after live) {
	switch in.kind {
	case loadAbs, loadInd:
		in.dead = !after.a
	case loadMSH:
		in.dead, in.keepA = !after.x, after.a
	case loadLen:
		in.keepA = in.reg == regX && after.a
	}
}

// before returns what is read from the instruction on, given what is read
// after it.
func (in *insn) before(l live) live {
	switch in.kind {
	case loadImm, loadLen:
		return l.set(in.reg, false)
	case loadMem:
		l = l.set(in.reg, false)
		l.m |= 1 << in.k
	case storeMem:
		l = l.set(in.reg, true)
		l.m &^= 1 << in.k
	case loadAbs, loadField, loadCall:
		l.a = false
	case loadInd:
		l.a, l.x = false, true
	case loadMSH:
		l.x = false
	case tax:
		l.a, l.x = true, false
	case txa:
		l.a, l.x = false, true
	case alu, neg, branch:
		l.a = true
		l.x = l.x || in.useX
	}
	return l
}
