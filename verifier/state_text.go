package verifier

import (
	"fmt"
	"math"
	"strings"

	"github.com/bpflab/bpflab/verifier/num"
)

// regText tells what is known of a register, as [Value.String] does, and what
// that leaves out: why something is not known, and checks that do not reach.
func (e *explanation) regText(r *reg) string {
	switch {
	case r.kind == unset && r.has(clobbered):
		return "lost in the call"
	case r.kind == unset:
		return "not set"
	case r.has(stale):
		return "no pointer any more"
	case r.kind == scalar && r.has(length) && (r.off != 0 || r.id != 0):
		return fmt.Sprintf("length of the packet from byte %d on (%s)", r.off, numberText(r.num))
	case r.kind == scalar && r.has(length):
		return "length of the packet (" + numberText(r.num) + ")"
	case r.kind == scalar:
		return numberText(r.num)
	}
	v := valueOf(r)
	if v.hasMap() && v.Map < len(e.mapNames) {
		v.mapName = e.mapNames[v.Map]
	}
	text := v.String()
	if r.kind != packetPtr && r.kind != metaPtr || v.Room > 0 {
		return text
	}
	switch beyond := int(r.off) - int(r.span); {
	case r.span == 0:
		return text + ", none known"
	case beyond == 0:
		return text + ", all before it known"
	default:
		return text + fmt.Sprintf(", known up to %s before it", bytesText(beyond))
	}
}

// numberText is a number as [num.Product.String] writes it, but for those of
// which only the lower half has bounds and may be negative.
func numberText(n num.Scalar) string {
	if n.SMin() == 0 && n.SMax() == math.MaxUint32 && n.SMin32() < 0 && n.Low.Size != math.MaxUint32 {
		if low := n.Low.String(); !strings.HasPrefix(low, "not") {
			return low + " as 32 bits"
		}
	}
	return n.String()
}

// place describes an instruction, with the names of maps and functions unless
// there is no sense in the program.
func (e *explanation) place(slot int) Place {
	at := e.p.place(slot)
	if e.failure.code == Malformed {
		return at
	}
	if e.lines == nil {
		e.lines = e.p.Text()
	}
	if slot < len(e.lines) {
		at.Insn = e.lines[slot]
	}
	return at
}
