package filter

import (
	"fmt"
	"unicode/utf8"
)

// Syntax errors. What the grammar allows at a place says what was expected,
// the slips of hints.go what the writer may have meant.

// unexpected refuses the next token, in whose place one of expected could
// stand, or, if none is given, what p.want allows.
func (p *parser) unexpected(expected ...string) error {
	if len(expected) > 0 {
		return p.syntaxError(nil, expected, nil)
	}
	return p.syntaxError(nil, p.want.expected(), slips)
}

// unexpectedAfter refuses the next token, which cannot follow v.
func (p *parser) unexpectedAfter(v *value) error {
	return p.syntaxError(v, p.following(v), slips)
}

// syntaxError refuses the next token, which follows v or, if v is nil, stands
// where an operand should begin. The hint is the first that a slip gives.
func (p *parser) syntaxError(v *value, expected []string, slips []slip) error {
	t := p.tok
	if t.kind == tokBad {
		return p.scan.err
	}
	e := errorAt(t.at, "unexpected %q", excerptOf(p.source(t.at)))
	if t.kind == tokName && t.text == "vxlan" {
		e.Msg = "not supported yet: \"vxlan\""
		return e
	}
	e.Expected = expected
	open := p.openParen()
	switch {
	case t.kind == tokEOF && v != nil && open != nil:
		e.Msg = fmt.Sprintf("%q is missing", closing(open))
		e.Hint = fmt.Sprintf("nothing closes the %q of column %d", opening(open), p.column(open))
	case t.kind == tokEOF:
		e.Msg = "unexpected end of the expression"
	case t.kind == ')' && v != nil && open == nil:
		e.Msg = "\")\" without \"(\""
	}
	for _, hint := range slips {
		if e.Hint == "" {
			e.Hint = hint(p, v)
		}
	}
	return e
}

// bareID refuses an id that has no qualifiers and can inherit none.
func (p *parser) bareID(id ID) error {
	e := errorAt(id.At, "%q has no qualifier such as \"host\" or \"port\" before it, and can inherit none", excerptOf(id.Text))
	e.Hint = p.bareSlip(id)
	return e
}

// opening and closing are the parenthesis that is open and its counterpart.
func opening(open *frame) string {
	if open.kind == frameIndex {
		return "["
	}
	return "("
}

func closing(open *frame) string {
	if open.kind == frameIndex {
		return "]"
	}
	return ")"
}

// column is the column of the parenthesis that is open.
func (p *parser) column(open *frame) int {
	return utf8.RuneCountInString(p.scan.src[:open.at.End-1]) + 1
}

// source is the text of a part of the expression.
func (p *parser) source(at Span) string { return p.scan.src[at.Start:at.End] }

// openParen returns the innermost "(" or "[" that is open, nil if none is.
func (p *parser) openParen() *frame {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if f := &p.stack[i]; f.kind == frameParen || f.kind == frameIndex {
			return f
		}
	}
	return nil
}

// expected says what may stand at w.
func (w want) expected() []string {
	var out []string
	if w&wantTerm != 0 {
		out = append(out, "a test such as \"tcp port 80\"", "\"not\"")
	}
	if w&atID != 0 {
		out = append(out, "a name", "an address")
	}
	if w&wantTerm == 0 {
		out = append(out, "a number")
	}
	if w == wantArith {
		out = append(out, "\"len\"", "a part of the packet such as ip[8]")
	}
	return append(out, "\"(\"")
}

// following says what may stand after v.
func (p *parser) following(v *value) []string {
	open := p.openParen()
	switch {
	case open != nil && open.kind == frameIndex:
		return []string{"\"]\"", "\":\" and a size", "an arithmetic operator"}
	case v.class <= classArith:
		return []string{"a comparison", "an arithmetic operator"}
	case open != nil:
		return []string{"\"and\"", "\"or\"", "\")\""}
	}
	return []string{"\"and\"", "\"or\"", "the end"}
}
