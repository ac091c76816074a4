package verifier

import (
	"fmt"
	"math"

	"github.com/bpflab/bpflab/ebpf"
)

// nearestNumber finds the last comparison of the number that is too large, too
// small or without bounds: an offset, a size, a return value.
func (e *explanation) nearestNumber() *Check {
	change, r := e.numberAtFault()
	if change == 0 {
		return nil
	}
	n := &e.log.changes[change].is.reg
	if _, constant := n.constant(); constant || n.kind != scalar {
		return nil
	}
	lineage := map[int32]bool{}
	for _, c := range e.log.lineage(change) {
		lineage[c] = true
	}
	var copied *Check
	for i := len(e.log.compares) - 1; i >= 0; i-- {
		c := &e.log.compares[i]
		if c.step >= e.end {
			continue
		}
		if refined := e.refined(c.step, lineage); refined != 0 {
			return e.check(c.step, "%s", e.tooWeak(c, refined, n, r))
		}
		if copied == nil && c.x.kind == scalar && c.xChange != 0 {
			copied = e.otherCopy(c, change, r, lineage)
		}
	}
	if copied != nil {
		return copied
	}
	return e.noCheck("%s, %s, is not compared with anything on this path.", r, numberText(n.num))
}

// numberAtFault returns the change that made the number, and what it is called:
// the register at fault if it is a number, or what was added to the pointer in
// it.
func (e *explanation) numberAtFault() (change int32, name string) {
	if e.failure.reg < 0 {
		return 0, ""
	}
	at := register(e.frame(), ebpf.Register(e.failure.reg))
	change = e.changeOf(at)
	if e.failure.code == PointerRange {
		ins := e.p.Insns[e.failure.pc]
		if ins.Op.Source() != ebpf.SourceX {
			return 0, ""
		}
		for _, r := range []ebpf.Register{ins.Src, ins.Dst} {
			if x := e.value(register(e.frame(), r)); x.kind == scalar {
				return e.changeOf(register(e.frame(), r)), "R" + itoa(int32(r))
			}
		}
	}
	x := e.value(at)
	if x.kind == scalar {
		return change, "R" + itoa(int32(e.failure.reg))
	}
	if off, ok := x.offset(); ok && off >= 0 {
		if size := e.sizeOf(ebpf.Register(e.failure.reg)); size != 0 {
			return size, "R" + itoa(int32(e.failure.reg)+1)
		}
	}
	for _, c := range e.log.lineage(change) {
		for _, from := range e.log.changes[c].from {
			y := &e.log.changes[from]
			if _, constant := y.is.reg.constant(); from != 0 && !constant && y.is.reg.kind == scalar && e.log.changes[c].is.reg.isPointer() {
				return from, e.name(y)
			}
		}
	}
	return 0, ""
}

// refined returns the change by which a step has found out more about what is
// in a lineage, 0 if it has not.
func (e *explanation) refined(step int32, lineage map[int32]bool) int32 {
	for i := len(e.log.changes) - 1; i > 0 && e.log.changes[i].step >= step; i-- {
		if c := &e.log.changes[i]; c.step == step && !c.written && lineage[int32(i)] && c.is.reg.kind == scalar {
			return int32(i)
		}
	}
	return 0
}

// tooWeak says why a comparison does not bound a number well enough.
func (e *explanation) tooWeak(c *compared, refined int32, n *reg, r string) string {
	x := &e.log.changes[refined]
	op := e.p.Insns[e.log.steps[c.step].pc].Op.Operation()
	shows := fmt.Sprintf("It shows that %s is %s", e.name(x), numberText(x.is.reg.num))
	if n.num != x.is.reg.num {
		shows += fmt.Sprintf("; what is made of it, %s, is %s", r, numberText(n.num))
	}
	negative := n.num.SMin() < 0 && n.num.SMax() >= 0 || n.num.SMin() == 0 && n.num.SMax() == math.MaxUint32 && n.num.SMin32() < 0
	switch signed := op == ebpf.Jsgt || op == ebpf.Jsge || op == ebpf.Jslt || op == ebpf.Jsle; {
	case negative && signed:
		return shows + ". It compares as signed numbers, and bounds one side only: the number may be negative."
	case negative:
		return shows + ", which may be negative."
	case op == ebpf.Jeq || op == ebpf.Jne:
		return shows + ": it rules out one number only."
	}
	if m := e.failure.arithmetic(); m != nil && m.Short > 0 && e.failure.end > e.failure.have {
		return shows + fmt.Sprintf(", which is %d too many.", m.Short)
	}
	return shows + ", which is not enough."
}

// otherCopy says why a comparison of a number that comes from the same source
// does not tell about the one at fault; nil if it does not come from there.
func (e *explanation) otherCopy(c *compared, change int32, r string, lineage map[int32]bool) *Check {
	for _, i := range e.log.lineage(c.xChange) {
		if !lineage[i] {
			continue
		}
		if made := e.log.changes[change].step; e.log.changes[change].written && made > c.step {
			return e.check(c.step, "It is about a number from before %s was calculated at %s: what is known of it does not survive the calculation.", r, e.at(made))
		}
		return e.check(c.step, "It is about R%d, which was made of the same number as %s; what it shows of the one is not known of the other.",
			e.p.Insns[e.log.steps[c.step].pc].Dst, r)
	}
	return nil
}
