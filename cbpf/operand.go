package cbpf

import (
	"strings"

	"golang.org/x/net/bpf"
)

// instruction reads the operand of the mnemonic name, which has been passed,
// and returns the instruction without jump targets. It takes what bpf_asm and
// tcpdump -d write alike.
func (s *scanner) instruction(name token) bpf.RawInstruction {
	mnemonic := strings.ToLower(name.text)
	kind, k := opndNone, uint32(0)
	switch mnemonic {
	case "tax", "txa", "neg":
	case "ldi", "ldxi": // bpf_asm's names for loads of constants
		mnemonic = strings.TrimSuffix(mnemonic, "i")
		s.accept('#')
		kind, k = opndHex, s.number(32)
	default:
		kind, k = s.operand()
	}
	switch {
	case mnemonic == "ldx" && kind == opndMsh:
		mnemonic = "ldxb"
	case mnemonic == "ret" && kind == opndNone:
		kind = opndA // as tcpdump -d writes it
	}
	if s.err != nil {
		return bpf.RawInstruction{}
	}
	code, ok := findOpcode(mnemonic, kind)
	if !ok {
		s.fail(name.offset, "no instruction %q with this operand", shorten(name.text))
	}
	return bpf.RawInstruction{Op: code, K: k}
}

// findOpcode finds the opcode of a mnemonic with a kind of operand. Decimal and
// hexadecimal constants are one kind to a reader.
func findOpcode(mnemonic string, kind operand) (uint16, bool) {
	if kind == opndDec {
		kind = opndHex
	}
	for code, op := range opcodes {
		have := op.operand
		if have == opndDec {
			have = opndHex
		}
		if op.name == mnemonic && have == kind {
			return uint16(code), true
		}
	}
	return 0, false
}

// operand reads an operand, if there is one, and returns its kind and K.
func (s *scanner) operand() (operand, uint32) {
	switch s.tok.kind {
	case '#':
		s.next()
		if s.tok.kind == 'w' {
			return s.namedOperand()
		}
		return opndHex, s.number(32)
	case '[':
		return s.bracketOperand()
	case '0':
		return opndMsh, s.mshOperand()
	case '%':
		s.next()
		return s.namedOperand()
	case 'w':
		if strings.EqualFold(s.tok.text, "m") {
			s.next()
			s.expect('[')
			k := s.number(32)
			s.expect(']')
			return opndMem, k
		}
		return s.namedOperand()
	}
	return opndNone, 0
}

// namedOperand reads a register, the packet's length or an extension.
func (s *scanner) namedOperand() (operand, uint32) {
	name := strings.ToLower(s.tok.text)
	k, isExtension := extensionByName(name)
	switch {
	case name == "x":
		s.next()
		return opndX, 0
	case name == "a":
		s.next()
		return opndA, 0
	case name == "len" || name == "pktlen":
		s.next()
		return opndLen, 0
	case isExtension:
		s.next()
		return opndAbs, k
	}
	s.unexpected("an operand")
	return opndNone, 0
}

// bracketOperand reads [10], [x + 10], [%x + 10] or [proto].
func (s *scanner) bracketOperand() (kind operand, k uint32) {
	s.expect('[')
	s.accept('%')
	switch {
	case s.tok.kind != 'w':
		kind, k = opndAbs, s.number(32)
	case strings.EqualFold(s.tok.text, "x"):
		s.next()
		kind = opndInd
		if s.tok.kind == '-' {
			k = s.number(32)
		} else if s.accept('+') {
			k = s.number(32)
		}
	default:
		var ok bool
		if k, ok = extensionByName(strings.ToLower(s.tok.text)); !ok {
			s.unexpected("an offset or an extension")
		}
		kind = opndAbs
		s.next()
	}
	s.expect(']')
	return kind, k
}

// mshOperand reads 4*([10]&0xf).
func (s *scanner) mshOperand() uint32 {
	four := s.tok.offset
	if s.number(32) != 4 {
		s.fail(four, "expected 4*([offset]&0xf)")
	}
	s.expect('*')
	s.expect('(')
	s.expect('[')
	k := s.number(32)
	s.expect(']')
	s.expect('&')
	mask := s.tok.offset
	if s.number(32) != 0xf {
		s.fail(mask, "expected the mask 0xf")
	}
	s.expect(')')
	return k
}
