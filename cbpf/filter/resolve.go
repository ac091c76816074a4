package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Resolution gives every id of the syntax tree its meaning: names become
// numbers, qualifiers are checked, and each Primitive becomes a Test. It
// mirrors what libpcap decides without looking at the link type.

// resolve returns the tree n with Tests for Primitives. It changes n.
func resolve(n Node, names Resolver) (Node, error) {
	if n == nil {
		return nil, nil
	}
	r := resolution{names}
	return r.node(n)
}

// A resolution holds what resolving an expression needs.
type resolution struct{ names Resolver }

func (r resolution) node(n Node) (Node, error) {
	switch n := n.(type) {
	case *And:
		return n, r.terms(n.Terms)
	case *Or:
		return n, r.terms(n.Terms)
	case *Not:
		x, err := r.node(n.X)
		n.X = x
		return n, err
	case *Relation:
		return n, checkRelation(n)
	case *Primitive:
		return r.primitive(n)
	case Test:
		return n, checkTest(n)
	}
	panic(fmt.Sprintf("filter: node %T", n))
}

func (r resolution) terms(terms []Node) error {
	for i, t := range terms {
		x, err := r.node(t)
		if err != nil {
			return err
		}
		terms[i] = x
	}
	return nil
}

// primitive makes the test of "[proto] [dir] [type] id".
func (r resolution) primitive(p *Primitive) (Test, error) {
	switch t := p.Quals.Type; {
	case t <= TypeNet && p.Quals.Proto == ProtoDECnet:
		return nil, notYet(p.Quals.ProtoAt, p, "DECnet addresses")
	case t == TypeNone, t == TypeHost:
		return r.host(p)
	case t == TypeNet:
		return r.net(p)
	case t == TypePort, t == TypePortRange:
		return r.port(p)
	case t == TypeProto:
		return r.proto(p)
	}
	// libpcap has no gateway where it has IPv6; protochain needs a loop.
	return nil, notYet(p.Quals.TypeAt, p, "%q", p.Quals.Type)
}

// notYet refuses what the language has and this compiler does not.
func notYet(at Span, p *Primitive, format string, args ...any) error {
	return errorAt(orID(at, p), "not supported yet: "+format, args...)
}

// orID is the place at, or that of the id if the word is inherited.
func orID(at Span, p *Primitive) Span {
	if at == (Span{}) {
		return p.ID.At
	}
	return at
}

// badProto refuses the protocol qualifier of p. What was meant is mostly a
// second test.
func badProto(p *Primitive, of string) error {
	q := p.Quals
	e := errorAt(orID(q.ProtoAt, p), "%q is not a valid qualifier for %s", q.Proto, of)
	rest := Primitive{Quals: Qualifiers{Dir: q.Dir, Type: q.Type}, ID: p.ID}
	switch {
	case q.Type == TypeNone && p.ID.Kind == IDNumber:
		e.Hint = write("%v %v port %s", q.Proto, q.Dir, p.ID)
	case q.Proto == ProtoLink || q.Proto == ProtoRadio, (q.Proto == ProtoIP || q.Proto == ProtoIP6) && q.Type <= TypeNet:
		e.Hint = write("%s", format(&rest))
		if q.Proto == ProtoLink && p.ID.Kind == IDIPv6 && strings.Count(p.ID.Text, ":") == 7 {
			e.Hint += "; a MAC address has six bytes"
		}
	default:
		e.Hint = write("%v and %s", q.Proto, format(&rest))
	}
	return e
}

// unknown makes an error of a failed look-up of the id of p.
func unknown(p *Primitive, err error) error {
	e := errorAt(p.ID.At, "%v", err)
	e.Err = err
	u, ok := errors.AsType[*UnknownNameError](err)
	lo, hi, isRange := cutRange(p.ID.Text)
	switch {
	case isRange && (p.Quals.Type == TypePort || p.Quals.Type == TypePortRange):
		rest := Primitive{Quals: p.Quals, ID: ID{Text: lo + "-" + hi}}
		rest.Quals.Type = TypePortRange
		e.Hint = write("%s", format(&rest))
	case ok && len(u.Near) > 0:
		e.Hint = "did you mean " + list(u.Near) + "?"
	case ok && u.Kind == "host" && !slices.Contains(u.Searched, "DNS"):
		e.Hint = "DNS is not asked; write the address"
	}
	return e
}

