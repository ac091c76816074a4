package ir

import (
	"fmt"
	"strings"
)

// The text form, which Parse reads:
//
//	b0:
//		eval u8[14]
//		if u16[12] == 0x800 goto b1 else b2  ; 0-2
//	b1:
//		p7 = phi b0.1: 0x0, b4.0: (u8[14] & 0xf)
//		jump b3
//	b2: accept
//	b3: reject
//
// Values are written out where they are used. u16[p7 + 0x2] is a load at a
// base, b0.1 is the edge out of b0 number 1 (the false one), and what follows
// a semicolon is the Origin of the block.

var opSigns = [...]string{Add: "+", Sub: "-", Mul: "*", Div: "/", Mod: "%", And: "&", Or: "|", Xor: "^", Shl: "<<", Shr: ">>"}

var condSigns = [...]string{Eq: "==", Gt: ">", Ge: ">=", Set: "&"}

var fieldNames = [...]string{VLANPresent: "vlan_present", VLANTag: "vlan_tag", PacketType: "packet_type", IfIndex: "ifindex", Protocol: "protocol"}

// String returns the name of the field.
func (m Field) String() string { return fieldNames[m] }

// String returns the text form of the graph.
func (f *Func) String() string {
	var s strings.Builder
	for _, b := range f.Blocks {
		b.write(&s)
	}
	return s.String()
}

func (b *Block) write(s *strings.Builder) {
	fmt.Fprintf(s, "b%d:", b.ID)
	for _, p := range b.Phis {
		fmt.Fprintf(s, "\n\tp%d = phi", p.ID)
		for i, a := range p.Args {
			sep := ","
			if i == 0 {
				sep = ""
			}
			fmt.Fprintf(s, "%s b%d.%d: %v", sep, b.Preds[i].From.ID, b.Preds[i].Index, a)
		}
	}
	for _, v := range b.Evals {
		fmt.Fprintf(s, "\n\teval %v", v)
	}
	sep := "\n\t"
	if len(b.Phis)+len(b.Evals) == 0 && b.Kind >= Accept {
		sep = " "
	}
	s.WriteString(sep + b.ending())
	if len(b.Origin) > 0 {
		fmt.Fprintf(s, "  ; %v", b.Origin)
	}
	s.WriteByte('\n')
}

func (b *Block) ending() string {
	name := func(i int) string {
		if b.Succs[i] == nil {
			return "nowhere"
		}
		return fmt.Sprintf("b%d", b.Succs[i].ID)
	}
	switch b.Kind {
	case If:
		return fmt.Sprintf("if %v goto %s else %s", b.Cond, name(0), name(1))
	case Jump:
		return "jump " + name(0)
	case Accept:
		return "accept"
	}
	return "reject"
}

// String returns the comparison as text.
func (c Cond) String() string { return fmt.Sprintf("%v %s %v", c.X, condSigns[c.Op], c.Y) }

// String returns the value written out down to constants and phis.
func (v *Value) String() string {
	switch v.Op {
	case Const:
		return fmt.Sprintf("%#x", v.Const)
	case Load:
		if len(v.Args) == 0 {
			return fmt.Sprintf("u%d[%d]", 8*v.Size, v.Const)
		}
		return fmt.Sprintf("u%d[%v + %d]", 8*v.Size, v.Args[0], v.Const)
	case Len:
		return "len"
	case Meta:
		return Field(v.Const).String()
	case Neg:
		return fmt.Sprintf("-%v", v.Args[0])
	case Phi:
		return fmt.Sprintf("p%d", v.ID)
	}
	return fmt.Sprintf("(%v %s %v)", v.Args[0], opSigns[v.Op], v.Args[1])
}
