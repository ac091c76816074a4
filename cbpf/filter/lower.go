package filter

import (
	"fmt"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// Lowering turns the resolved tree into the IR graph of the filter for one
// link type. The files, in reading order:
//
//	lower.go           the walk over And, Or and Not
//	lower_edge.go      dangling edges and the run-time offsets they carry
//	lower_build.go     tests, how they compose, and the loads and compares in them
//	lower_layers.go    what is known of the headers at a point of the text
//	linklayers.go      the table of link types
//	lower_link.go      which network protocol follows the link header
//	lower_host.go, lower_port.go, lower_proto.go, lower_cast.go, lower_relation.go
//	lower_encap.go     vlan, mpls, PPPoE, Geneve

// A lowerer holds what is shared by the whole of one lowering.
type lowerer struct {
	f         *ir.Func
	opts      *Options
	slots     slot       // the last run-time offset handed out
	forgotten slot       // the last one that no text behind looks at
	faults    edges      // ways that reject whatever the rest of the filter says
	at        Span       // the part of the expression being lowered
	origin    origin.Set // the same as provenance
	err       *Error     // the first refusal
}

// lower makes the graph of a resolved tree. A nil tree, the empty filter,
// accepts everything. What the link type cannot answer is an *Error.
func lower(n Node, o *Options) (*ir.Func, error) {
	lw := &lowerer{f: ir.NewFunc(), opts: o}
	yes, no := dangle(lw.f.NewBlock(ir.Jump), 0, env{}), edges{}
	if n != nil {
		link := linkLayerOf(o.LinkType)
		if link == nil {
			return nil, errorAt(n.Span(), "not supported yet: filters for %s packets", o.LinkType.Description())
		}
		yes, no, _ = lw.node(n, yes, outermost(link))
	}
	if lw.err != nil {
		return nil, lw.err
	}
	lw.connect(yes, lw.f.NewBlock(ir.Accept))
	lw.connect(chain(no, lw.faults), lw.f.NewBlock(ir.Reject))
	return lw.f, nil
}

// node lowers n for the ways in that lead to it, and returns the ways out on
// which it holds and does not hold, and the layers as the text after it sees
// them: in libpcap's language "vlan" changes what all later text means, even
// behind an "or" and outside the parentheses that it stands in.
func (lw *lowerer) node(n Node, in edges, ls layers) (yes, no edges, out layers) {
	if lw.err != nil {
		return edges{}, edges{}, ls
	}
	switch n := n.(type) {
	case *And:
		var more edges
		for _, term := range n.Terms {
			in, more, ls = lw.node(term, in, ls)
			no = chain(no, more)
		}
		return in, no, ls
	case *Or:
		var more edges
		for _, term := range n.Terms {
			more, in, ls = lw.node(term, in, ls)
			yes = chain(yes, more)
		}
		return yes, in, ls
	case *Not:
		no, yes, ls = lw.node(n.X, in, ls)
		return yes, no, ls
	}
	lw.standFor(n.Span())
	t, ls := lw.leaf(n, ls)
	yes, no = t(in)
	return yes, no, ls
}

// leaf builds the test for a node without boolean operators.
func (lw *lowerer) leaf(n Node, ls layers) (test, layers) {
	l := ls.top
	switch n := n.(type) {
	case *Relation:
		return lw.relation(n, l), ls
	case *TestNet:
		return lw.nets(n, l), ls
	case *TestLinkAddr:
		return lw.linkAddr(n.Dir, n.Addr, l), ls
	case *TestPort:
		return lw.ports(n, l), ls
	case *TestProto:
		return lw.proto(n.Proto, n.Number, l), ls
	case *TestAbbrev:
		return lw.abbrev(n.Proto, l), ls
	case *TestCast:
		return lw.cast(n, l), ls
	case *TestLen:
		return lw.length(n), ls
	case *TestDirection:
		return lw.direction(n, l), ls
	case *TestIfIndex:
		return lw.ifIndex(n, l), ls
	case *TestByte:
		return lw.byteTest(n, l), ls
	case *TestEncap:
		return lw.encap(n, ls)
	}
	panic(fmt.Sprintf("filter: %T reached lowering", n))
}

// standFor says which part of the expression what is made from now on comes
// from, and returns what undoes that.
func (lw *lowerer) standFor(part Span) (undo func()) {
	at, set := lw.at, lw.origin
	lw.at, lw.origin = part, origin.Of(part.Start, part.End)
	return func() { lw.at, lw.origin = at, set }
}

// refuse records that the filter cannot be compiled and returns a test that
// stands in for the refused one.
func (lw *lowerer) refuse(format string, args ...any) test {
	if lw.err == nil {
		lw.err = errorAt(lw.at, format, args...)
	}
	return never
}

// const32 is a constant of the part being lowered.
func (lw *lowerer) const32(k uint32) *ir.Value { return lw.f.Const(k, lw.origin) }
