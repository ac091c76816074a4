package filter

import "github.com/bpflab/bpflab/cbpf/filter/ir"

// relation compares two arithmetic expressions. First come the tests that the
// indexed headers are there, then all loads and the arithmetic at once.
func (lw *lowerer) relation(r *Relation, l layer) test {
	parts := append(lw.headersOf(r.X, l), lw.headersOf(r.Y, l)...)
	parts = append(parts, func(in edges) (yes, no edges) {
		s := lw.site(in)
		x := s.arith(r.X, l)
		y := s.arith(r.Y, l)
		return s.relate(r.Op, x, y)
	})
	return all(parts...)
}

// relate branches on a relation. A constant goes to the right, where every
// machine has a place for it.
func (s *site) relate(op RelOp, x, y *ir.Value) (yes, no edges) {
	if x.Op == ir.Const && y.Op != ir.Const {
		mirrored := [...]RelOp{RelEq: RelEq, RelNe: RelNe, RelGt: RelLt, RelGe: RelLe, RelLt: RelGt, RelLe: RelGe}
		x, y, op = y, x, mirrored[op]
	}
	switch op {
	case RelEq:
		return s.branch(ir.Eq, x, y)
	case RelGt:
		return s.branch(ir.Gt, x, y)
	case RelGe:
		return s.branch(ir.Ge, x, y)
	case RelNe:
		no, yes = s.branch(ir.Eq, x, y)
	case RelLe:
		no, yes = s.branch(ir.Gt, x, y)
	case RelLt:
		no, yes = s.branch(ir.Ge, x, y)
	}
	return yes, no
}

// headersOf lists the tests for the headers that an expression indexes. An
// operator has only those of its left operand, as in libpcap, which forgets
// the others: "1 + tcp[13] = 3" looks at packets of every protocol.
func (lw *lowerer) headersOf(a Arith, l layer) []test {
	switch a := a.(type) {
	case *Index:
		return lw.indexHeaders(a, l)
	case *Neg:
		return lw.headersOf(a.X, l)
	case *Binary:
		lw.headersOf(a.Y, l) // for what it may refuse
		return lw.headersOf(a.X, l)
	}
	return nil
}

// An indexBase says which header an index counts from.
type indexBase uint8

const (
	notIndexed indexBase = iota
	fromLink
	fromNetwork
	fromTransport4
	fromTransport6
)

// indexed says for each protocol what its index counts from. The protocols
// above IP are looked for in IPv4 only, save for ICMPv6.
var indexed = map[Proto]indexBase{
	ProtoLink: fromLink,
	ProtoIP:   fromNetwork, ProtoIP6: fromNetwork, ProtoARP: fromNetwork, ProtoRARP: fromNetwork,
	ProtoATalk: fromNetwork, ProtoDECnet: fromNetwork, ProtoLAT: fromNetwork, ProtoSCA: fromNetwork,
	ProtoMOPRC: fromNetwork, ProtoMOPDL: fromNetwork,
	ProtoTCP: fromTransport4, ProtoUDP: fromTransport4, ProtoSCTP: fromTransport4,
	ProtoICMP: fromTransport4, ProtoIGMP: fromTransport4, ProtoIGRP: fromTransport4,
	ProtoPIM: fromTransport4, ProtoVRRP: fromTransport4, ProtoCARP: fromTransport4,
	ProtoICMP6: fromTransport6,
}

// indexHeaders lists the tests for one indexed header, and for the headers in
// its index: "ip[udp[4]]".
func (lw *lowerer) indexHeaders(x *Index, l layer) []test {
	inner := lw.headersOf(x.Off, l)
	defer lw.standFor(x.At)()
	part := func(t test) test { return lw.of(x.At, t) }
	switch indexed[x.Proto] {
	case fromLink:
		return inner
	case fromNetwork:
		return append(inner, part(lw.abbrev(x.Proto, l)))
	case fromTransport4:
		parts := append([]test{part(lw.linkType(l, etherIP))}, inner...)
		return append(parts, part(lw.abbrev(x.Proto, l)), part(lw.notLaterFragment(l)))
	case fromTransport6:
		return append(inner, part(lw.linkType(l, etherIP6)), part(lw.equal(l.networkHeader(), 6, 1, ipProtoICMP6)))
	}
	return []test{lw.refuse("this protocol's header cannot be indexed")}
}

