package ebpf

import (
	"fmt"
	"strconv"
	"strings"
)

// A SyntaxError says where assembler text, or the text of another program
// format, cannot be understood.
type SyntaxError struct {
	Line   int // from 1
	Column int // from 1, in bytes
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// A scanner walks over one line of assembler text. The grammar is small enough
// to be read straight from the characters: each method skips blanks, then
// takes the thing it is named after or leaves the position alone.
type scanner struct {
	text string
	pos  int
	line int
}

// fail makes an error at a position of the line.
func (s *scanner) fail(pos int, format string, args ...any) error {
	return &SyntaxError{Line: s.line, Column: pos + 1, Msg: fmt.Sprintf(format, args...)}
}

// expected is the error that something else stands at the current position.
func (s *scanner) expected(what string) error {
	s.blanks()
	if s.end() {
		return s.fail(s.pos, "expected %s, found the end of the line", what)
	}
	return s.fail(s.pos, "expected %s, found %q", what, shorten(s.peek()))
}

func (s *scanner) blanks() {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\f\v", s.text[s.pos]) >= 0 {
		s.pos++
	}
}

// end reports whether only blanks and a comment are left.
func (s *scanner) end() bool {
	s.blanks()
	rest := s.text[s.pos:]
	return rest == "" || rest[0] == ';' || rest[0] == '#' || strings.HasPrefix(rest, "//")
}

// peek returns the word or character at the current position, for messages.
func (s *scanner) peek() string {
	at := *s
	if w := at.word(); w != "" {
		return w
	}
	if r := []rune(at.text[at.pos:min(len(at.text), at.pos+4)]); len(r) > 0 {
		return string(r[0])
	}
	return ""
}

// take takes the literal text if it comes next. A literal that ends in a
// letter or digit must end a word there.
func (s *scanner) take(literal string) bool {
	s.blanks()
	if !strings.HasPrefix(s.text[s.pos:], literal) {
		return false
	}
	after := s.pos + len(literal)
	if isWord(literal[len(literal)-1]) && after < len(s.text) && isWord(s.text[after]) {
		return false
	}
	s.pos = after
	return true
}

// need takes the literal text, or fails.
func (s *scanner) need(literal string) error {
	if !s.take(literal) {
		return s.expected(strconv.Quote(literal))
	}
	return nil
}

func isWord(c byte) bool {
	return c == '_' || c == '.' || c == '$' ||
		'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// word takes a run of letters, digits, "_", "." and "$".
func (s *scanner) word() string {
	s.blanks()
	start := s.pos
	for s.pos < len(s.text) && isWord(s.text[s.pos]) {
		s.pos++
	}
	return s.text[start:s.pos]
}

// A register operand: its number, and whether it was written w for 32 bits.
type operand struct {
	reg  Register
	half bool
	at   int // position in the line
}

// register takes r0 to r10 or w0 to w10; fp is another name for r10.
func (s *scanner) register() (operand, bool) {
	start := *s
	w := s.word()
	o := operand{at: s.pos - len(w)}
	if w == "fp" {
		o.reg = R10
		return o, true
	}
	if len(w) >= 2 && (w[0] == 'r' || w[0] == 'w') {
		n, err := strconv.ParseUint(w[1:], 10, 8)
		if err == nil && n <= uint64(R10) && w[1:] == strconv.FormatUint(n, 10) {
			o.reg, o.half = Register(n), w[0] == 'w'
			return o, true
		}
	}
	*s = start
	return operand{}, false
}

// needRegister takes a register of 64 bits, or of 32 bits if half allows it.
func (s *scanner) needRegister(half bool) (operand, error) {
	o, ok := s.register()
	if !ok {
		return o, s.expected("a register")
	}
	if o.half && !half {
		return o, s.fail(o.at, "expected a 64-bit register, found w%d", o.reg)
	}
	return o, nil
}

// signNext reports whether a sign comes next, as in "goto +2".
func (s scanner) signNext() bool { // works on a copy
	return s.take("+") || s.take("-")
}

// A number as it was written; its value is ±abs.
type number struct {
	abs      uint64
	negative bool
	hex      bool
	at       int
}

// number takes a decimal or hexadecimal number with an optional sign. ok is
// false if none is there; err says that there is one, but a malformed one.
func (s *scanner) number() (n number, ok bool, err error) {
	start := *s
	s.blanks()
	n.at = s.pos
	if n.negative = s.take("-"); !n.negative {
		s.take("+")
	}
	s.blanks()
	if s.pos == len(s.text) || s.text[s.pos] < '0' || s.text[s.pos] > '9' {
		*s = start
		return n, false, nil
	}
	w := s.word()
	digits, base := w, 10
	if h, ok := strings.CutPrefix(strings.ToLower(w), "0x"); ok {
		digits, base, n.hex = h, 16, true
	}
	n.abs, err = strconv.ParseUint(digits, base, 64)
	if err != nil || n.negative && n.abs > 1<<63 {
		return n, false, s.fail(n.at, "%q is not a number of at most 64 bits", shorten(s.text[n.at:s.pos]))
	}
	return n, true, nil
}

// signed returns the value if it lies in [-2^(bits-1), 2^(bits-1)).
func (n number) signed(bits int) (int64, bool) {
	limit := uint64(1) << (bits - 1)
	if n.negative {
		return -int64(n.abs), n.abs <= limit
	}
	return int64(n.abs), n.abs < limit
}

// needNumber takes a number in [-2^(bits-1), 2^(bits-1)).
func (s *scanner) needNumber(what string, bits int) (int64, error) {
	n, ok, err := s.number()
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, s.expected(what)
	}
	v, ok := n.signed(bits)
	if !ok {
		return 0, s.fail(n.at, "%s must fit in %d bits with a sign", what, bits)
	}
	return v, nil
}

// An immediate's meaning decides which spellings beyond int32 it may have.
type extent uint8

const (
	extended extent = iota // sign-extended to 64 bits: only -2^31 to 2^31-1
	pattern                // also hexadecimal for the 32 bits themselves
	low32                  // only 32 bits count: up to 2^32-1
)

// immediate checks that a number fits the 32-bit immediate.
func (s *scanner) immediate(n number, e extent) (int32, error) {
	if v, ok := n.signed(32); ok {
		return int32(v), nil
	}
	if !n.negative && n.abs <= 0xffffffff && (e == low32 || e == pattern && n.hex) {
		return int32(uint32(n.abs)), nil
	}
	if e == low32 {
		return 0, s.fail(n.at, "the immediate must fit in 32 bits")
	}
	return 0, s.fail(n.at, "the immediate must lie in -2147483648 to 2147483647 because it is sign-extended to 64 bits; load it into a register (\"r1 = … ll\") instead")
}

// needImmediate takes a number and checks that it fits.
func (s *scanner) needImmediate(e extent) (int32, error) {
	n, ok, err := s.number()
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, s.expected("a register or a number")
	}
	return s.immediate(n, e)
}
