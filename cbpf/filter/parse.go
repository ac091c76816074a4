package filter

import "slices"

// The parser. libpcap's grammar is an LALR one in which a parenthesis may open
// an expression, a list of ids, an arithmetic expression or a number, and only
// what follows tells which. This parser works as a machine made from that
// grammar does: it keeps a stack of what has been begun, reads one operand at a
// time and, by the one token after it, decides what the operand completes.
// No function calls itself, so nesting costs no machine stack.

// want is a set of what the grammar allows at a place.
type want uint8

const (
	wantTerm  want = 1 << iota // a test, a relation, or an expression in parentheses
	wantID                     // an id, or a list of ids in parentheses
	wantNID                    // the first id of a list: itself not in parentheses
	wantArith                  // an arithmetic expression
)

const (
	atTerm  = wantTerm | wantArith
	atID    = wantID | wantNID
	atArith = wantArith
)

// inside returns what may stand after a "(" at w. A number may stand anywhere.
func (w want) inside() want {
	in := w & (wantTerm | wantArith)
	if w&wantID != 0 {
		in |= wantNID
	}
	return in
}

// negated returns what may stand after a "not" at w.
func (w want) negated() want {
	n := w & wantTerm
	if n != 0 {
		n |= wantArith
	}
	if w&atID != 0 {
		n |= atID
	}
	return n
}

// class is what the operand just read is.
type class uint8

const (
	classNumber class = iota // a number, which may become an id or arithmetic
	classArith
	classID   // an id or a list of ids
	classTerm // a test, or an expression
)

// A value is an operand: what it is, and where it stands.
type value struct {
	class class
	want  want        // what was allowed at its place
	node  Node        // classID, classTerm
	arith Arith       // classNumber, classArith
	quals *Qualifiers // what an id after it inherits; nil for nothing
	at    Span        // with its parentheses
	depth int
}

// frameKind says what a frame has begun.
type frameKind uint8

const (
	frameParen  frameKind = iota // "("
	frameNot                     // "not"
	frameHead                    // qualifiers, to be followed by an id
	frameChain                   // left "and", left "or"
	frameRel                     // left relop
	frameBinary                  // left arithmetic operator
	frameNeg                     // "-"
	frameIndex                   // proto "["
)

// A frame is something begun that waits for its right operand.
type frame struct {
	kind  frameKind
	op    kind        // the operator of frameChain, frameRel, frameBinary
	want  want        // what was allowed where it began
	proto Proto       // of frameIndex
	count int         // of frameParen and frameNot: how many in a row
	quals *Qualifiers // of frameParen: what an id there would inherit; of frameHead: itself
	left  value
	at    Span // of its first token
}

type parser struct {
	scan  scanner
	tok   token    // the next token
	last  [2]token // the two before it, for hints
	stack []frame
	chain int         // frames on the stack that make the tree deeper
	arith int         // frames on the stack that make arithmetic deeper
	want  want        // what is allowed at tok
	quals *Qualifiers // what an id at tok inherits
}

// parse returns the syntax tree of expr, nil for the empty expression, which
// accepts every packet. All errors are *Error.
func parse(expr string) (Node, error) {
	p := &parser{scan: scanner{src: expr}, want: atTerm}
	p.tok = p.scan.next()
	if p.tok.kind == tokEOF {
		return nil, nil
	}
	n, err := p.run()
	if err != nil {
		return nil, inExpr(err, expr)
	}
	return n, nil
}

// run alternates between reading an operand and using it.
func (p *parser) run() (Node, error) {
	for {
		v, complete, err := p.operand()
		if err != nil {
			return nil, err
		}
		if !complete {
			continue
		}
		done, err := p.use(&v)
		if err != nil {
			return nil, err
		}
		if done {
			return v.node, nil
		}
	}
}

// advance moves to the next token and returns the one it leaves.
func (p *parser) advance() token {
	t := p.tok
	p.last = [2]token{p.last[1], t}
	p.tok = p.scan.next()
	return t
}

