package cbpf

import (
	"bytes"
	"fmt"

	"golang.org/x/net/bpf"
)

// writeD writes what tcpdump -d prints: one line an instruction with the
// indices of jump targets, trailing blanks included.
func writeD(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	for i, ins := range prog {
		fmt.Fprintf(&b, "(%03d) %s%s\n", i, Mnemonic(ins, i), o.beside(i, "\t; ", ""))
	}
	return b.Bytes(), nil
}

// parseD reads what tcpdump -d prints. The numbers in front have to count up
// from 0, since jumps name them.
func parseD(data []byte) ([]bpf.RawInstruction, error) {
	s := newScanner(data, ";")
	var prog []bpf.RawInstruction
	for s.tok.kind != 0 {
		s.expect('(')
		// Numbers are padded with zeros, which would make them octal.
		if n := decimal(s.tok.text); s.err == nil && n != len(prog) {
			s.fail(s.tok.offset, "expected instruction %d, found %q", len(prog), shorten(s.tok.text))
		}
		s.next()
		s.expect(')')
		ins := s.instructionD(len(prog))
		if s.err != nil {
			break
		}
		prog = append(prog, ins)
	}
	if s.err != nil {
		return nil, s.err
	}
	return prog, nil
}

// decimal returns a number written with or without leading zeros, -1 if the
// text is none.
func decimal(text string) int {
	n := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' || n > 1<<24 {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	if text == "" {
		return -1
	}
	return n
}

// instructionD reads the part of a line behind the number.
func (s *scanner) instructionD(index int) bpf.RawInstruction {
	name := s.tok
	if !s.accept('w') {
		s.unexpected("an instruction")
		return bpf.RawInstruction{}
	}
	var ins bpf.RawInstruction
	switch name.text {
	case "unimp":
		ins.Op = uint16(s.number(16))
	case "ja":
		ins.Op = ClassJMP | JA
		ins.K = s.distance(index, 32)
	default:
		ins = s.instruction(name)
	}
	if isConditional(ins.Op) && s.err == nil {
		s.word("jt")
		ins.Jt = uint8(s.distance(index, 8))
		s.word("jf")
		ins.Jf = uint8(s.distance(index, 8))
	}
	return ins
}

// word passes a given word.
func (s *scanner) word(text string) {
	if s.tok.text != text {
		s.unexpected(fmt.Sprintf("%q", text))
		return
	}
	s.next()
}

// distance reads the index of a jump's target and returns how many
// instructions after the next one it is. Only "ja" can go back, by wrapping.
func (s *scanner) distance(index, bits int) uint32 {
	at := s.tok.offset
	d := s.number(32) - uint32(index) - 1
	if uint64(d) >= 1<<bits && s.err == nil {
		s.fail(at, "a conditional jump reaches 1 to 256 instructions ahead")
	}
	return d
}