// cutRange cuts two numbers with other characters than digits between.
func cutRange(s string) (lo, hi string, ok bool) {
	lo = s[:run(s, isDigit, len(s))]
	hi = strings.TrimLeft(s[len(lo):], "-.:_")
	return lo, hi, lo != "" && len(lo)+len(hi) < len(s) && isDigits(hi)
}

// checkTest checks a test that has no id.
func checkTest(t Test) error {
	switch t := t.(type) {
	case *TestAbbrev:
		if t.Proto == ProtoLink || t.Proto == ProtoRadio {
			e := errorAt(t.Span(), "this word is not a test by itself")
			e.Hint = "it goes before \"host\", \"proto\", \"broadcast\", \"multicast\" or \"[…]\""
			return e
		}
	case *TestCast:
		return checkCast(t)
	case *TestEncap:
		if most := maxEncapID[t.Layer]; t.HasID && t.ID > most {
			return errorAt(t.Span(), "%s %d is greater than %d", t.Layer, t.ID, most)
		}
	}
	return nil
}

// maxEncapID is the greatest VLAN tag, MPLS label, PPPoE session and Geneve
// network.
var maxEncapID = [...]uint32{EncapVLAN: 0xfff, EncapMPLS: 0xfffff, EncapPPPoED: 0, EncapPPPoES: 0xffff, EncapGeneve: 0xffffff}

func checkCast(t *TestCast) error {
	switch {
	case t.Proto == ProtoNone, t.Proto == ProtoLink, t.Proto == ProtoIP, t.Proto == ProtoIP6 && t.Multicast:
		return nil
	case t.Multicast:
		return errorAt(t.Span(), "multicast is of \"ether\", \"ip\" or \"ip6\", not of %q", t.Proto)
	}
	return errorAt(t.Span(), "broadcast is of \"ether\" or \"ip\", not of %q", t.Proto)
}

// checkRelation checks the arithmetic of a relation.
func checkRelation(n *Relation) error {
	x, err := checkArith(n.X)
	if err != nil {
		return err
	}
	y, err := checkArith(n.Y)
	if err != nil {
		return err
	}
	if max(x, y+1) > maxPartials {
		return errorAt(n.At, "more than %d partial results are needed at once", maxPartials)
	}
	return nil
}

// maxPartials is how many partial results a relation may need at once: the
// scratch memory words of a classic program, as in libpcap.
const maxPartials = 16

// checkArith checks an arithmetic expression and returns how many partial
// results evaluating it from left to right needs.
func checkArith(a Arith) (int, error) {
	switch a := a.(type) {
	case *Neg:
		return checkArith(a.X)
	case *Index:
		n, err := checkArith(a.Off)
		if err != nil {
			return 0, err
		}
		return max(2, n), checkIndex(a)
	case *Binary:
		x, err := checkArith(a.X)
		if err != nil {
			return 0, err
		}
		y, err := checkArith(a.Y)
		if err != nil {
			return 0, err
		}
		return max(x, y+1), checkBinary(a)
	}
	return 1, nil
}

// checkIndex checks that a protocol can be indexed.
func checkIndex(a *Index) error {
	switch a.Proto {
	case ProtoLink, ProtoIP, ProtoIP6, ProtoARP, ProtoRARP, ProtoATalk, ProtoDECnet, ProtoLAT, ProtoSCA,
		ProtoMOPRC, ProtoMOPDL, ProtoTCP, ProtoUDP, ProtoSCTP, ProtoICMP, ProtoICMP6, ProtoIGMP, ProtoIGRP,
		ProtoPIM, ProtoVRRP, ProtoCARP:
		return nil
	case ProtoRadio:
		return errorAt(a.At, "not supported yet: radio[…]")
	}
	return errorAt(a.At, "%q cannot be indexed", a.Proto)
}

// checkBinary refuses what no packet can make right. libpcap also refuses
// ip[0]/(0+1), because it looks only at the first number on the right.
func checkBinary(a *Binary) error {
	n, ok := a.Y.(*Number)
	switch {
	case !ok:
	case strings.IndexByte("/%", a.Op) >= 0 && n.Value == 0:
		return errorAt(a.At, "division by zero")
	case strings.IndexByte("<>", a.Op) >= 0 && n.Value > 31:
		return errorAt(a.At, "shift by more than 31 bits")
	}
	return nil
}
