package cbpf

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A token is a word (mnemonic, label, field name), a number or a single
// character of punctuation of one of the text formats.
type token struct {
	kind   byte // 'w' word, '0' number, 0 at the end, else the character itself
	text   string
	offset int
}

// A scanner cuts the text formats into tokens, one ahead. Blanks and line
// breaks only separate; comments are /* … */, what the format begins a line
// comment with, and lines that start with '#'.
type scanner struct {
	data    []byte
	pos     int    // behind tok
	comment string // begins a comment to the end of the line
	tok     token
	err     *SyntaxError // the first error; tok is the end from then on
}

func newScanner(data []byte, comment string) *scanner {
	s := &scanner{data: data, comment: comment}
	s.next()
	return s
}

// fail records an error at an offset, unless there is one already.
func (s *scanner) fail(offset int, format string, args ...any) {
	if s.err == nil {
		s.err = syntaxError(s.data, offset, format, args...)
	}
	s.tok = token{offset: offset}
	s.pos = len(s.data)
}

// syntaxError makes the error for an offset into a text.
func syntaxError(data []byte, offset int, format string, args ...any) *SyntaxError {
	before := data[:min(offset, len(data))]
	return &SyntaxError{
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: offset - bytes.LastIndexByte(before, '\n'),
		Offset: offset,
		Msg:    fmt.Sprintf(format, args...),
	}
}

// next reads the next token.
func (s *scanner) next() {
	if !s.skipBlanks() {
		return
	}
	start := s.pos
	if start == len(s.data) {
		s.tok = token{offset: start}
		return
	}
	c := s.data[start]
	if !isWord(c) {
		s.pos++
		s.tok = token{c, string(c), start}
		if c < ' ' || c > '~' {
			s.fail(start, "unexpected byte %#02x", c)
		}
		return
	}
	for s.pos < len(s.data) && isWord(s.data[s.pos]) {
		s.pos++
	}
	kind := byte('w')
	if '0' <= c && c <= '9' {
		kind = '0'
	}
	s.tok = token{kind, string(s.data[start:s.pos]), start}
}

// skipBlanks passes blanks and comments, false if a comment does not end.
func (s *scanner) skipBlanks() bool {
	for s.pos < len(s.data) {
		rest := s.data[s.pos:]
		lineStart := s.pos == 0 || s.data[s.pos-1] == '\n'
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			s.pos++
		case lineStart && c == '#', bytes.HasPrefix(rest, []byte(s.comment)):
			n := bytes.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			s.pos += n
		case bytes.HasPrefix(rest, []byte("/*")):
			n := bytes.Index(rest, []byte("*/"))
			if n < 0 {
				s.fail(s.pos, "comment without an end")
				return false
			}
			s.pos += n + 2
		default:
			return true
		}
	}
	return true
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// accept passes the token if it is of a kind.
func (s *scanner) accept(kind byte) bool {
	if s.tok.kind != kind {
		return false
	}
	s.next()
	return true
}

// expect passes a token that has to be of a kind.
func (s *scanner) expect(kind byte) {
	if !s.accept(kind) {
		s.unexpected(strconv.Quote(string(kind)))
	}
}

// unexpected records that something else was wanted at the current token.
func (s *scanner) unexpected(want string) {
	if s.tok.kind == 0 {
		s.fail(s.tok.offset, "expected %s, found the end", want)
		return
	}
	s.fail(s.tok.offset, "expected %s, found %q", want, shorten(s.tok.text))
}

func shorten(s string) string {
	if len(s) > 20 {
		return s[:20] + "…"
	}
	return s
}

// number reads a number of up to bits bits: decimal, 0x, 0b or 0 for octal. A
// sign is allowed for numbers of 32 bits, so that offsets can be negative.
func (s *scanner) number(bits int) uint32 {
	start, negative := s.tok.offset, false
	if bits == 32 && (s.tok.kind == '-' || s.tok.kind == '+') {
		negative = s.tok.kind == '-'
		s.next()
	}
	if s.tok.kind != '0' {
		s.unexpected("a number")
		return 0
	}
	text := s.tok.text
	v, err := strconv.ParseUint(text, 0, 32)
	switch {
	case err == nil && !strings.Contains(text, "_") && v < 1<<bits && (!negative || v <= -math.MinInt32):
	case err == nil && !strings.Contains(text, "_") || isRange(err):
		s.fail(start, "%s does not fit into %d bits", shorten(text), bits)
		return 0
	default:
		s.fail(start, "%q is not a number", shorten(text))
		return 0
	}
	s.next()
	if negative {
		return -uint32(v)
	}
	return uint32(v)
}

func isRange(err error) bool {
	e, ok := err.(*strconv.NumError)
	return ok && e.Err == strconv.ErrRange
}
