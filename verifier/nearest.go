package verifier

import (
	"fmt"

	"github.com/bpflab/bpflab/ebpf"
)

// nearest finds the comparison on the path that comes closest to what the
// instruction at fault would need, and says why it is not enough.
func (e *explanation) nearest() *Check {
	switch f := e.failure; f.code {
	case PacketBounds:
		if f.bounds && f.off < 0 {
			return e.nearestNumber()
		}
		return e.nearestBounds()
	case StalePointer:
		return e.moved()
	case NotPointer, ArgumentKind:
		return e.noPointer()
	case MaybeNull, NullArithmetic:
		return e.nearestNull()
	case InfiniteLoop:
		return e.loopEnd()
	case MapBounds, RecordBounds, StackBounds, ArgumentSize, ArgumentMemory, PointerRange, ReturnRange, CallbackReturn:
		return e.nearestNumber()
	}
	return nil
}

// check makes the Check of a step.
func (e *explanation) check(step int32, format string, args ...any) *Check {
	return &Check{Place: e.place(int(e.log.steps[step].pc)), Why: fmt.Sprintf(format, args...)}
}

// noCheck says that there is none.
func (e *explanation) noCheck(format string, args ...any) *Check {
	return &Check{Place: Place{Slot: -1}, Why: fmt.Sprintf(format, args...)}
}

// at names a step in running text.
func (e *explanation) at(step int32) string {
	pc := int(e.log.steps[step].pc)
	if e.p.Source != nil {
		if s := e.p.Source(pc); s.File != "" {
			return fmt.Sprintf("%d (%s)", pc, s.short().Where())
		}
	}
	return itoa(int32(pc))
}

// nearestBounds is nearest for the packet and its metadata.
func (e *explanation) nearestBounds() *Check {
	r := ebpf.Register(e.failure.reg)
	p := e.value(register(e.frame(), r))
	var other, silent *Check
	turned := false
	for i := len(e.log.compares) - 1; i >= 0; i-- {
		c := &e.log.compares[i]
		q := c.bounded(p.kind)
		if q == nil || c.step >= e.end {
			continue
		}
		shown := e.shownAt(c.step)
		switch {
		case q.id == p.id && shown > 0:
			return e.check(c.step, "%s", e.tooShort(int64(shown), &p))
		case q.id == p.id && silent == nil:
			var why string
			why, turned = e.silence(c, q)
			silent = e.check(c.step, "%s", why)
		case q.id != p.id && shown > 0 && other == nil:
			other = e.check(c.step, "%s", e.elsewhere(c, q, r, &p))
		}
	}
	if silent != nil {
		if turned {
			e.turned = silent.Slot
		}
		return silent
	}
	if other != nil {
		return other
	}
	if p.kind == metaPtr {
		return e.noCheck("There is no comparison of data_meta with data on this path.")
	}
	return e.noCheck("There is no comparison with data_end on this path.")
}

// miss tells by how much the access misses. In the packet, where nothing has
// been checked behind the place at which a variable was added, it counts from
// the start of the packet.
func (e *explanation) miss() *Miss {
	m := e.failure.arithmetic()
	if m == nil || e.log == nil || e.failure.code != PacketBounds || m.Begin < 0 || m.Have > 0 {
		return m
	}
	p := e.value(register(e.frame(), ebpf.Register(e.failure.reg)))
	from := int64(p.num.UMax()) - int64(p.off)
	if p.id == 0 || p.num.SMin() < 0 || p.num.SMax() > maxPacket {
		return m
	}
	for i := range e.log.compares {
		c := &e.log.compares[i]
		if q := c.bounded(p.kind); q != nil && q.id == 0 && c.step < e.end {
			m.Have = max(m.Have, int64(e.shownAt(c.step)))
		}
	}
	m.Begin, m.End = m.Begin+int64(p.num.UMin())-int64(p.off), m.End+from
	m.Short = m.End - m.Have
	return m
}

// bounded returns the pointer of kind k that is compared with the packet's
// end, or the start for metadata; nil if that is not what is compared.
func (c *compared) bounded(k kind) *reg {
	switch {
	case c.x.has(length) && c.constant && k == packetPtr:
		return &c.x
	case !boundsCheck(&c.x, &c.y):
	case c.x.kind == k:
		return &c.x
	case c.y.kind == k:
		return &c.y
	}
	return nil
}

