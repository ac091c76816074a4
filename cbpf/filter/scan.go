package filter

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The scanner cuts an expression into tokens by the rules of libpcap's: at
// each place the longest token wins, and of equally long ones the kind that
// comes first in scanWord. That is why "10-1" is one name and "1:2:3:4:5:6" one
// MAC address.

// A token is a piece of the expression that the grammar knows.
type token struct {
	kind  kind
	value uint32 // what the kind's comment in keywords.go says
	text  string // as written, without the backslash of an escaped name
	at    Span
}

// A scanner hands out the tokens of src from left to right.
type scanner struct {
	src string
	pos int
	err *Error // why the last token is tokBad
}

// operators are those of two characters, each with its kind.
var operators = map[string]kind{
	"&&": tokAnd, "||": tokOr, ">=": tokGE, "<=": tokLE, "!=": tokNE, "==": '=', "<<": tokLsh, ">>": tokRsh,
}

// next returns the next token: tokEOF at the end, and tokBad where nothing
// matches, from which there is no going on.
func (s *scanner) next() token {
	for s.pos < len(s.src) && strings.IndexByte(" \r\n\t", s.src[s.pos]) >= 0 {
		s.pos++
	}
	rest := s.src[s.pos:]
	switch {
	case rest == "":
		return token{kind: tokEOF, at: Span{Start: s.pos, End: s.pos}}
	case isAlnum(rest[0]), strings.HasPrefix(rest, "::"):
		return s.scanWord(rest)
	case rest[0] == '\\':
		return s.scanEscaped(rest)
	case rest[0] == '$' && matchByte(rest[1:]) > 0:
		return s.take(tokMAC8, 1+matchByte(rest[1:]))
	}
	if k, ok := operators[rest[:min(2, len(rest))]]; ok {
		return s.take(k, 2)
	}
	if strings.IndexByte("+-*/%:[]!<>()&|^=", rest[0]) >= 0 {
		return s.take(kind(rest[0]), 1)
	}
	return s.badCharacter(rest)
}

// take makes a token of the next n bytes.
func (s *scanner) take(k kind, n int) token {
	t := token{kind: k, text: s.src[s.pos : s.pos+n], at: Span{Start: s.pos, End: s.pos + n}}
	s.pos += n
	return t
}

// bad makes a token of the next n bytes that is no token, and says why.
func (s *scanner) bad(n int, hint, format string, args ...any) token {
	t := s.take(tokBad, n)
	s.err = errorAt(t.at, format, args...)
	s.err.Hint = hint
	return t
}

// badCharacter refuses what starts no token.
func (s *scanner) badCharacter(rest string) token {
	r, n := utf8.DecodeRuneInString(rest)
	switch {
	case r == utf8.RuneError && n == 1:
		return s.bad(n, "", "byte 0x%02x is not valid UTF-8", rest[0])
	case rest[0] == '\'' || rest[0] == '"' || unicode.In(r, unicode.Pi, unicode.Pf, unicode.Ps, unicode.Pe):
		return s.bad(n, "names and addresses are written without quotes; quote the whole expression for the shell", "unexpected character %q", r)
	case r == ',' || r == ';':
		return s.bad(n, "lists are joined by \"or\": port 80 or 443", "unexpected character %q", r)
	case signs[r] != "":
		return s.bad(n, "that is written \""+signs[r]+"\"", "unexpected character %q", r)
	case unicode.In(r, unicode.Pd, unicode.Zs):
		return s.bad(n, "this is not the plain ASCII character; was the expression copied from a formatted text?", "unexpected character %q", r)
	}
	return s.bad(n, "", "unexpected character %q", r)
}

// signs are characters that people write for those of the language.
var signs = map[rune]string{'≠': "!=", '≤': "<=", '≥': ">=", '×': "*", '÷': "/", '¬': "not", '∧': "and", '∨': "or", '−': "-"}

// scanWord scans what starts with a letter, a digit or "::". A keyword has
// the form of a name, so it needs no match of its own.
func (s *scanner) scanWord(rest string) token {
	name := matchName(rest)
	best, k := name, tokName
	w, isKeyword := keywords[rest[:name]]
	// Last to first in libpcap's order, the earlier taking a tie.
	for _, m := range [...]struct {
		kind  kind
		match func(string) int
	}{{tokBad, matchBrokenMAC}, {tokIPv6, matchIPv6}, {tokIPv4, matchIPv4}, {tokNumber, matchNumber}, {tokMAC, matchMAC}} {
		if n := m.match(rest); n > 0 && n >= best {
			best, k = n, m.kind
		}
	}
	if isKeyword && best == name {
		t := s.take(w.kind, name)
		t.value = w.value
		return t
	}
	switch k {
	case tokBad:
		return s.bad(best, "a MAC address has six bytes, an IPv6 address eight groups or one \"::\"",
			"%q is neither a MAC nor an IPv6 address", excerptOf(rest[:best]))
	case tokNumber:
		return s.scanNumber(rest[:best])
	case tokIPv6:
		if _, err := netip.ParseAddr(rest[:best]); err != nil {
			return s.bad(best, "", "%q is not an IPv6 address", excerptOf(rest[:best]))
		}
	}
	return s.take(k, best)
}