// push begins something, unless that would nest too deeply.
func (p *parser) push(f frame) error {
	switch f.kind {
	case frameChain, frameNot:
		p.chain++
	case frameBinary, frameNeg, frameIndex:
		p.arith++
	case frameParen:
		// 100 000 parentheses in a row take one frame.
		if top := p.top(); top != nil && top.kind == frameParen && top.want == f.want && f.want.inside() == f.want {
			top.count++
			return nil
		}
	}
	if err := checkDepth(f.at, p.chain, p.arith); err != nil {
		return err
	}
	p.stack = append(p.stack, f)
	return nil
}

func checkDepth(at Span, chain, arith int) error {
	switch {
	case chain > MaxDepth:
		return errorAt(at, "expression nested more than %d deep", MaxDepth)
	case arith > MaxArithDepth:
		return errorAt(at, "arithmetic nested more than %d deep", MaxArithDepth)
	}
	return nil
}

// top returns what was begun last, nil if nothing is pending.
func (p *parser) top() *frame {
	if len(p.stack) == 0 {
		return nil
	}
	return &p.stack[len(p.stack)-1]
}

// pop takes the top frame off the stack.
func (p *parser) pop() frame {
	f := *p.top()
	p.stack = slices.Delete(p.stack, len(p.stack)-1, len(p.stack))
	switch f.kind {
	case frameChain, frameNot:
		p.chain--
	case frameBinary, frameNeg, frameIndex:
		p.arith--
	}
	return f
}

// operand reads one operand, or pushes what stands before one and reports
// that it is not complete yet.
func (p *parser) operand() (v value, complete bool, err error) {
	t := p.tok
	switch {
	case t.kind == '(':
		p.advance()
		err = p.push(frame{kind: frameParen, want: p.want, quals: p.quals, count: 1, at: t.at})
		p.want = p.want.inside()
		return v, false, err
	case t.kind == '!' && p.want&(wantTerm|atID) != 0:
		return v, false, p.pushNot(p.advance())
	case t.kind == '-' && p.want&wantArith != 0:
		p.advance()
		err = p.push(frame{kind: frameNeg, want: p.want, at: t.at})
		p.want = atArith
		return v, false, err
	case t.kind == tokNumber:
		p.advance()
		return p.value(classNumber, nil, &Number{Value: t.value, At: t.at}, t.at), true, nil
	case t.kind == tokLen && p.want&wantArith != 0:
		p.advance()
		return p.value(classArith, nil, &Length{At: t.at}, t.at), true, nil
	case t.kind == tokProto && p.want&wantArith != 0:
		return p.afterProto(p.advance())
	case isID(t.kind) && p.want&atID != 0:
		v, err = p.id()
		return v, true, err
	case p.want&wantTerm != 0 && (t.kind == tokDir || t.kind == tokType || t.kind == tokUndirected):
		return v, false, p.head(Qualifiers{}, t.at)
	case p.want&wantTerm != 0:
		v, err = p.test()
		return v, true, err
	}
	return v, false, p.unexpected()
}

// pushNot pushes a "not", or counts it if one is there already.
func (p *parser) pushNot(t token) error {
	before := p.want
	p.want = p.want.negated()
	if top := p.top(); top != nil && top.kind == frameNot {
		top.count++
		return nil
	}
	return p.push(frame{kind: frameNot, want: before, count: 1, at: t.at})
}

// value makes an operand that stands at the present place.
func (p *parser) value(c class, n Node, a Arith, at Span) value {
	return value{class: c, want: p.want, node: n, arith: a, at: at}
}

// use completes whatever v completes, up to the next token. It reports that
// the expression is complete, v being all of it, or leaves the machine where
// the next operand is wanted.
func (p *parser) use(v *value) (done bool, err error) {
	for {
		var more bool
		if v.class <= classArith {
			more, err = p.useArith(v)
		} else if p.tok.kind == tokEOF && len(p.stack) == 0 {
			return true, nil
		} else {
			more, err = p.useNode(v)
		}
		if err != nil || !more {
			return false, err
		}
	}
}

