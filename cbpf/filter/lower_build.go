package filter

import "github.com/bpflab/bpflab/cbpf/filter/ir"

// A test is a piece of the filter before it has its place in the graph: given
// the ways in, it makes its blocks and returns the ways out on which it holds
// and does not hold. Tests compose as the sentences that describe them:
//
//	all(lw.linkType(l, etherIP), lw.equal(l.networkHeader(), 9, 1, ipProtoTCP))
//
// The order of the parts is the order of evaluation, and it matters: a load
// behind the end of the captured bytes rejects the packet, so a filter may
// load only what libpcap's code for it would have loaded on the same way.
type test func(in edges) (yes, no edges)

// always and never are the tests without a question.
func always(in edges) (yes, no edges) { return in, edges{} }
func never(in edges) (yes, no edges)  { return edges{}, in }

// all holds if every part does; it stops at the first that does not.
func all(parts ...test) test {
	return func(in edges) (yes, no edges) {
		var more edges
		for _, t := range parts {
			in, more = t(in)
			no = chain(no, more)
		}
		return in, no
	}
}

// anyOf holds if one part does; it stops at the first that does.
func anyOf(parts ...test) test {
	return func(in edges) (yes, no edges) {
		var more edges
		for _, t := range parts {
			more, in = t(in)
			yes = chain(yes, more)
		}
		return yes, in
	}
}

// not inverts a test.
func not(t test) test {
	return func(in edges) (yes, no edges) {
		no, yes = t(in)
		return yes, no
	}
}

// by says that a test stands for a part of its primitive, not for the whole.
func (lw *lowerer) by(part Span, t test) test {
	if part.Start >= part.End {
		return t
	}
	return func(in edges) (yes, no edges) {
		defer lw.standFor(part)()
		return t(in)
	}
}

// A loader reads size bytes of a header, k bytes into it.
type loader func(s *site, k uint32, size uint8) *ir.Value

// at reads a header that starts at an offset.
func at(start offset) loader {
	return func(s *site, k uint32, size uint8) *ir.Value { return s.load(start, k, size) }
}

// A field is a number in a header: size bytes at k, of which mask counts.
type field struct {
	header loader
	k      uint32
	size   uint8
	mask   uint32
}

const allBits = 0xffffffff

// compare loads a field, masks it and branches. Where the mask is 0 the load
// stays, for its fault.
func (lw *lowerer) compare(x field, op ir.CondOp, n uint32) test {
	return func(in edges) (yes, no edges) {
		s := lw.site(in)
		v := x.header(s, x.k, x.size)
		if x.mask != allBits {
			v = lw.f.Binary(ir.And, v, lw.const32(x.mask), lw.origin)
		}
		return s.branch(op, v, lw.const32(n))
	}
}

// equal compares size bytes at start + k with a number.
func (lw *lowerer) equal(start offset, k uint32, size uint8, want uint32) test {
	return lw.masked(start, k, size, allBits, want)
}

// masked compares those bits that are in mask.
func (lw *lowerer) masked(start offset, k uint32, size uint8, mask, want uint32) test {
	return lw.compare(field{at(start), k, size, mask}, ir.Eq, want)
}

// anyBit holds if one of the bits of mask is set.
func (lw *lowerer) anyBit(start offset, k uint32, size uint8, mask uint32) test {
	return lw.compare(field{at(start), k, size, allBits}, ir.Set, mask)
}

// above holds if the number is greater than limit.
func (lw *lowerer) above(start offset, k uint32, size uint8, limit uint32) test {
	return lw.compare(field{at(start), k, size, allBits}, ir.Gt, limit)
}

// atLeast holds if the number is least or greater.
func (lw *lowerer) atLeast(start offset, k uint32, size uint8, least uint32) test {
	return lw.compare(field{at(start), k, size, allBits}, ir.Ge, least)
}

// bytes compares bytes of the packet with a constant, from the end backwards
// in words, then a half word, as libpcap does.
func (lw *lowerer) bytes(start offset, k uint32, want []byte) test {
	var parts []test
	for n := len(want); n > 0; n = len(want) {
		size := min(n, 4)
		if size == 3 {
			size = 2
		}
		var word uint32
		for _, b := range want[n-size:] {
			word = word<<8 | uint32(b)
		}
		parts = append(parts, lw.equal(start, k+uint32(n-size), uint8(size), word))
		want = want[:n-size]
	}
	return all(parts...)
}

