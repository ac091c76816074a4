package cbpf

import (
	"bytes"
	"fmt"

	"golang.org/x/net/bpf"
)

// writeDDD writes what tcpdump -ddd prints.
func writeDDD(prog []bpf.RawInstruction, _ WriteOptions) ([]byte, error) {
	return writeNumbers(prog, "\n"), nil
}

// writeXTBPF writes what iptables takes after -m bpf --bytecode: -ddd with
// commas for line breaks.
func writeXTBPF(prog []bpf.RawInstruction, _ WriteOptions) ([]byte, error) {
	return append(bytes.TrimSuffix(writeNumbers(prog, ","), []byte(",")), '\n'), nil
}

func writeNumbers(prog []bpf.RawInstruction, end string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d%s", len(prog), end)
	for _, ins := range prog {
		fmt.Fprintf(&b, "%d %d %d %d%s", ins.Op, ins.Jt, ins.Jf, ins.K, end)
	}
	return b.Bytes()
}

// parseDDD reads what tcpdump -ddd prints.
func parseDDD(data []byte) ([]bpf.RawInstruction, error) {
	return parseNumbers(data, 0)
}

// parseXTBPF reads the same numbers with commas between the instructions. A
// comma at the end is allowed, as `tcpdump -ddd | tr '\n' ,` leaves one.
func parseXTBPF(data []byte) ([]bpf.RawInstruction, error) {
	return parseNumbers(data, ',')
}

// parseNumbers reads the number of instructions and the instructions. The
// number is checked in the end rather than believed in the beginning.
func parseNumbers(data []byte, separator byte) ([]bpf.RawInstruction, error) {
	s := newScanner(data, ";")
	at := s.tok.offset
	count := s.number(32)
	var prog []bpf.RawInstruction
	for s.tok.kind != 0 {
		if separator != 0 {
			s.expect(separator)
			if s.tok.kind == 0 {
				break
			}
		}
		prog = append(prog, s.fourNumbers())
	}
	if s.err == nil && uint64(count) != uint64(len(prog)) {
		s.fail(at, "%d instructions are announced, but %d are there", count, len(prog))
	}
	if s.err != nil {
		return nil, s.err
	}
	return prog, nil
}

// fourNumbers reads opcode, jt, jf and k with blanks between them.
func (s *scanner) fourNumbers() (ins bpf.RawInstruction) {
	ins.Op = uint16(s.number(16))
	ins.Jt = uint8(s.number(8))
	ins.Jf = uint8(s.number(8))
	ins.K = s.number(32)
	return ins
}