// useArith does one step with a number or an arithmetic expression. It reports
// whether v, changed, can be used further; otherwise an operand is wanted.
func (p *parser) useArith(v *value) (more bool, err error) {
	top, next := p.top(), p.tok.kind
	inner := top != nil && (top.kind == frameBinary || top.kind == frameNeg)
	switch {
	case inner && (precedence(next) == 0 || binds(*top, next)):
		return true, p.reduceArith(v)
	case precedence(next) != 0 && v.want&wantArith != 0:
		return false, p.continueWith(frameBinary, v, atArith)
	case top != nil && top.kind == frameIndex:
		return true, p.reduceIndex(v)
	case top != nil && top.kind == frameRel:
		p.reduceRelation(v)
		return true, nil
	case isRelOp(next) && v.want&wantTerm != 0:
		return false, p.continueWith(frameRel, v, atArith)
	case top != nil && top.kind == frameParen && next == ')':
		p.closeParen(v)
		return true, nil
	case v.class == classNumber && v.want&atID != 0:
		return true, p.numberID(v)
	}
	return false, p.unexpectedAfter(v)
}

// useNode does one step with an id or a test.
func (p *parser) useNode(v *value) (more bool, err error) {
	top, next := p.top(), p.tok.kind
	switch {
	case top != nil && top.kind == frameNot:
		p.reduceNot(v)
		return true, checkDepth(v.at, v.depth, 0)
	case top != nil && top.kind == frameHead:
		p.reduceHead(v)
		return true, nil
	case top != nil && top.kind == frameChain:
		p.reduceChain(v)
		return true, checkDepth(v.at, v.depth, 0)
	case next == tokAnd || next == tokOr:
		p.quals = v.quals
		if v.class == classID {
			return false, p.continueWith(frameChain, v, atID)
		}
		return false, p.continueWith(frameChain, v, atTerm|atID)
	case top != nil && next == ')':
		p.closeParen(v)
		return true, nil
	}
	return false, p.unexpectedAfter(v)
}

// continueWith begins something with v as its left operand and the next token
// as its operator.
func (p *parser) continueWith(k frameKind, v *value, w want) error {
	op := p.advance()
	p.want = w
	return p.push(frame{kind: k, op: op.kind, want: v.want, left: *v, at: op.at})
}

// closeParen takes the ")" of the parenthesis on top of the stack.
func (p *parser) closeParen(v *value) {
	closing := p.advance()
	top := p.top()
	v.want = top.want
	if v.class == classTerm {
		// What follows "(…)" inherits from before it, not from inside.
		v.quals = top.quals
	}
	top.count--
	if top.count > 0 {
		v.at.End = closing.at.End
		return
	}
	v.at = Span{Start: p.pop().at.Start, End: closing.at.End}
}

// reduceNot applies the negations on top of the stack. Two of them are none.
func (p *parser) reduceNot(v *value) {
	f := p.pop()
	v.want = f.want
	v.at.Start = f.at.Start
	if f.count%2 == 0 {
		return
	}
	if inner, ok := v.node.(*Not); ok {
		v.node, v.depth = inner.X, v.depth-1
	} else {
		v.node, v.depth = &Not{X: v.node, At: v.at}, v.depth+1
	}
}

// reduceHead puts the qualifiers on top of the stack before their id, which
// has inherited them already.
func (p *parser) reduceHead(v *value) {
	f := p.pop()
	v.class, v.want, v.at.Start = classTerm, f.want, f.at.Start
	if id, ok := v.node.(*Primitive); ok {
		id.Quals, id.At = *f.quals, v.at
	}
}

// reduceChain joins v to what stands left of "and" or "or". A longer chain of
// one operator becomes one node.
func (p *parser) reduceChain(v *value) {
	f := p.pop()
	at := Span{Start: f.left.at.Start, End: v.at.End}
	depth := max(f.left.depth, v.depth+1)
	switch left := f.left.node.(type) {
	case *And:
		if f.op == tokAnd {
			left.Terms, left.At = append(left.Terms, v.node), at
			v.node = left
		}
	case *Or:
		if f.op == tokOr {
			left.Terms, left.At = append(left.Terms, v.node), at
			v.node = left
		}
	}
	if v.node != f.left.node {
		depth = max(f.left.depth, v.depth) + 1
		terms := []Node{f.left.node, v.node}
		if f.op == tokAnd {
			v.node = &And{Terms: terms, At: at}
		} else {
			v.node = &Or{Terms: terms, At: at}
		}
	}
	v.class, v.want, v.at, v.depth = f.left.class, f.left.want, at, depth
}