// of makes a test stand for a part of the relation.
func (lw *lowerer) of(part Span, t test) test {
	return func(in edges) (yes, no edges) {
		defer lw.standFor(part)()
		return t(in)
	}
}

// arith computes an expression.
func (s *site) arith(a Arith, l layer) *ir.Value {
	defer s.lw.standFor(a.Span())()
	f, o := s.lw.f, s.lw.origin
	switch a := a.(type) {
	case *Number:
		return f.Const(a.Value, o)
	case *Length:
		return f.Len(o)
	case *Neg:
		return f.Neg(s.arith(a.X, l), o)
	case *Index:
		return s.index(a, l)
	case *Binary:
		x := s.arith(a.X, l)
		y := s.arith(a.Y, l)
		return s.binary(a.Op, x, y)
	}
	panic("filter: unknown arithmetic expression")
}

// index loads proto[off:size].
func (s *site) index(x *Index, l layer) *ir.Value {
	off := s.arith(x.Off, l)
	switch indexed[x.Proto] {
	case fromLink:
		return s.indexAt(s.base(l.header), off, l.header.k, x.Size)
	case fromTransport4:
		return s.indexAt(s.ipv4Length(l), off, l.networkHeader().k, x.Size)
	case fromTransport6:
		return s.indexAt(s.base(l.payload), off, l.networkHeader().k+40, x.Size)
	}
	return s.indexAt(s.base(l.payload), off, l.networkHeader().k, x.Size)
}

// indexAt loads at base + off + k. The sum of the run-time parts wraps, as
// arithmetic does: tcp[-4] is the end of the IP header. The sum with k does
// not: ip[-4] is nowhere.
func (s *site) indexAt(base, off *ir.Value, k uint32, size uint8) *ir.Value {
	switch {
	case base == nil:
		return s.loadAt(off, k, size)
	case off.Op == ir.Const && off.Const <= maxAddress/2 && k <= maxAddress/2:
		// The offset joins the displacement, so that tcp[2:2] and
		// "tcp dst port" share a load. It wraps neither here nor there.
		if s.lw.f.MaxOf(base) <= maxAddress {
			return s.loadAt(base, k+off.Const, size)
		}
	}
	return s.loadAt(s.lw.f.Binary(ir.Add, base, off, s.lw.origin), k, size)
}

var arithOps = map[byte]ir.Op{'+': ir.Add, '-': ir.Sub, '*': ir.Mul, '/': ir.Div, '%': ir.Mod,
	'&': ir.And, '|': ir.Or, '^': ir.Xor, '<': ir.Shl, '>': ir.Shr}

// binary computes x op y.
func (s *site) binary(op byte, x, y *ir.Value) *ir.Value {
	switch op {
	case '<', '>':
		return s.shift(arithOps[op], x, y)
	case '/', '%':
		if y.Op == ir.Const && y.Const == 0 {
			return s.fault() // not written as 0, but coming to it: 1/(2-2)
		}
		v := s.lw.f.Binary(arithOps[op], x, y, s.lw.origin)
		s.faulty = append(s.faulty, v)
		return v
	}
	return s.lw.f.Binary(arithOps[op], x, y, s.lw.origin)
}

// shift computes a shift, which gives 0 for amounts above 31. The kernel takes
// the amount modulo 32 instead, so where it may be larger a branch decides.
func (s *site) shift(op ir.Op, x, y *ir.Value) *ir.Value {
	f, o := s.lw.f, s.lw.origin
	switch {
	case y.Op == ir.Const && y.Const > 31:
		return f.Const(0, o)
	case f.MaxOf(y) <= 31:
		return f.Binary(op, x, y, o)
	}
	// The result is a run-time offset like any other until the two ways
	// have met; then its slot is free again.
	before, result := s.env, s.lw.newSlot()
	far, near := s.branch(ir.Gt, y, s.lw.const32(31))
	far = s.lw.assign(far, result, f.Const(0, o))
	near = s.lw.assign(near, result, f.Binary(op, x, y, o))
	met, e := s.lw.settle(chain(far, near))
	v := s.lw.value(e, result)
	for d := met.first; d != nil; d = d.next {
		d.env = before
	}
	s.in, s.env = met, before
	s.lw.slots--
	return v
}
