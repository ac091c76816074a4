package vm

import "math"

// The helpers strtol and strtoul: a number at the front of a buffer that need
// not end in a 0 byte.

const (
	strtoBases = 0x1f // the bits of the flags that give the base, 0 for by prefix

	// strtoLonger is how many characters of a number are looked at.
	strtoLonger = 63
)

// A parsed number says how much of the buffer it took, or why there is none.
type parsed struct {
	value    uint64
	negative bool
	length   uint64
	failed   errno
}

func strtol(m *Machine, a *[5]uint64) uint64 {
	p := parseNumber(m.bytes(a[0], a[1]), a[2])
	v := int64(p.value)
	if p.negative {
		v = -v
	}
	if p.failed == 0 && (p.negative && v > 0 || !p.negative && v < 0) {
		p.failed = eRANGE
	}
	return m.parsedTo(a[3], uint64(v), p)
}

func strtoul(m *Machine, a *[5]uint64) uint64 {
	p := parseNumber(m.bytes(a[0], a[1]), a[2])
	if p.failed == 0 && p.negative {
		p.failed = eINVAL
	}
	return m.parsedTo(a[3], p.value, p)
}

// parsedTo stores a number, 0 if there is none, and returns its length.
func (m *Machine) parsedTo(to, v uint64, p parsed) uint64 {
	if p.failed != 0 {
		store64(m.at(to), 0)
		return p.failed.negative()
	}
	store64(m.at(to), v)
	return p.length
}

// parseNumber is __bpf_strtoull: blanks, a minus sign (no plus), a number.
func parseNumber(text []byte, flags uint64) parsed {
	base := flags & strtoBases
	if flags&^strtoBases != 0 || base != 0 && base != 8 && base != 10 && base != 16 {
		return parsed{failed: eINVAL}
	}
	at := 0
	for at < len(text) && isSpace(text[at]) {
		at++
	}
	p := parsed{negative: at < len(text) && text[at] == '-'}
	if p.negative {
		at++
	}
	digits := text[at:min(len(text), at+strtoLonger)]
	base, prefix := fixBase(digits, base)
	n := p.digits(digits[prefix:], base)
	if n == 0 && p.failed == 0 {
		p.failed = eINVAL
	}
	p.length = uint64(at + prefix + n)
	return p
}

// isSpace is the kernel's isspace, whose characters are Latin-1.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' || c == 0xa0 }

// fixBase returns the base of a number and the length of its prefix. As in the
// kernel, "0x" without a digit behind it is an octal 0 if the base is open, and
// a number without digits if it is 16.
func fixBase(text []byte, base uint64) (uint64, int) {
	char := func(i int) byte {
		if i < len(text) {
			return text[i]
		}
		return 0
	}
	hexadecimal := char(0) == '0' && char(1)|0x20 == 'x'
	if base == 0 {
		switch {
		case hexadecimal && digit(char(2)) < 16:
			base = 16
		case char(0) == '0':
			base = 8
		default:
			base = 10
		}
	}
	if base == 16 && hexadecimal {
		return base, 2
	}
	return base, 0
}

// digit returns the value of a digit, 255 for what is none.
func digit(c byte) uint64 {
	switch lower := c | 0x20; {
	case '0' <= c && c <= '9':
		return uint64(c - '0')
	case 'a' <= lower && lower <= 'f':
		return uint64(lower-'a') + 10
	}
	return 255
}

// digits takes digits and returns how many they were.
func (p *parsed) digits(text []byte, base uint64) (n int) {
	for n < len(text) && digit(text[n]) < base {
		v := digit(text[n])
		if p.value > (math.MaxUint64-v)/base {
			p.failed = eRANGE
		}
		p.value = p.value*base + v
		n++
	}
	return n
}
