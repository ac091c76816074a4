package filter

import (
	"fmt"
	"math/bits"
	"net"
	"slices"
	"strconv"
	"strings"
)

// The text form of the tree, before and after resolution, is an expression of
// the same language in which nothing is left to rules: every id has its own
// qualifiers, and parentheses group what precedence would.

// Expand returns expr as an expression that means the same with nothing
// abbreviated: names are replaced by numbers and addresses, qualifiers and
// directions are written out, and parentheses show what belongs together.
// It returns "" for the empty expression. Errors are *[Error].
func Expand(expr string, names Resolver) (string, error) {
	n, err := Resolve(expr, names)
	if err != nil {
		return "", err
	}
	return format(n), nil
}

// format returns the text form of n.
func format(n Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	printNode(&b, n)
	return b.String()
}

// treeText returns a tree in lines, one a node, indented by depth, each with
// the bytes of the expression that it came from.
func treeText(n Node) string {
	var b strings.Builder
	if n != nil {
		printTree(&b, n, 0)
	}
	return b.String()
}

func printTree(b *strings.Builder, n Node, depth int) {
	text, children := "", []Node(nil)
	switch n := n.(type) {
	case *And:
		text, children = "and", n.Terms
	case *Or:
		text, children = "or", n.Terms
	case *Not:
		text, children = "not", []Node{n.X}
	default:
		text = format(n)
	}
	fmt.Fprintf(b, "%*s%s  [%d-%d]\n", 2*depth, "", text, n.Span().Start, n.Span().End)
	for _, c := range children {
		printTree(b, c, depth+1)
	}
}

func printNode(b *strings.Builder, n Node) {
	switch n := n.(type) {
	case *And:
		printTerms(b, n.Terms, " and ")
	case *Or:
		printTerms(b, n.Terms, " or ")
	case *Not:
		b.WriteString("not ")
		printNode(b, n.X)
	case *Relation:
		printArith(b, n.X)
		fmt.Fprintf(b, " %v ", n.Op)
		printArith(b, n.Y)
	case *Primitive:
		b.WriteString(words(n.Quals.Proto.String(), n.Quals.Dir.String(), n.Quals.Type.String(), n.ID.String()))
	case Test:
		b.WriteString(testText(n))
	default:
		panic(fmt.Sprintf("filter: node %T", n))
	}
}

func printTerms(b *strings.Builder, terms []Node, op string) {
	b.WriteByte('(')
	for i, t := range terms {
		if i > 0 {
			b.WriteString(op)
		}
		printNode(b, t)
	}
	b.WriteByte(')')
}

// words joins what is not empty.
func words(w ...string) string {
	return strings.Join(slices.DeleteFunc(w, func(s string) bool { return s == "" }), " ")
}

// String returns the comparison as it is written.
func (op RelOp) String() string {
	return [...]string{RelEq: "=", RelNe: "!=", RelGt: ">", RelGe: ">=", RelLt: "<", RelLe: "<="}[op]
}

// String returns the id as it is written, a name with a backslash if the
// scanner would take it for something else.
func (id ID) String() string {
	switch id.Kind {
	case IDIPv4Len, IDIPv6Len:
		return id.Text + "/" + strconv.FormatUint(uint64(id.Number), 10)
	case IDIPv4Mask:
		return id.Text + " mask " + id.Mask
	case IDName:
		s := scanner{src: id.Text}
		if t := s.next(); t.kind != tokName || t.text != id.Text {
			return `\` + id.Text
		}
	}
	return id.Text
}

func printArith(b *strings.Builder, a Arith) {
	switch a := a.(type) {
	case *Number:
		b.WriteString(strconv.FormatUint(uint64(a.Value), 10))
	case *Length:
		b.WriteString("len")
	case *Index:
		b.WriteString(a.Proto.String() + "[")
		printArith(b, a.Off)
		fmt.Fprintf(b, ":%d]", a.Size)
	case *Neg:
		b.WriteString("(-")
		printArith(b, a.X)
		b.WriteByte(')')
	case *Binary:
		b.WriteByte('(')
		printArith(b, a.X)
		op := string(a.Op)
		if op == "<" || op == ">" {
			op += op
		}
		b.WriteString(" " + op + " ")
		printArith(b, a.Y)
		b.WriteByte(')')
	default:
		panic(fmt.Sprintf("filter: arithmetic %T", a))
	}
}

// testText returns the text form of a resolved primitive.
func testText(t Test) string {
	switch t := t.(type) {
	case *TestNet:
		return netText(t)
	case *TestLinkAddr:
		return words("ether", dirText(t.Dir), "host", net.HardwareAddr(t.Addr[:]).String())
	case *TestPort:
		return portText(t)
	case *TestProto:
		return words(t.Proto.String(), "proto", strconv.FormatUint(uint64(t.Number), 10))
	case *TestAbbrev:
		return t.Proto.String()
	case *TestCast:
		if t.Multicast {
			return words(t.Proto.String(), "multicast")
		}
		return words(t.Proto.String(), "broadcast")
	case *TestLen:
		if t.Greater {
			return fmt.Sprint("greater ", t.N)
		}
		return fmt.Sprint("less ", t.N)
	case *TestEncap:
		if t.HasID {
			return fmt.Sprint(t.Layer, " ", t.ID)
		}
		return t.Layer.String()
	case *TestDirection:
		if t.Outbound {
			return "outbound"
		}
		return "inbound"
	case *TestIfIndex:
		return fmt.Sprint("ifindex ", t.N)
	case *TestByte:
		return fmt.Sprintf("byte %d %c %d", t.Index, t.Op, t.Value)
	}
	panic(fmt.Sprintf("filter: test %T", t))
}

// dirText is the direction with its default.
func dirText(d Dir) string {
	if d == DirNone {
		d = DirOr
	}
	return d.String()
}

// netText writes one address as "host", anything else as "net".
func netText(t *TestNet) string {
	terms := make([]string, len(t.Nets))
	for i, n := range t.Nets {
		terms[i] = words(t.Proto.String(), dirText(t.Dir), n.text())
	}
	if len(terms) == 1 {
		return terms[0]
	}
	return "(" + strings.Join(terms, " or ") + ")"
}

func (n Net) text() string {
	all := ^uint32(0)
	switch {
	case n.IPv6 && n.Mask == [4]uint32{all, all, all, all}:
		return "host " + addr6(n.Addr).String()
	case n.IPv6:
		length := 0
		for _, m := range n.Mask {
			length += bits.OnesCount32(m)
		}
		return fmt.Sprintf("net %v/%d", addr6(n.Addr), length)
	case n.Mask[0] == all:
		return "host " + addr4(n.Addr[0]).String()
	}
	if length := bits.LeadingZeros32(^n.Mask[0]); n.Mask[0] == ^(all >> length) {
		return fmt.Sprintf("net %v/%d", addr4(n.Addr[0]), length)
	}
	return fmt.Sprintf("net %v mask %v", addr4(n.Addr[0]), addr4(n.Mask[0]))
}

// portText writes the protocol before a port if there is one only.
func portText(t *TestPort) string {
	proto := ""
	if len(t.IPProtos) == 1 {
		proto = transports[t.IPProtos[0]].String()
	}
	if t.Range {
		return words(proto, dirText(t.Dir), "portrange", fmt.Sprintf("%d-%d", t.Lo, t.Hi))
	}
	return words(proto, dirText(t.Dir), "port", strconv.Itoa(int(t.Lo)))
}
