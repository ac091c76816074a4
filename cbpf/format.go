package cbpf

import (
	"fmt"
	"io"

	"golang.org/x/net/bpf"
)

// A Format is a way to write a classic program.
type Format string

const (
	FormatD     Format = "d"      // tcpdump -d: "(000) ldh      [12]"
	FormatDD    Format = "dd"     // tcpdump -dd: "{ 0x28, 0, 0, 0x0000000c },"
	FormatDDD   Format = "ddd"    // tcpdump -ddd: the number of instructions, then "40 0 0 12"
	FormatAsm   Format = "asm"    // the kernel's bpf_asm: "ldh [12]", with labels
	FormatXTBPF Format = "xtbpf"  // iptables -m bpf --bytecode: "4,40 0 0 12,…"
	FormatRaw   Format = "raw"    // struct sock_filter, little endian: 8 bytes an instruction
	FormatRawBE Format = "raw-be" // struct sock_filter, big endian
	FormatGo    Format = "go"     // a Go literal of type []bpf.RawInstruction
	FormatC     Format = "c"      // a C array of struct sock_filter
	FormatJSON  Format = "json"   // an array of objects, see package documentation
	FormatDot   Format = "dot"    // the flow graph, for Graphviz; can't be read back
)

// A codec writes and reads one format.
type codec struct {
	format Format
	write  func(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error)
	parse  func(data []byte) ([]bpf.RawInstruction, error)
}

// codecs has the formats in the order in which help texts list them.
var codecs = []codec{
	{FormatD, writeD, parseD},
	{FormatDD, writeDD, parseArray},
	{FormatDDD, writeDDD, parseDDD},
	{FormatAsm, writeAsm, parseAsm},
	{FormatXTBPF, writeXTBPF, parseXTBPF},
	{FormatRaw, writeRaw(littleEndian), parseRaw(littleEndian)},
	{FormatRawBE, writeRaw(bigEndian), parseRaw(bigEndian)},
	{FormatGo, writeGo, parseArray},
	{FormatC, writeC, parseArray},
	{FormatJSON, writeJSON, parseJSON},
	{FormatDot, writeDot, parseDot},
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
	return codec{}, fmt.Errorf("unknown format %q of classic programs", f)
}

// WriteOptions says what Write adds to a program.
type WriteOptions struct {
	// Comment gives a text to stand beside the instruction of an index, in
	// the formats that have comments: d, dd, asm, go, c, json and dot. An
	// empty text is left out, line breaks become blanks.
	Comment func(index int) string
}

// Write writes a program in a format. It does not check the program; an error
// means that the format has no way to write an instruction, or comes from w.
func Write(w io.Writer, f Format, prog []bpf.RawInstruction, o WriteOptions) error {
	c, err := f.codec()
	if err != nil {
		return err
	}
	out, err := c.write(prog, o)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// Parse reads a program in a format. It does not check the program. An error
// in the text is a [*SyntaxError].
//
// The formats that are for people, d and asm, say only what an instruction
// uses: fields that it does not use read as 0.
func Parse(data []byte, f Format) ([]bpf.RawInstruction, error) {
	c, err := f.codec()
	if err != nil {
		return nil, err
	}
	prog, err := c.parse(data)
	if err == nil && len(prog) == 0 {
		e := &SyntaxError{Msg: "no instructions"}
		if f != FormatRaw && f != FormatRawBE {
			e.Line, e.Column = 1, 1
		}
		return nil, e
	}
	return prog, err
}

// A SyntaxError says where a program's text or bytes are wrong.
type SyntaxError struct {
	Line, Column int // from 1 on, the column in bytes; 0 for the binary formats
	Offset       int // in bytes from the start
	Msg          string
}

func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("byte %d: %s", e.Offset, e.Msg)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}