// A site is a point of the graph at which values are computed from the packet,
// up to the branch that ends it.
type site struct {
	lw     *lowerer
	in     edges
	env    env
	faulty []*ir.Value // computed here and able to fault
}

func (lw *lowerer) site(in edges) *site {
	in, e := lw.settle(in)
	return &site{lw: lw, in: in, env: e}
}

// maxAddress bounds the address of a load. Captured packets are shorter by
// far, so a load above it faults on every machine, provided that the machine
// gets to see the address: base + displacement wraps to a small number in the
// kernel, and a constant above reads the kernel's metadata, where libpcap's
// interpreter faults in both cases. No such load is emitted; the packet is
// rejected instead.
const maxAddress = 0x7ffffffb

// load reads size bytes at start + k.
func (s *site) load(start offset, k uint32, size uint8) *ir.Value {
	return s.loadAt(s.base(start), start.k+k, size)
}

// base is the run-time part of an offset, nil if it has none.
func (s *site) base(o offset) *ir.Value {
	if o.slot == 0 {
		return nil
	}
	return s.lw.value(s.env, o.slot)
}

// loadAt reads the packet at base + k, base being nil for 0. An address that
// no packet has is a fault.
func (s *site) loadAt(base *ir.Value, k uint32, size uint8) *ir.Value {
	f := s.lw.f
	if base != nil && base.Op == ir.Const {
		if k > maxAddress || base.Const > maxAddress-k {
			return s.fault()
		}
		base, k = nil, base.Const+k
	}
	if k > maxAddress {
		return s.fault()
	}
	if base != nil && f.MaxOf(base) > maxAddress-k {
		far, near := s.branch(ir.Gt, base, s.lw.const32(maxAddress-k))
		s.lw.faults = chain(s.lw.faults, far)
		s.in = near
	}
	v := f.Load(size, base, k, s.lw.origin)
	s.faulty = append(s.faulty, v)
	return v
}

// fault ends the site: every way to it rejects the packet.
func (s *site) fault() *ir.Value {
	s.lw.faults = chain(s.lw.faults, s.in)
	s.in = edges{}
	return s.lw.f.Const(0, nil)
}

// branch compares two values. A comparison of constants makes no block, unless
// values were computed that could fault.
func (s *site) branch(op ir.CondOp, x, y *ir.Value) (yes, no edges) {
	if s.in.none() {
		return edges{}, edges{}
	}
	evals := s.unused(x, y)
	if x.Op == ir.Const && y.Op == ir.Const {
		if len(evals) > 0 {
			s.in = dangle(s.block(ir.Jump, evals), 0, s.env)
		}
		if holds(op, x.Const, y.Const) {
			return s.in, edges{}
		}
		return edges{}, s.in
	}
	b := s.block(ir.If, evals)
	b.Cond = ir.Cond{Op: op, X: x, Y: y}
	return dangle(b, 0, s.env), dangle(b, 1, s.env)
}

// block makes a block at the site.
func (s *site) block(kind ir.Kind, evals []*ir.Value) *ir.Block {
	b := s.lw.f.NewBlock(kind)
	b.Origin = s.lw.origin
	b.Evals = evals
	s.lw.connect(s.in, b)
	return b
}

// unused lists the values that can fault and that no operand of the branch
// needs: they are evaluated all the same, as libpcap evaluates them.
func (s *site) unused(operands ...*ir.Value) []*ir.Value {
	if len(s.faulty) == 0 {
		return nil
	}
	seen := make(map[*ir.Value]bool, len(s.faulty)+4)
	var visit func(v *ir.Value)
	visit = func(v *ir.Value) {
		if seen[v] {
			return
		}
		seen[v] = true
		if v.Op != ir.Phi {
			for _, a := range v.Args {
				visit(a)
			}
		}
	}
	for _, v := range operands {
		visit(v)
	}
	var out []*ir.Value
	for _, v := range s.faulty {
		if !seen[v] {
			out = append(out, v)
			visit(v)
		}
	}
	return out
}

// holds answers a comparison of constants.
func holds(op ir.CondOp, x, y uint32) bool {
	switch op {
	case ir.Eq:
		return x == y
	case ir.Gt:
		return x > y
	case ir.Ge:
		return x >= y
	}
	return x&y != 0
}
