package filter

import (
	"fmt"
	"net/netip"
	"strings"
)

// treeText writes a resolved tree, one node a line, indented by depth, each
// with the bytes of the expression that it came from. The empty filter is "".
func treeText(n Node) string {
	var b strings.Builder
	if n != nil {
		writeTree(&b, n, 0)
	}
	return b.String()
}

func writeTree(b *strings.Builder, n Node, depth int) {
	word, children := "", []Node(nil)
	switch n := n.(type) {
	case *And:
		word, children = "and", n.Terms
	case *Or:
		word, children = "or", n.Terms
	case *Not:
		word, children = "not", []Node{n.X}
	default:
		word = leafText(n)
	}
	at := n.Span()
	fmt.Fprintf(b, "%*s%s  [%d-%d]\n", 2*depth, "", word, at.Start, at.End)
	for _, c := range children {
		writeTree(b, c, depth+1)
	}
}

// leafText describes a node without boolean operators, with numbers where the
// expression may have names.
func leafText(n Node) string {
	switch n := n.(type) {
	case *Relation:
		ops := [...]string{RelEq: "=", RelNe: "!=", RelGt: ">", RelGe: ">=", RelLt: "<", RelLe: "<="}
		return arithText(n.X) + " " + ops[n.Op] + " " + arithText(n.Y)
	case *TestNet:
		nets := make([]string, len(n.Nets))
		for i := range n.Nets {
			nets[i] = n.Nets[i].String()
		}
		return words(n.Proto, n.Dir, "net", strings.Join(nets, " "))
	case *TestLinkAddr:
		return words(ProtoLink, n.Dir, "host", fmt.Sprintf("% x", n.Addr))
	case *TestPort:
		return words(ProtoNone, n.Dir, "port", fmt.Sprintf("%d-%d of IP protocols %d", n.Lo, n.Hi, n.IPProtos))
	case *TestProto:
		return words(n.Proto, DirNone, "proto", fmt.Sprint(n.Number))
	case *TestAbbrev:
		return words(n.Proto, DirNone)
	case *TestCast:
		return words(n.Proto, DirNone, choose(n.Multicast, "multicast", "broadcast"))
	case *TestLen:
		return fmt.Sprint(choose(n.Greater, "greater ", "less "), n.N)
	case *TestEncap:
		if n.HasID {
			return fmt.Sprint(n.Layer, " ", n.ID)
		}
		return n.Layer.String()
	case *TestDirection:
		return choose(n.Outbound, "outbound", "inbound")
	case *TestIfIndex:
		return fmt.Sprint("ifindex ", n.N)
	case *TestByte:
		return fmt.Sprintf("byte %d %c %d", n.Index, n.Op, n.Value)
	}
	return fmt.Sprintf("%T", n)
}

// words joins the qualifiers that are there and what follows them.
func words(p Proto, d Dir, more ...string) string {
	var out []string
	if p != ProtoNone {
		out = append(out, p.String())
	}
	if d != DirNone {
		out = append(out, d.String())
	}
	return strings.Join(append(out, more...), " ")
}

func choose(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}

// String returns the address and the mask, as a prefix length if it is one.
func (n Net) String() string {
	size, ones := 1, 0
	if n.IPv6 {
		size = 4
	}
	var addr, mask []byte
	prefix := true
	for i := range size {
		for bit := 31; bit >= 0; bit-- {
			set := n.Mask[i]>>bit&1 == 1
			prefix = prefix && (!set || ones == 32*i+31-bit)
			if set {
				ones++
			}
		}
		addr = append(addr, byte(n.Addr[i]>>24), byte(n.Addr[i]>>16), byte(n.Addr[i]>>8), byte(n.Addr[i]))
		mask = append(mask, byte(n.Mask[i]>>24), byte(n.Mask[i]>>16), byte(n.Mask[i]>>8), byte(n.Mask[i]))
	}
	a, _ := netip.AddrFromSlice(addr)
	m, _ := netip.AddrFromSlice(mask)
	if prefix {
		return fmt.Sprintf("%v/%d", a, ones)
	}
	return fmt.Sprintf("%v mask %v", a, m)
}

// arithText writes an arithmetic expression with all its parentheses.
func arithText(a Arith) string {
	switch a := a.(type) {
	case *Number:
		return fmt.Sprint(a.Value)
	case *Length:
		return "len"
	case *Neg:
		return "-" + arithText(a.X)
	case *Index:
		return fmt.Sprintf("%v[%s:%d]", a.Proto, arithText(a.Off), a.Size)
	case *Binary:
		op := string(a.Op)
		if a.Op == '<' || a.Op == '>' {
			op += op
		}
		return "(" + arithText(a.X) + " " + op + " " + arithText(a.Y) + ")"
	}
	return fmt.Sprintf("%T", a)
}