// tooShort says that fewer bytes have been shown than the access needs.
func (e *explanation) tooShort(shown int64, p *reg) string {
	text := fmt.Sprintf("It shows that %s %s there from %s on. The access needs %d: %d more.",
		bytesText(int(shown)), are(shown), place(p), e.failure.end, e.failure.end-shown)
	if e.failure.end > maxPacket {
		text += fmt.Sprintf(" No comparison is believed beyond %d bytes.", maxPacket)
	}
	return text
}

// shownAt returns how many bytes a step has shown to be there.
func (e *explanation) shownAt(step int32) int {
	shown := 0
	for i := range e.log.changesAt(step) {
		if c := &e.log.changes[i]; c.is.reg.span > c.was.reg.span {
			shown = int(c.is.reg.span)
		}
	}
	return shown
}

// silence says why a comparison of the right pointer shows nothing, and
// whether that is because the path goes on at the wrong side of it.
func (e *explanation) silence(c *compared, q *reg) (why string, turned bool) {
	op := e.p.Insns[e.log.steps[c.step].pc].Op.Operation()
	if q.kind == scalar { // data_end - p
		op, _ = withoutSign(op)
	}
	enough, strict := c.atMost(op, q)
	switch {
	case op == ebpf.Jeq || op == ebpf.Jne:
		return "It asks whether the two are equal, which shows nothing about the bytes between.", false
	case inverse(op) == 0:
		return "It compares as signed numbers, which shows nothing about addresses.", false
	case !enough && c.jump:
		return "On this path it jumps, which is the side for packets that are too short. The access belongs to the other side.", true
	case !enough:
		return "On this path it does not jump, which is the side for packets that are too short. The access belongs to the other side.", true
	case q.kind == scalar:
		return "It does not show that a byte is there.", false
	case q.num.UMax() > maxPacket || q.num.SMin() < 0:
		return fmt.Sprintf("The pointer may be %s bytes into the packet. Comparisons are believed up to %d bytes only, because beyond it an address could wrap around.",
			numberText(q.num), maxPacket), false
	case q.span > 0 && q.off > 0:
		return fmt.Sprintf("It shows no more than the %s that %s known before it. The access needs %d.", bytesText(int(q.span)), are(int64(q.span)), e.failure.end), false
	case strict || q.off != 0:
		return "It does not show that a byte is there.", false
	}
	return fmt.Sprintf("It shows that the pointer is not behind the end, but it may be the end itself. Compare the end of what is accessed, which is %s further on.",
		bytesText(int(e.failure.end))), false
}

// atMost reports whether, by the way that the path goes on, pointer q does not
// lie behind the end that it is compared with, or with strict before it. For a
// length that is that it is at least what it is compared with.
func (c *compared) atMost(op ebpf.Opcode, q *reg) (yes, strict bool) {
	if !c.jump {
		op = inverse(op)
	}
	if less := q == &c.x && q.kind != scalar; less {
		return op == ebpf.Jle || op == ebpf.Jlt, op == ebpf.Jlt
	}
	return op == ebpf.Jge || op == ebpf.Jgt, op == ebpf.Jgt
}

// elsewhere says why a comparison of another pointer does not cover p in
// register r.
func (e *explanation) elsewhere(c *compared, q *reg, r ebpf.Register, p *reg) string {
	was := placeText(q)
	moved := e.parted(e.changeOf(register(e.frame(), r)), p.id)
	if moved == 0 {
		return fmt.Sprintf("It is about %s, not about the place in the packet that R%d comes from.", was, r)
	}
	by := e.addend(moved)
	x := &e.log.changes[moved]
	if x.step > c.step {
		return fmt.Sprintf("It is about %s. At %s the pointer was moved by %s, and a check does not cover what is added to a pointer later.", was, e.at(x.step), by)
	}
	return fmt.Sprintf("It is about %s. R%d was moved by %s at %s, which makes it a pointer of its own that needs a check of its own.", was, r, by, e.at(x.step))
}

// placeText names the place of a packet pointer.
func placeText(p *reg) string {
	if p.kind == scalar {
		return "the length of the packet"
	}
	return placeNames[p.kind] + offsetText(p.num)
}

// parted returns the change, in the lineage of another one, in which a
// variable was added to a packet pointer, which has its id since.
func (e *explanation) parted(from int32, id uint32) int32 {
	found := int32(0)
	for _, c := range e.log.lineage(from) {
		x := &e.log.changes[c]
		if x.is.reg.id == id && (x.is.reg.kind == packetPtr || x.is.reg.kind == metaPtr) {
			found = c
		}
	}
	return found
}

