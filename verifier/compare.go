package verifier

// idPairs says which id of a new state stands for which of an old one while
// the two are compared.
type idPairs []idPair

type idPair struct {
	old, new uint32
	off      int64 // for linked numbers: new offset minus old
}

// match reports whether old can stand for new, given what has been matched
// before.
func (p *idPairs) match(old, new uint32, off int64) bool {
	for _, q := range *p {
		if q.old == old {
			return q.new == new && q.off == off
		}
	}
	*p = append(*p, idPair{old, new, off})
	return true
}

// sameFrames reports whether two states are in the same functions, called from
// the same places.
func (v *verifier) sameFrames(old, cur *state) bool {
	if len(old.frames) != len(cur.frames) {
		return false
	}
	for i, f := range old.frames {
		g := cur.frames[i]
		if f.fn != g.fn || f.call != g.call || !f.loop.covers(&g.loop) {
			return false
		}
	}
	return true
}

// A spot is a register of a frame, or a stack slot, counted on behind the
// registers. The zero value, R0 of the program, stands for none as well.
type spot struct{ frame, index uint8 }

// differsAt reports whether old cannot cover cur because of what is at one
// spot. States that were compared before tend to differ where they did then.
func (v *verifier) differsAt(p spot, old, cur *state) bool {
	if int(p.frame) >= min(len(old.frames), len(cur.frames)) {
		return false
	}
	v.pairs = v.pairs[:0]
	f, g := old.frames[p.frame], cur.frames[p.frame]
	if int(p.index) < len(f.regs) {
		r := &f.regs[p.index]
		return r.kind != unset && !v.coversReg(r, &g.regs[p.index])
	}
	i := int(p.index) - len(f.regs)
	return i < min(len(f.stack), len(g.stack)) && !f.stack[i].blank() && !v.coversSlot(&f.stack[i], &g.stack[i])
}

// covers reports whether all that can happen in state cur can happen in old,
// too. Both are simplified.
func (v *verifier) covers(old, cur *state) bool {
	if !v.sameFrames(old, cur) || len(old.refs) != len(cur.refs) || old.lock.held != cur.lock.held {
		return false
	}
	v.pairs, v.differ = v.pairs[:0], spot{}
	for i := len(old.frames) - 1; i >= 0; i-- {
		f, g := old.frames[i], cur.frames[i]
		for j := range f.regs[:10] {
			if f.regs[j].kind != unset && !v.coversReg(&f.regs[j], &g.regs[j]) {
				v.differ = spot{uint8(i), uint8(j)}
				return false
			}
		}
		if j, ok := v.coversStack(f.stack, g.stack); !ok {
			v.differ = spot{uint8(i), uint8(j + len(f.regs))}
			return false
		}
	}
	for i := range old.refs {
		if old.refs[i].kind != cur.refs[i].kind || !v.pairs.match(old.refs[i].id, cur.refs[i].id, 0) {
			return false
		}
	}
	if old.lock.held {
		// Identity 0 is that of the only value of a map.
		return old.lock.obj == cur.lock.obj && (old.lock.id == 0) == (cur.lock.id == 0) &&
			(old.lock.id == 0 || v.pairs.match(old.lock.id, cur.lock.id, 0))
	}
	return true
}

// coversReg is covers for a register.
func (v *verifier) coversReg(old, cur *reg) bool {
	if old.kind != cur.kind || (old.flags^cur.flags)&nullable != 0 {
		return old.kind == unset
	}
	if old.num != cur.num && !cur.num.Leq(old.num) {
		return false
	}
	switch old.kind {
	case scalar:
		return v.coversLinks(old, cur)
	case packetPtr, metaPtr:
		return old.span <= cur.span && v.coversPlace(old, cur)
	}
	if old.obj != cur.obj || old.frame != cur.frame || (old.ref == 0) != (cur.ref == 0) {
		return false
	}
	// Pointers without an id are not tied to each other: no two of them stand
	// for two with the same.
	return (old.id == 0 || cur.id != 0 && v.pairs.match(old.id, cur.id, 0)) && (old.ref == 0 || v.pairs.match(old.ref, cur.ref, 0))
}

