package vm

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
)

// The helpers that print. Their formats are a part of printk's, checked by
// bpf_bprintf_prepare in the kernel: no control characters but spaces,
// conversions %d %i %u %x %X with l or ll, %c, %s, %p and its %px, %pK, %pks,
// %pus, %pi4, %pI4, %pi6, %pI6, each with flags and width.

// maxPrint is the longest line of trace_printk (BPF_TRACE_PRINTK_SIZE).
const maxPrint = 1024

func tracePrintk(m *Machine, a *[5]uint64) uint64 {
	return m.print(m.bytes(a[0], a[1]), []uint64{a[2], a[3], a[4]})
}

func traceVprintk(m *Machine, a *[5]uint64) uint64 {
	args, ok := m.printArguments(a[2], a[3])
	if !ok {
		return eINVAL.negative()
	}
	return m.print(m.bytes(a[0], a[1]), args)
}

// printArguments reads an array of arguments, at most 12.
func (m *Machine) printArguments(addr, size uint64) (args []uint64, ok bool) {
	if size%8 != 0 || size > 12*8 || size > 0 && addr == 0 {
		return nil, false
	}
	for b := m.bytes(addr, size); len(b) > 0; b = b[8:] {
		args = append(args, binary.LittleEndian.Uint64(b))
	}
	return args, true
}

func (m *Machine) print(format []byte, args []uint64) uint64 {
	end := bytes.IndexByte(format, 0)
	if end < 0 {
		return eINVAL.negative()
	}
	text, ok := m.format(nil, string(format[:end]), args)
	if !ok {
		return eINVAL.negative()
	}
	n := len(text)
	m.emit("trace_printk", 0, text[:min(n, maxPrint-1)])
	return uint64(n)
}

// snprintf is bpf_snprintf. The result counts the 0 byte at the end.
func snprintf(m *Machine, a *[5]uint64) uint64 {
	args, ok := m.printArguments(a[3], a[4])
	if !ok {
		return eINVAL.negative()
	}
	format, ok := m.stringAt(a[2], maxPrint)
	if !ok {
		return m.refuse("r3 is not a string")
	}
	text, ok := m.format(nil, format, args)
	if !ok {
		return eINVAL.negative()
	}
	if to := m.bytes(a[0], a[1]); len(to) > 0 {
		n := copy(to[:len(to)-1], text)
		to[n] = 0
	}
	return uint64(len(text) + 1)
}

// A conversion is one of a format.
type conversion struct {
	left, plus, space, zero bool
	width                   int
}

// format makes the text. It says no for a format that the kernel refuses.
func (m *Machine) format(text []byte, format string, args []uint64) ([]byte, bool) {
	for i := 0; i < len(format); i++ {
		c := format[i]
		if c == 0x7f || c < ' ' && (c < '\t' || c > '\r') {
			return nil, false
		}
		if c != '%' {
			text = append(text, c)
			continue
		}
		if i++; i < len(format) && format[i] == '%' {
			text = append(text, '%')
			continue
		}
		if len(args) == 0 {
			return nil, false
		}
		var spec conversion
		i += spec.parse(format[i:])
		one, n, ok := m.convert(format[i:], args[0], spec)
		if !ok {
			return nil, false
		}
		text = spec.pad(text, one)
		args, i = args[1:], i+n-1
	}
	return text, true
}

// parse reads flags and width, and returns their length.
func (c *conversion) parse(s string) (n int) {
	for ; n < len(s); n++ {
		switch s[n] {
		case '0':
			c.zero = true
		case '+':
			c.plus = true
		case '-':
			c.left = true
		case ' ':
			c.space = true
		default:
			for ; n < len(s) && '0' <= s[n] && s[n] <= '9'; n++ {
				c.width = min(c.width*10+int(s[n]-'0'), maxPrint)
			}
			return n
		}
	}
	return n
}

func (c conversion) pad(text []byte, one string) []byte {
	fill := max(c.width-len(one), 0)
	switch {
	case c.left:
		text = append(text, one...)
		return append(text, bytes.Repeat([]byte{' '}, fill)...)
	case c.zero && one != "" && (one[0] == '-' || one[0] == '+' || one[0] == ' '):
		text = append(text, one[0])
		text = append(text, bytes.Repeat([]byte{'0'}, fill)...)
		return append(text, one[1:]...)
	case c.zero:
		text = append(text, bytes.Repeat([]byte{'0'}, fill)...)
	default:
		text = append(text, bytes.Repeat([]byte{' '}, fill)...)
	}
	return append(text, one...)
}

