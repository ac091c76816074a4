package cbpf

import (
	"bytes"

	"golang.org/x/net/bpf"
)

// ParseAny reads a program in any format but dot, which it recognizes by its
// content, and says which it was. All formats are told apart by their first
// tokens; text that looks like nothing else is taken for bpf_asm's syntax.
func ParseAny(data []byte) ([]bpf.RawInstruction, Format, error) {
	f := recognize(data)
	if f == "" {
		return nil, "", syntaxError(data, 0, "there is no program in this")
	}
	prog, err := Parse(data, f)
	return prog, f, err
}

// recognize returns the format of a program, "" if there is nothing but blanks
// and comments.
func recognize(data []byte) Format {
	if bytes.IndexByte(data, 0) >= 0 {
		return recognizeRaw(data)
	}
	// Go, C and JSON never begin with ';' nor the others with "//", so both
	// kinds of comments can be passed over.
	s := newScanner(data, ";")
	for s.tok.kind == '/' {
		n := bytes.IndexByte(data[s.tok.offset:], '\n')
		if n < 0 {
			break
		}
		s.pos = s.tok.offset + n
		s.next()
	}
	first := s.tok.kind
	s.next()
	switch first {
	case 0:
		if s.err == nil {
			return ""
		}
	case '(':
		return FormatD
	case '{':
		return FormatDD
	case '0':
		if s.tok.kind == ',' {
			return FormatXTBPF
		}
		return FormatDDD
	case '[':
		if s.accept(']') && s.tok.kind == 'w' {
			return FormatGo
		}
		return FormatJSON
	}
	return recognizeDeclaration(data)
}

// recognizeDeclaration tells apart the formats that begin with words, by the
// words before the first brace.
func recognizeDeclaration(data []byte) Format {
	head, _, ok := bytes.Cut(data, []byte("{"))
	switch {
	case !ok:
		return FormatAsm
	case bytes.Contains(head, []byte("sock_filter")):
		return FormatC
	case bytes.Contains(head, []byte("RawInstruction")):
		return FormatGo
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("digraph")):
		return FormatDot
	}
	return FormatAsm
}

// recognizeRaw tells the byte orders apart: opcodes are below 256, so that one
// byte of them is 0, and the last instruction is a return.
func recognizeRaw(data []byte) Format {
	if n := len(data) - len(data)%rawSize; n > 0 {
		last := data[n-rawSize:]
		if last[0] == 0 && isReturn(bigEndian.Uint16(last)) {
			return FormatRawBE
		}
	}
	return FormatRaw
}
