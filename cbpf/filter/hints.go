package filter

// unexpected refuses the next token, in whose place one of expected could
// stand, or, if none is given, what p.want allows.
func (p *parser) unexpected(expected ...string) error {
	if p.tok.kind == tokBad {
		return p.scan.err
	}
	if len(expected) == 0 {
		expected = p.want.expected()
	}
	var e *Error
	if p.tok.kind == tokEOF {
		e = errorAt(p.tok.at, "unexpected end of the expression")
	} else {
		e = errorAt(p.tok.at, "unexpected %q", excerptOf(p.scan.src[p.tok.at.Start:p.tok.at.End]))
	}
	e.Expected = expected
	return e
}

// unexpectedAfter refuses the next token, which cannot follow v.
func (p *parser) unexpectedAfter(v *value) error {
	return p.unexpected("'and'", "'or'")
}

// expected says what may stand at w.
func (w want) expected() []string {
	var out []string
	if w&wantTerm != 0 {
		out = append(out, "a test")
	}
	if w&atID != 0 {
		out = append(out, "a name", "a number", "an address")
	}
	if w == wantArith {
		out = append(out, "a number", "'len'", "proto[…]")
	}
	return out
}

func bareHint(id ID) string { return "" }
