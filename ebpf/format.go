package ebpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A Format is a way to write a program.
type Format string

const (
	FormatAsm   Format = "asm"    // the kernel's text with index and opcode: "   0: (b7) r0 = 0"
	FormatJSON  Format = "json"   // an array of objects with the fields of struct bpf_insn
	FormatGo    Format = "go"     // a Go literal of type []ebpf.Instruction; can't be read back
	FormatC     Format = "c"      // a C array of struct bpf_insn; can't be read back
	FormatRaw   Format = "raw"    // struct bpf_insn, little endian: 8 bytes an instruction
	FormatRawBE Format = "raw-be" // struct bpf_insn, big endian
	FormatHex   Format = "hex"    // the bytes of raw in hexadecimal, an instruction a line
	FormatDot   Format = "dot"    // the flow graph, for Graphviz; can't be read back
	FormatELF   Format = "elf"    // an object for libbpf and its kin; read by package object
)

// A codec writes and reads one format; parse is nil where there is no way back.
type codec struct {
	format Format
	write  func(prog []Instruction, o WriteOptions) ([]byte, error)
	parse  func(data []byte) ([]Instruction, error)
}

// codecs has the formats in the order in which help texts list them.
var codecs = []codec{
	{FormatAsm, writeAsm, parseAsm},
	{FormatJSON, writeJSON, parseJSON},
	{FormatGo, writeGo, nil},
	{FormatC, writeC, nil},
	{FormatRaw, writeRaw(binary.LittleEndian), parseRaw(binary.LittleEndian)},
	{FormatRawBE, writeRaw(binary.BigEndian), parseRaw(binary.BigEndian)},
	{FormatHex, writeHex, parseHex},
	{FormatDot, writeDot, nil},
	{FormatELF, writeELF, nil},
}

// Formats returns all formats.
func Formats() []Format {
	out := make([]Format, len(codecs))
	for i, c := range codecs {
		out[i] = c.format
	}
	return out
}

func (f Format) codec() (codec, error) {
	for _, c := range codecs {
		if c.format == f {
			return c, nil
		}
	}
	return codec{}, fmt.Errorf("unknown format %q of eBPF programs", f)
}

// WriteOptions says what Write adds to a program.
type WriteOptions struct {
	// Comment gives a text to stand beside the instruction of an index, in
	// the formats that have comments: asm, json, go, c and dot. An empty text
	// is left out, line breaks become blanks. It may be nil.
	Comment func(index int) string

	// Name and Section are for elf: the name of the program's function, and
	// of its section, which tells loaders the program type: "xdp", "tc",
	// "socket", "cgroup_skb/ingress".
	Name    string
	Section string
}

// beside returns the comment of an instruction between two texts, or "".
func (o WriteOptions) beside(index int, before, after string) string {
	if o.Comment == nil {
		return ""
	}
	text := strings.TrimSpace(lineBreaks.Replace(o.Comment(index)))
	if text == "" {
		return ""
	}
	return before + text + after
}

var lineBreaks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// Write writes a program in a format. It does not validate the program; an
// error means that the format has no way to write it, or comes from w.
func Write(w io.Writer, f Format, prog []Instruction, o WriteOptions) error {
	c, err := f.codec()
	if err != nil {
		return err
	}
	data, err := c.write(prog, o)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Parse reads a program in a format: asm, json, raw, raw-be or hex. Like
// [Decode] it takes what is there; [Validate] judges. The error is a
// [*SyntaxError] for text, an [*Error] for bytes.
func Parse(data []byte, f Format) ([]Instruction, error) {
	c, err := f.codec()
	if err != nil {
		return nil, err
	}
	if c.parse == nil {
		return nil, syntaxError(data, 0, "programs in the format %s can be written but not read back", f)
	}
	return c.parse(data)
}

// ParseAny reads a program in one of the formats that [Parse] reads, which it
// recognizes by its content, and says which it was. It recognizes the others
// too, to name them in the error.
func ParseAny(data []byte) ([]Instruction, Format, error) {
	f := recognize(data)
	prog, err := Parse(data, f)
	return prog, f, err
}

// recognize tells the formats apart. Bytes have zeros in them, as every exit
// has; of the texts JSON begins with a bracket, and hexadecimal digits alone
// make no instruction.
func recognize(data []byte) Format {
	text := bytes.TrimSpace(data)
	switch {
	case bytes.HasPrefix(data, []byte("\x7fELF")):
		return FormatELF
	case bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data):
		return recognizeRaw(data)
	case bytes.HasPrefix(text, []byte("digraph ")):
		return FormatDot
	case bytes.HasPrefix(text, []byte("struct bpf_insn ")):
		return FormatC
	case bytes.HasPrefix(text, []byte("[]ebpf.Instruction{")):
		return FormatGo
	case bytes.HasPrefix(text, []byte("[")):
		return FormatJSON
	case len(text) > 0 && onlyHex(text):
		return FormatHex
	}
	return FormatAsm
}

// recognizeRaw takes the byte order in which the program is valid. One that is
// valid in neither is taken for little endian.
func recognizeRaw(data []byte) Format {
	for _, f := range []Format{FormatRaw, FormatRawBE} {
		if prog, err := Parse(data, f); err == nil && Validate(prog) == nil {
			return f
		}
	}
	return FormatRaw
}

// syntaxError makes an error at an offset of a text.
func syntaxError(data []byte, offset int, format string, args ...any) error {
	before := data[:min(offset, len(data))]
	return &SyntaxError{
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: len(before) - bytes.LastIndexByte(before, '\n'),
		Msg:    fmt.Sprintf(format, args...),
	}
}