// coversPlace is covers for where in the packet a pointer or a length is. Any
// place can be data, but data, of which more is known, can be no other place.
func (v *verifier) coversPlace(old, cur *reg) bool {
	if old.id == 0 {
		return cur.id == 0 && old.off == cur.off
	}
	return old.off == cur.off && v.pairs.match(old.id, cur.id, 0)
}

// coversLinks is covers for what a number has to do with other registers.
func (v *verifier) coversLinks(old, cur *reg) bool {
	switch {
	case old.has(length):
		return cur.has(length) && v.coversPlace(old, cur)
	case old.id != 0:
		return !cur.has(length) && cur.id != 0 && v.pairs.match(old.id, cur.id, int64(cur.off)-int64(old.off))
	}
	return true
}

// coversStack is covers for the stack of a frame; at is the first slot that is
// not covered.
func (v *verifier) coversStack(old, cur []slot) (at int, ok bool) {
	for i := range old {
		o := &old[i]
		if o.blank() {
			continue
		}
		if i >= len(cur) || !v.coversSlot(o, &cur[i]) {
			return i, false
		}
	}
	return 0, true
}

// coversSlot is covers for a stack slot. Bytes that nothing is known of are any
// bytes, also those of a pointer; strict mode tells which may be read, and a
// pointer not as a number.
func (v *verifier) coversSlot(old, cur *slot) bool {
	if old.init&^cur.init != 0 || v.o.Strict && old.spill == 0 && cur.reg.isPointer() {
		return false
	}
	if old.zero != 0 {
		zero := cur.zero
		if c, ok := cur.reg.constant(); ok && cur.spill != 0 && c == 0 {
			zero |= cur.spill
		}
		if old.zero&^zero != 0 {
			return false
		}
	}
	if old.spill != 0 {
		return old.spill == cur.spill && v.coversReg(&old.reg, &cur.reg) ||
			old.reg.kind == scalar && old.reg == anyNumber() && cur.spill == 0
	}
	return true
}

// A renumbering gives the ids of a state anew.
type renumbering struct {
	count []uint16 // of each old id, how many registers have it
	to    []uint32 // its new one
	base  []int32  // of linked numbers the offset of the first
}

// renumber gives ids anew in the order in which registers have them, and drops
// links to nothing. Then states that differ in nothing but ids are equal.
func (n *renumbering) renumber(s *state) {
	if s.nextID == 0 {
		return
	}
	size := int(s.nextID) + 1
	if cap(n.count) < size {
		n.count, n.to, n.base = make([]uint16, 2*size), make([]uint32, 2*size), make([]int32, 2*size)
	}
	n.count, n.to, n.base = n.count[:size], n.to[:size], n.base[:size]
	clear(n.count)
	clear(n.to)
	s.each(func(r *reg) { n.count[r.id]++ })
	next := uint32(0)
	name := func(id uint32) uint32 {
		if id == 0 {
			return 0
		}
		if n.to[id] == 0 {
			next++
			n.to[id] = next
		}
		return n.to[id]
	}
	s.each(func(r *reg) {
		if r.id != 0 {
			n.link(r, name)
		}
		r.ref = name(r.ref)
	})
	for i := range s.refs {
		s.refs[i].id = name(s.refs[i].id)
	}
	s.lock.id = name(s.lock.id)
	s.nextID = next
}

// link renumbers the id of a register.
func (n *renumbering) link(r *reg, name func(uint32) uint32) {
	alone := n.count[r.id] == 1
	switch {
	case r.kind == scalar && alone, r.has(nullable) && r.kind != mapPtr && alone:
		r.id, r.off, r.flags = 0, 0, r.flags&^length
		return
	case r.kind == scalar && !r.has(length):
		if n.to[r.id] == 0 {
			n.base[r.id] = r.off
		}
		off := int64(r.off) - int64(n.base[r.id])
		if off != int64(int32(off)) {
			r.id, r.off = 0, 0 // too far from the first to say how far
			return
		}
		r.off = int32(off)
	}
	r.id = name(r.id)
}
