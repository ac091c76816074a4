package verifier

import (
	"fmt"
	"math"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/verifier/num"
)

// A culprit is a number that is too large, too small or without bounds: an
// offset, a size, a return value.
type culprit struct {
	change int32 // that made it
	name   string
	n      reg
	minus  bool // it is subtracted from a pointer
}

// nearestNumber finds the last comparison of the culprit.
func (e *explanation) nearestNumber() *Check {
	n := e.culprit()
	if n == nil {
		return nil
	}
	lineage := map[int32]bool{}
	for _, c := range e.log.lineage(n.change) {
		lineage[c] = true
	}
	related := e.log.related(lineage)
	var weaker *Check // tells less than a comparison that has shown something
	for i := len(e.log.compares) - 1; i >= 0; i-- {
		c := &e.log.compares[i]
		if c.step >= e.end {
			continue
		}
		if refined := e.refined(c.step, lineage); refined != 0 {
			return e.check(c.step, "%s", e.tooWeak(c, refined, n))
		}
		if weaker == nil {
			weaker = e.shownNothing(c, n, related)
		}
	}
	if weaker != nil {
		return weaker
	}
	return e.noCheck("%s, %s, is not compared with anything on this path.", n.name, numberText(n.n.num))
}

// culprit returns the number at fault: what is in the register at fault if it
// is a number, or what was added to the pointer in it; nil if it is a constant.
func (e *explanation) culprit() *culprit {
	if e.failure.reg < 0 {
		return nil
	}
	at := register(e.frame(), ebpf.Register(e.failure.reg))
	if e.failure.code == PointerRange {
		ins := e.p.Insns[e.failure.pc]
		if ins.Op.Source() != ebpf.SourceX {
			return nil
		}
		for _, r := range []ebpf.Register{ins.Src, ins.Dst} {
			if e.value(register(e.frame(), r)).kind == scalar {
				return e.variable(e.changeOf(register(e.frame(), r)), "R"+itoa(int32(r)), e.failure.pc)
			}
		}
	}
	x := e.value(at)
	if x.kind == scalar {
		return e.variable(e.changeOf(at), "R"+itoa(int32(e.failure.reg)), e.failure.pc)
	}
	if off, ok := x.offset(); ok && off >= 0 {
		if size := e.sizeOf(ebpf.Register(e.failure.reg)); size != 0 {
			return e.variable(size, "R"+itoa(int32(e.failure.reg)+1), e.failure.pc)
		}
	}
	for _, c := range e.log.lineage(e.changeOf(at)) {
		x := &e.log.changes[c]
		for _, from := range x.from {
			if y := &e.log.changes[from]; from != 0 && x.is.reg.isPointer() {
				if n := e.variable(from, e.name(y), int(e.log.steps[x.step].pc)); n != nil {
					return n
				}
			}
		}
	}
	return nil
}

// variable makes the culprit that an instruction calculates with; nil if it is
// no number, or a constant.
func (e *explanation) variable(change int32, name string, user int) *culprit {
	n := culprit{change: change, name: name, n: e.log.changes[change].is.reg}
	if _, constant := n.n.constant(); change == 0 || constant || n.n.kind != scalar {
		return nil
	}
	op := e.p.Insns[user].Op
	n.minus = op.Class() == ebpf.ClassALU64 && op.Operation() == ebpf.Sub
	return &n
}

// related reports of each change whether something in its lineage is in
// another one.
func (l *eventLog) related(lineage map[int32]bool) []bool {
	out := make([]bool, len(l.changes))
	for i := 1; i < len(out); i++ {
		if c := &l.changes[i]; c.written {
			out[i] = lineage[int32(i)] || out[c.from[0]] || out[c.from[1]]
		} else {
			out[i] = lineage[int32(i)] || out[c.prior]
		}
	}
	return out
}

// refined returns the change by which a step has found out more about what is
// in a lineage, 0 if it has not.
func (e *explanation) refined(step int32, lineage map[int32]bool) int32 {
	last := int32(0)
	for i := range e.log.changesAt(step) {
		if c := &e.log.changes[i]; !c.written && lineage[i] && c.is.reg.kind == scalar {
			last = i
		}
	}
	return last
}

// tooWeak says why a comparison does not bound a number well enough.
func (e *explanation) tooWeak(c *compared, refined int32, n *culprit) string {
	x := &e.log.changes[refined]
	op := e.p.Insns[e.log.steps[c.step].pc].Op.Operation()
	shows := fmt.Sprintf("It shows that %s is %s", e.name(x), numberText(x.is.reg.num))
	if n.n.num != x.is.reg.num {
		shows += fmt.Sprintf("; what is made of it, %s, is %s", n.name, numberText(n.n.num))
	}
	_, one := x.is.reg.constant()
	negative := mayBeNegative(n.n.num)
	switch _, signed := withoutSign(op); {
	case negative && signed:
		return shows + ". It compares as signed numbers, and bounds one side only: the number may be negative."
	case negative:
		return shows + ", which may be negative."
	case (op == ebpf.Jeq || op == ebpf.Jne) && !one:
		return shows + ": it rules out one number only."
	}
	m := e.failure.arithmetic()
	switch {
	case m == nil || m.Short <= 0:
		return shows + ", which is not enough."
	case e.missesStart() == n.minus:
		return shows + fmt.Sprintf(", which is %d too many.", m.Short)
	}
	return shows + fmt.Sprintf(", which is %d too few.", m.Short)
}

// mayBeNegative reports whether a number may, as one of 64 or of 32 bits.
func mayBeNegative(n num.Scalar) bool {
	return n.SMin() < 0 && n.SMax() >= 0 || n.SMin() == 0 && n.SMax() == math.MaxUint32 && n.SMin32() < 0
}

// missesStart reports whether an access goes before its object, not behind it.
func (e *explanation) missesStart() bool {
	if e.failure.code == StackBounds {
		return e.failure.end <= 0
	}
	return e.failure.off < 0
}

// shownNothing says why a comparison that has shown nothing about a number does
// not, if it is of that number or of one that comes from the same source; nil
// if it is of another one.
func (e *explanation) shownNothing(c *compared, n *culprit, related []bool) *Check {
	for _, side := range []struct {
		change int32
		other  *reg
	}{{c.xChange, &c.y}, {c.yChange, &c.x}} {
		if x := e.log.changes[side.change].is.reg; side.change == 0 || x.kind != scalar || !related[side.change] {
			continue
		}
		if e.log.version(n.change, side.change) {
			return e.check(c.step, "It compares %s with what is %s, and %s is still %s behind it.",
				n.name, e.regText(side.other), n.name, numberText(n.n.num))
		}
		return e.otherCopy(c, side.change, n)
	}
	return nil
}

// version reports whether from one change to a later one nothing was written:
// they are of the same value.
func (l *eventLog) version(later, earlier int32) bool {
	for later > earlier && !l.changes[later].written {
		later = l.changes[later].prior
	}
	return later == earlier
}

// otherCopy says why a comparison of a number that comes from the same source
// does not tell about the one at fault.
func (e *explanation) otherCopy(c *compared, compared int32, n *culprit) *Check {
	if made := e.log.changes[n.change].step; e.log.changes[n.change].written && made > c.step {
		return e.check(c.step, "It is about a number from before %s was calculated at %s: what is known of it does not survive the calculation.", n.name, e.at(made))
	}
	return e.check(c.step, "It is about %s, which was made of the same number as %s; what it shows of the one is not known of the other.",
		e.name(&e.log.changes[compared]), n.name)
}
