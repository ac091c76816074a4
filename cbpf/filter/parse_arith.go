package filter

// The arithmetic half of the parser.

// precedence returns how tightly a binary operator binds, 0 for a token that
// is none. As in libpcap all of them bind tighter than the comparisons, so
// "tcp[13] & 2 != 0" is "(tcp[13] & 2) != 0".
func precedence(k kind) int {
	switch k {
	case '|':
		return 1
	case '&':
		return 2
	case tokLsh, tokRsh:
		return 3
	case '+', '-':
		return 4
	case '*', '/':
		return 5
	case '%', '^':
		return looseOp
	}
	return 0
}

// looseOp marks % and ^, to which libpcap's grammar gives no precedence. Its
// parser then always reads on: what follows them, and what they follow, is
// grouped from the right. 10 % 4 + 1 is 10 % (4 + 1), 2 * 3 % 4 is 2 * (3 % 4).
const looseOp = 6

// binds reports whether the pending operator takes the operand between it and
// the next operator. Operators of one precedence associate to the left.
func binds(pending frame, next kind) bool {
	switch {
	case precedence(next) == looseOp:
		return false
	case pending.kind == frameNeg:
		return true
	}
	return precedence(pending.op) != looseOp && precedence(pending.op) >= precedence(next)
}

// reduceArith applies the operator on top of the stack.
func (p *parser) reduceArith(v *value) error {
	f := p.pop()
	v.class = classArith
	v.want = f.want
	if f.kind == frameNeg {
		v.at.Start = f.at.Start
		v.arith = &Neg{X: v.arith, At: v.at}
		v.depth++
	} else {
		v.at.Start = f.left.at.Start
		v.arith = &Binary{Op: operatorByte(f.op), X: f.left.arith, Y: v.arith, At: v.at}
		v.depth = max(v.depth, f.left.depth) + 1
	}
	return checkDepth(v.at, 0, v.depth)
}

// operatorByte is the operator as a Binary holds it.
func operatorByte(k kind) byte {
	switch k {
	case tokLsh:
		return '<'
	case tokRsh:
		return '>'
	}
	return byte(k)
}

// reduceIndex finishes proto[v] or proto[v:size].
func (p *parser) reduceIndex(v *value) error {
	size := uint32(1)
	if p.tok.kind == ':' {
		p.advance()
		if p.tok.kind != tokNumber {
			return p.unexpected("1", "2", "4")
		}
		size = p.tok.value
		if size != 1 && size != 2 && size != 4 {
			return errorAt(p.tok.at, "data size must be 1, 2 or 4, not %d", size)
		}
		p.advance()
	}
	if p.tok.kind != ']' {
		return p.unexpectedAfter(v)
	}
	closing := p.advance()
	f := p.pop()
	v.class, v.want = classArith, f.want
	v.at = Span{Start: f.at.Start, End: closing.at.End}
	v.arith = &Index{Proto: f.proto, Off: v.arith, Size: uint8(size), At: v.at}
	v.depth++
	return checkDepth(v.at, 0, v.depth)
}

// relOps gives each comparison token its operator.
var relOps = map[kind]RelOp{'=': RelEq, tokNE: RelNe, '>': RelGt, tokGE: RelGe, '<': RelLt, tokLE: RelLe}

func isRelOp(k kind) bool {
	_, ok := relOps[k]
	return ok
}

// reduceRelation finishes "left relop v".
func (p *parser) reduceRelation(v *value) {
	f := p.pop()
	v.at.Start = f.left.at.Start
	v.node = &Relation{Op: relOps[f.op], X: f.left.arith, Y: v.arith, At: v.at}
	v.class, v.want, v.quals, v.depth = classTerm, f.want, nil, 0
}