// convert makes the text of one argument; n is the length of the conversion.
func (m *Machine) convert(s string, arg uint64, c conversion) (text string, n int, ok bool) {
	if s == "" {
		return "", 0, false
	}
	switch s[0] {
	case 'p':
		return m.convertPointer(s, arg)
	case 's':
		return m.convertString(arg), 1, endsHere(s[1:])
	case 'c':
		return string([]byte{byte(arg)}), 1, true
	}
	bits := 32
	for n < 2 && n < len(s) && s[n] == 'l' {
		bits = 64
		n++
	}
	if n == len(s) {
		return "", 0, false
	}
	if bits == 32 {
		arg = uint64(uint32(arg))
	}
	switch s[n] {
	case 'd', 'i':
		v := int64(arg)
		if bits == 32 {
			v = int64(int32(arg))
		}
		text = strconv.FormatInt(v, 10)
		if v >= 0 && c.plus {
			text = "+" + text
		} else if v >= 0 && c.space {
			text = " " + text
		}
	case 'u':
		text = strconv.FormatUint(arg, 10)
	case 'x':
		text = strconv.FormatUint(arg, 16)
	case 'X':
		text = string(bytes.ToUpper([]byte(strconv.FormatUint(arg, 16))))
	default:
		return "", 0, false
	}
	return text, n + 1, true
}

// endsHere reports whether a conversion may end before s: at the end of the
// format, a space or a punctuation mark.
func endsHere(s string) bool {
	if s == "" {
		return true
	}
	c := s[0]
	letter := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	return !letter && c < 0x7f
}

// convertPointer is %p and what may follow. Pointers are printed as they are:
// addresses of the machine are no secret.
func (m *Machine) convertPointer(s string, arg uint64) (text string, n int, ok bool) {
	text = strconv.FormatUint(arg, 16)
	text = "0000000000000000"[len(text):] + text
	switch rest := s[1:]; {
	case endsHere(rest):
		return text, 1, true
	case rest[0] == 'x' || rest[0] == 'K':
		return text, 2, true
	case len(rest) >= 2 && (rest[0] == 'k' || rest[0] == 'u') && rest[1] == 's':
		return m.convertString(arg), 3, endsHere(rest[2:])
	case len(rest) >= 2 && (rest[0] == 'i' || rest[0] == 'I') && (rest[1] == '4' || rest[1] == '6'):
		return m.convertAddress(arg, rest[0] == 'I', rest[1] == '6'), 3, true
	}
	return "", 0, false
}

// convertAddress prints an IP address in memory: %pi4 with leading zeros, %pi6
// without colons.
func (m *Machine) convertAddress(addr uint64, usual, six bool) string {
	b := make([]byte, 16)
	if !six {
		b = b[:4]
	}
	if m.reachPlain(addr, uint64(len(b)), read) {
		copy(b, m.bytes(addr, uint64(len(b))))
	}
	ip, _ := netip.AddrFromSlice(b)
	switch {
	case six && usual:
		return ip.StringExpanded()
	case six:
		return string(bytes.ReplaceAll([]byte(ip.StringExpanded()), []byte(":"), nil))
	case usual:
		return ip.String()
	}
	var text []byte
	for i, v := range b {
		if i > 0 {
			text = append(text, '.')
		}
		text = append(text, '0'+v/100, '0'+v/10%10, '0'+v%10)
	}
	return string(text)
}

// convertString is %s: what is no string prints as nothing.
func (m *Machine) convertString(addr uint64) string {
	s, _ := m.stringAt(addr, maxPrint)
	return s
}

// stringAt reads a string that ends with a 0 byte, or its first limit bytes.
func (m *Machine) stringAt(addr uint64, limit int) (s string, ok bool) {
	var text []byte
	for len(text) < limit {
		if !m.reachPlain(addr, 1, read) {
			return "", false
		}
		c := m.bytes(addr, 1)[0]
		if c == 0 {
			break
		}
		text = append(text, c)
		addr++
	}
	return string(text), true
}
