package cbpf

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/net/bpf"
)

// writeDD writes what tcpdump -dd prints: the inside of a C array.
func writeDD(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	for i, ins := range prog {
		fmt.Fprintf(&b, "{ 0x%x, %d, %d, 0x%08x },%s\n", ins.Op, ins.Jt, ins.Jf, ins.K, o.beside(i, " /* ", " */"))
	}
	return b.Bytes(), nil
}

// writeC writes an array of the type of <linux/filter.h>.
func writeC(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("struct sock_filter filter[] = {\n")
	for i, ins := range prog {
		fmt.Fprintf(&b, "\t{ 0x%02x, %d, %d, 0x%08x },%s\n", ins.Op, ins.Jt, ins.Jf, ins.K, o.beside(i, " /* ", " */"))
	}
	b.WriteString("};\n")
	return b.Bytes(), nil
}

// writeGo writes an expression of a type of golang.org/x/net/bpf.
func writeGo(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("[]bpf.RawInstruction{\n")
	for i, ins := range prog {
		fmt.Fprintf(&b, "\t{Op: 0x%x, Jt: %d, Jf: %d, K: 0x%x},%s\n", ins.Op, ins.Jt, ins.Jf, ins.K, o.beside(i, " // ", ""))
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

// parseArray reads what the three writers above write, and what people make of
// it: anything may stand before the first brace, fields may be named, in any
// order and with gaps if they are, and a type may stand before each element.
func parseArray(data []byte) ([]bpf.RawInstruction, error) {
	s := newScanner(data, "//")
	bare := s.tok.kind == '{' // the elements without a declaration around them, as -dd prints
	if !bare {
		for s.tok.kind != '{' && s.tok.kind != 0 {
			s.next()
		}
		if s.tok.kind == 0 && s.err == nil {
			s.unexpected(`"{"`)
		}
		s.accept('{')
	}
	prog := s.elements()
	if !bare {
		s.expect('}')
		s.accept(';')
	}
	if s.tok.kind != 0 {
		s.unexpected("the end")
	}
	if s.err != nil {
		return nil, s.err
	}
	return prog, nil
}

// elements reads { … } elements with commas between them.
func (s *scanner) elements() []bpf.RawInstruction {
	var prog []bpf.RawInstruction
	for s.tok.kind == '{' {
		s.next()
		prog = append(prog, s.element())
		if !s.accept(',') {
			break
		}
	}
	return prog
}

// element reads the fields of one instruction and the closing brace.
func (s *scanner) element() bpf.RawInstruction {
	var ins bpf.RawInstruction
	n := 0
	for ; s.tok.kind != '}' && s.err == nil; n++ {
		s.field(&ins, n)
		if s.tok.kind != '}' {
			s.expect(',')
		}
	}
	if n == 0 {
		s.unexpected("an opcode")
	}
	s.expect('}')
	return ins
}

// arrayFields names the fields as Go and C have them.
var arrayFields = [4][2]string{{"op", "code"}, {"jt", "jt"}, {"jf", "jf"}, {"k", "k"}}

// field reads one field: "12", "K: 12" or ".k = 12". Without a name the n-th
// field is meant.
func (s *scanner) field(ins *bpf.RawInstruction, n int) {
	dot := s.accept('.')
	if s.tok.kind == 'w' {
		name := strings.ToLower(s.tok.text)
		for n = range arrayFields {
			if name == arrayFields[n][0] || name == arrayFields[n][1] {
				break
			}
		}
		if f := arrayFields[n]; name != f[0] && name != f[1] {
			s.unexpected("a field: op, jt, jf or k")
		}
		s.next()
		if dot {
			s.expect('=')
		} else {
			s.expect(':')
		}
	}
	switch n {
	case 0:
		ins.Op = uint16(s.number(16))
	case 1:
		ins.Jt = uint8(s.number(8))
	case 2:
		ins.Jf = uint8(s.number(8))
	case 3:
		ins.K = s.number(32)
	default:
		s.unexpected(`"}" after four fields`)
	}
}