// scanNumber gives digits their value: hexadecimal after 0x, octal after 0.
func (s *scanner) scanNumber(digits string) token {
	n, err := strconv.ParseUint(digits, 0, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return s.bad(len(digits), "", "number %s does not fit into 32 bits", excerptOf(digits))
	case err != nil:
		return s.bad(len(digits), "a number with a leading 0 is octal", "number %s is not octal", excerptOf(digits))
	}
	t := s.take(tokNumber, len(digits))
	t.value = uint32(n)
	return t
}

// scanEscaped scans a backslash and the word after it, which is a name even
// if it is also a keyword. What ends the word is libpcap's choice: "]" does not.
func (s *scanner) scanEscaped(rest string) token {
	n := strings.IndexAny(rest, " !()\n\t")
	if n < 0 {
		n = len(rest)
	}
	if n == 1 {
		return s.bad(1, "a backslash comes before a name that is also a keyword: ip proto \\udp", "nothing follows the backslash")
	}
	t := s.take(tokName, n)
	t.text = t.text[1:]
	return t
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

// run returns how many bytes at the start of s are of the class, at most limit.
func run(s string, class func(byte) bool, limit int) int {
	n := 0
	for n < len(s) && n < limit && class(s[n]) {
		n++
	}
	return n
}

// The match functions return the length of the longest prefix of s that is of
// their kind, or 0.

// matchName matches letters, digits, '.', '-' and '_', the last two not at
// either end.
func matchName(s string) int {
	if s == "" || !isAlnum(s[0]) {
		return 0
	}
	n := run(s, func(c byte) bool { return isAlnum(c) || c == '.' || c == '-' || c == '_' }, len(s))
	return len(strings.TrimRight(s[:n], "-_"))
}

func matchNumber(s string) int {
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' && isHex(s[2]) {
		return 2 + run(s[2:], isHex, len(s))
	}
	return run(s, isDigit, len(s))
}

// matchIPv4 matches two to four numbers with dots between.
func matchIPv4(s string) int {
	n, parts := matchDotted(s)
	if parts < 2 {
		return 0
	}
	return n
}

// matchDotted matches up to four numbers with dots between.
func matchDotted(s string) (n, parts int) {
	n = matchNumber(s)
	if n == 0 {
		return 0, 0
	}
	for parts = 1; parts < 4 && n < len(s) && s[n] == '.'; parts++ {
		m := matchNumber(s[n+1:])
		if m == 0 {
			break
		}
		n += 1 + m
	}
	return n, parts
}

// matchByte matches one or two hexadecimal digits.
func matchByte(s string) int { return run(s, isHex, 2) }

// matchMAC matches the five spellings: six bytes between ':', '-' or '.',
// three groups of four digits between dots, twelve digits.
func matchMAC(s string) int {
	best := 0
	for _, sep := range [...]byte{':', '-', '.'} {
		best = max(best, matchGroups(s, 6, 1, 2, sep))
	}
	best = max(best, matchGroups(s, 3, 4, 4, '.'))
	if run(s, isHex, 12) == 12 {
		best = max(best, 12)
	}
	return best
}

// matchGroups matches count groups of least to most hexadecimal digits with
// sep between.
func matchGroups(s string, count, least, most int, sep byte) int {
	n := 0
	for i := range count {
		if i > 0 {
			if n == len(s) || s[n] != sep {
				return 0
			}
			n++
		}
		digits := run(s[n:], isHex, most)
		if digits < least {
			return 0
		}
		n += digits
	}
	return n
}

// matchBrokenMAC matches bytes that are each followed by colons, two at
// least, which libpcap calls a bogus Ethernet address.
func matchBrokenMAC(s string) int {
	n, groups := 0, 0
	for {
		digits := matchByte(s[n:])
		colons := run(s[n+digits:], func(c byte) bool { return c == ':' }, len(s))
		if digits == 0 || colons == 0 {
			break
		}
		n += digits + colons
		groups++
	}
	if groups < 2 {
		return 0
	}
	return n
}

// matchIPv6 matches the forms of RFC 4291: eight groups, or up to seven and
// one "::", the last two groups perhaps as a dotted IPv4 address.
func matchIPv6(s string) int {
	best, i, groups, gap := 0, 0, 0, false
	if strings.HasPrefix(s, "::") {
		best, i, gap = 2, 2, true
	}
	for {
		if gap && groups <= 5 || !gap && groups == 6 {
			if n, parts := matchDotted(s[i:]); parts == 4 {
				best = max(best, i+n)
			}
		}
		digits := run(s[i:], isHex, 4)
		if digits == 0 {
			return best
		}
		i += digits
		groups++
		if gap || groups == 8 {
			best = max(best, i)
		}
		switch {
		case gap && groups == 7, groups == 8, i+1 >= len(s), s[i] != ':', gap && s[i+1] == ':':
			return best
		case s[i+1] == ':':
			i, gap = i+2, true
			best = max(best, i)
			if groups == 7 {
				return best
			}
		default:
			i++
		}
	}
}