// addend tells the number that an instruction has added to a pointer.
func (e *explanation) addend(c int32) string {
	for _, from := range e.log.changes[c].from {
		if r := &e.log.changes[from].is.reg; from != 0 && r.kind == scalar {
			return numberText(r.num)
		}
	}
	return "a number"
}

// moved finds the call that has made a packet pointer useless.
func (e *explanation) moved() *Check {
	for _, i := range e.log.lineage(e.changeOf(register(e.frame(), ebpf.Register(e.failure.reg)))) {
		c := &e.log.changes[i]
		if c.is.reg.has(stale) && !c.was.reg.has(stale) && !c.written {
			ins := e.p.Insns[e.log.steps[c.step].pc]
			name := ebpf.HelperName(ins.Imm)
			if !isCall(ins) || isLocalCall(ins) || name == "" {
				name = "the call"
			}
			return e.check(c.step, "%s may move the packet, which ends the validity of all pointers into it. Before, %s was %s.", name, e.name(c), e.content(c, &c.was))
		}
	}
	return nil
}

// noPointer finds the comparison behind which a pointer is NULL, or the call
// that has taken back what it points to; nil if neither is why it is none.
func (e *explanation) noPointer() *Check {
	if e.failure.reg < 0 {
		return nil
	}
	for _, i := range e.log.lineage(e.changeOf(register(e.frame(), ebpf.Register(e.failure.reg)))) {
		c := &e.log.changes[i]
		ins := e.p.Insns[e.log.steps[c.step].pc]
		if c.written || !c.was.reg.isPointer() || c.is.reg.kind != scalar {
			continue
		}
		if isCall(ins) && !isLocalCall(ins) && c.was.reg.ref != 0 {
			e.takenBack = true
			return e.check(c.step, "%s takes it back, and what is given back must not be touched. Before, %s was %s.",
				ebpf.HelperName(ins.Imm), e.name(c), e.content(c, &c.was))
		}
		if isBranch(ins) && c.was.reg.has(nullable) {
			e.turned = int(e.log.steps[c.step].pc)
			side := "does not jump"
			if target, _ := ins.Target(e.turned); target == int(e.log.steps[c.step].next) {
				side = "jumps"
			}
			return e.check(c.step, "On this path it %s, which is the side on which %s is NULL. The access belongs to the other side.", side, e.name(c))
		}
	}
	return nil
}

// nearestNull is nearest for pointers that may be NULL.
func (e *explanation) nearestNull() *Check {
	r := ebpf.Register(e.failure.reg)
	p := e.value(register(e.frame(), r))
	for i := len(e.log.compares) - 1; i >= 0; i-- {
		c := &e.log.compares[i]
		if c.step >= e.end || !c.x.has(nullable) || c.x.kind != p.kind {
			continue
		}
		ins := e.p.Insns[e.log.steps[c.step].pc]
		switch {
		case ins.Op.Class() == ebpf.ClassJMP32 && c.x.id == p.id:
			return e.check(c.step, "It compares the lower half of the pointer only, which does not tell.")
		case ins.Op.Class() == ebpf.ClassJMP && c.x.id != p.id:
			return e.check(c.step, "It is about R%d, %s: another pointer, from another call than R%d.", ins.Dst, e.regText(&c.x), r)
		}
	}
	return e.noCheck("R%d is not compared with NULL on this path.", r)
}

// loopEnd finds the way out of a loop that does not end.
func (e *explanation) loopEnd() *Check {
	begin := e.end - 1
	for begin >= 0 && e.log.steps[begin].pc != e.log.steps[e.end].pc {
		begin--
	}
	for i := len(e.log.compares) - 1; i >= 0 && e.log.compares[i].step >= begin; i-- {
		c := &e.log.compares[i]
		if c.step >= e.end {
			continue
		}
		ins := e.p.Insns[e.log.steps[c.step].pc]
		target, _ := ins.Target(int(e.log.steps[c.step].pc))
		other := int(e.log.steps[c.step].pc) + 1
		if !c.jump {
			other = target
		}
		if e.a.loop[other] == e.a.loop[e.failure.pc] {
			continue
		}
		return e.check(c.step, "It could leave the loop, but R%d is %s in every round.", ins.Dst, e.regText(&c.x))
	}
	return e.noCheck("No jump in the loop leaves it.")
}
