package num

import (
	"fmt"
	"strings"
)

// String is p for a person to read:
//
//	text   = "unknown" | number | range [step] [bits] [low]
//	range  = number ".." number | "not " number ".." number | "not " number
//	step   = " step " number
//	bits   = [" with " number] [" of " number]
//	low    = " low " number ".." number
//
// A range goes up from its first number; it is signed if it passes 0. "not"
// is for ranges that go around both ends: the numbers that are left out. From
// the first number on, only every step-th is meant. "with" names bits that are
// 1, "of" the only ones that may be, and "low" a range of the lower half, each
// only where the text before does not say it. Numbers from 65536 are in hex.
func (p Product[W, H]) String() string {
	if v, ok := p.IsConst(); ok {
		return number(v)
	}
	if p.IsUnknown() {
		return "unknown"
	}
	var b strings.Builder
	b.WriteString(p.Wide.String())
	step := W(1) << trailing(p.Bits.Mask)
	if step > 1 {
		fmt.Fprintf(&b, " step %d", step)
	}
	said := p.Wide.bits()
	said.Mask &^= step - 1
	said.Value |= p.Bits.Value & (step - 1)
	if with := p.Bits.Value &^ said.Value; with != 0 {
		fmt.Fprintf(&b, " with %s", number(p.Bits.Value))
	}
	if most := p.Bits.Value | p.Bits.Mask; most != said.Value|said.Mask {
		fmt.Fprintf(&b, " of %#x", uint64(most))
	}
	q := Product[W, H]{p.Bits, p.Wide, fullArc[H]()}
	if q.reduce(); q.Low != p.Low {
		b.WriteString(" low " + p.Low.String())
	}
	return b.String()
}

// String is the range alone.
func (a Arc[U]) String() string {
	switch wraps := a.wraps(); {
	case wraps && a.crosses():
		out := a.outside()
		if out.Size == 0 {
			return "not " + number(out.Base)
		}
		return "not " + out.String()
	case wraps:
		return fmt.Sprintf("%d..%d", signed(a.Base), signed(a.end()))
	}
	if signed(a.Base) >= 0 && a.crosses() {
		return number(a.Base) + ".." + fmt.Sprintf("%#x", uint64(a.end()))
	}
	return number(a.Base) + ".." + number(a.end())
}

// number writes small numbers of either sign in decimal, as programs do.
func number[U Word](v U) string {
	if s := signed(v); s < 0 && s > -65536 {
		return fmt.Sprint(s)
	}
	if uint64(v) < 65536 {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%#x", uint64(v))
}

// String is the name of the operation in RFC 9669.
func (op Op) String() string { return opNames[op] }

var opNames = [...]string{
	"add", "sub", "mul", "div", "mod", "sdiv", "smod", "and", "or", "xor", "lsh", "rsh", "arsh",
}

// String is the condition as it is written in programs.
func (c Cmp) String() string { return cmpNames[c] }

var cmpNames = [...]string{"==", "!=", ">", ">=", "<", "<=", "&", "s>", "s>=", "s<", "s<=", "!&"}
