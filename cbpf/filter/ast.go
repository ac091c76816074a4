package filter

import "github.com/bpflab/bpflab/cbpf/origin"

// The syntax tree. The parser builds it from text alone: names are not yet
// looked up, qualifiers not yet judged, and nothing depends on the link type.
// Resolution (resolve.go) replaces every [Primitive] by a [Test]. The primitives
// that have no id to look up ("tcp", "ip broadcast", "vlan 5") are a Test from
// the start.

// MaxDepth is how deep the tree of an expression may nest, not counting the
// root; terms of one And or Or are siblings, and parentheses alone or pairs of
// "not" add no level. It bounds the stack of every recursive walk.
const MaxDepth = 10_000

// MaxArithDepth is how deep an arithmetic expression may nest: 1+1+1 has depth 2.
const MaxArithDepth = 1000

// A Span is a range of bytes of the expression.
type Span = origin.Span

// A Node is a piece of a boolean expression: *And, *Or, *Not, *Primitive,
// *Relation or a [Test]. Nodes nest at most [MaxDepth] deep, so that they can be
// walked by recursion.
type Node interface {
	// Span returns the bytes of the expression that the node covers.
	Span() Span
}

// And is true if all of its two or more terms are; later terms are not
// evaluated after a false one. "a and b and c" is one And of three terms.
type And struct {
	Terms []Node
	At    Span
}

// Or is true if one of its two or more terms is; later terms are not
// evaluated after a true one. And and Or have equal precedence and associate
// to the left, as in libpcap: "a or b and c" is And{Or{a, b}, c}.
type Or struct {
	Terms []Node
	At    Span
}

// Not inverts X.
type Not struct {
	X  Node
	At Span
}

// A Primitive is "[proto] [dir] [type] id". An id alone inherits the qualifiers
// of the primitive before it (the abbreviation rule); Quals has them filled in.
type Primitive struct {
	Quals Qualifiers
	ID    ID
	At    Span
}

// Qualifiers are the words before an id, each with its place in the text
// (empty where the qualifier is absent or inherited).
type Qualifiers struct {
	Proto   Proto
	Dir     Dir
	Type    Type
	ProtoAt Span
	DirAt   Span
	TypeAt  Span
}

// An ID is the last word of a primitive.
type ID struct {
	Kind   IDKind
	Text   string // as written, without the backslash of an escaped name or what Mask holds
	Number uint32 // for IDNumber, and the length for IDIPv4Len and IDIPv6Len
	Mask   string // for IDIPv4Mask: what follows "mask"
	At     Span
}

// IDKind says what an [ID] looks like, which is what decides how it is
// resolved.
type IDKind uint8

// The kinds of ID.
const (
	IDName     IDKind = iota // a name: host, service, protocol, …
	IDNumber                 // a number
	IDIPv4                   // 10.1, 10.1.2, 10.1.2.3
	IDIPv4Len                // 10.0.0.0/8
	IDIPv4Mask               // 10.0.0.0 mask 255.0.0.0
	IDIPv6                   // 2001:db8::1
	IDIPv6Len                // 2001:db8::/32
	IDMAC                    // 00:11:22:33:44:55 in its five spellings
	IDMAC8                   // $12, an ARCnet address
)

// A Relation is "expr relop expr".
type Relation struct {
	Op   RelOp
	X, Y Arith
	At   Span
}

// RelOp is a comparison of unsigned 32-bit numbers.
type RelOp uint8

// The comparisons.
const (
	RelEq RelOp = iota
	RelNe
	RelGt
	RelGe
	RelLt
	RelLe
)

// Arith is an arithmetic expression: *Number, *Length, *Index, *Binary, *Neg.
type Arith interface{ Span() Span }

// Number is a constant, written as digits or as a name such as tcp-syn.
type Number struct {
	Value uint32
	At    Span
}

// Length is "len", the packet's length on the wire.
type Length struct{ At Span }

// Index is proto[off:size], Size being 1, 2 or 4.
type Index struct {
	Proto Proto
	Off   Arith
	Size  uint8
	At    Span
}

// Binary is X Op Y with Op one of + - * / % & | ^ and '<' and '>' for the
// shifts << and >>.
type Binary struct {
	Op   byte
	X, Y Arith
	At   Span
}

// Neg is -X.
type Neg struct {
	X  Arith
	At Span
}

func (n *And) Span() Span       { return n.At }
func (n *Or) Span() Span        { return n.At }
func (n *Not) Span() Span       { return n.At }
func (n *Primitive) Span() Span { return n.At }
func (n *Relation) Span() Span  { return n.At }
func (n *Number) Span() Span    { return n.At }
func (n *Length) Span() Span    { return n.At }
func (n *Index) Span() Span     { return n.At }
func (n *Binary) Span() Span    { return n.At }
func (n *Neg) Span() Span       { return n.At }
