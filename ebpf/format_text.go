package ebpf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// writeAsm writes a listing as the kernel's verifier and bpftool do: index,
// opcode, text. The assembler skips the first two.
func writeAsm(prog []Instruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	for i, text := range Disassemble(prog) {
		if text == "" {
			continue // the second slot of a 64-bit immediate
		}
		line := fmt.Sprintf("%4d: (%02x) %-32s%s", i, uint8(prog[i].Op), text, o.beside(i, " ; ", ""))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.Bytes(), nil
}

func parseAsm(data []byte) ([]Instruction, error) { return Assemble(string(data)) }

func writeRaw(order binary.ByteOrder) func([]Instruction, WriteOptions) ([]byte, error) {
	return func(prog []Instruction, _ WriteOptions) ([]byte, error) {
		return Append(nil, prog, order), nil
	}
}

func parseRaw(order binary.ByteOrder) func([]byte) ([]Instruction, error) {
	return func(data []byte) ([]Instruction, error) { return Decode(data, order) }
}

func writeHex(prog []Instruction, _ WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	for _, ins := range prog {
		fmt.Fprintf(&b, "% x\n", Append(nil, []Instruction{ins}, binary.LittleEndian))
	}
	return b.Bytes(), nil
}

// onlyHex reports whether a text consists of what parseHex reads.
func onlyHex(text []byte) bool {
	for _, c := range text {
		if strings.IndexByte("0123456789abcdefABCDEFxX, \t\r\n", c) < 0 {
			return false
		}
	}
	return true
}

// parseHex reads little-endian instructions as hexadecimal digits, two a byte,
// in any grouping: "b7 00 …", "0xb7, 0x00, …", "b700000000000000".
func parseHex(data []byte) ([]Instruction, error) {
	var raw []byte
	for pos := 0; pos < len(data); {
		if strings.IndexByte(", \t\r\n", data[pos]) >= 0 {
			pos++
			continue
		}
		end := pos
		for end < len(data) && strings.IndexByte(", \t\r\n", data[end]) < 0 {
			end++
		}
		word := string(data[pos:end])
		digits := strings.TrimPrefix(strings.ToLower(word), "0x")
		part, err := hex.DecodeString(digits)
		if err != nil || digits == "" {
			return nil, syntaxError(data, pos, "expected bytes of two hexadecimal digits, found %q", shorten(word))
		}
		raw = append(raw, part...)
		pos = end
	}
	return Decode(raw, binary.LittleEndian)
}

// shorten keeps messages in one line.
func shorten(text string) string {
	const most = 20
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
