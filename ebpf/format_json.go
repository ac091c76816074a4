package ebpf

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A jsonInstruction is one element of the JSON form, with the field names of
// struct bpf_insn. Text and Comment are for people and programs that only
// show; they are not read back.
type jsonInstruction struct {
	Code    *uint8 `json:"code"`
	Dst     uint8  `json:"dst_reg"`
	Src     uint8  `json:"src_reg"`
	Off     int16  `json:"off"`
	Imm     int32  `json:"imm"`
	Text    string `json:"text,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// writeJSON writes an array with one object and one line a slot.
func writeJSON(prog []Instruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteString("[")
	for i, text := range Disassemble(prog) {
		if i > 0 {
			b.Truncate(b.Len() - 1) // the line break that Encode adds
			b.WriteString(",")
		}
		b.WriteString("\n")
		ins, code := prog[i], uint8(prog[i].Op)
		if err := e.Encode(jsonInstruction{
			Code: &code, Dst: uint8(ins.Dst), Src: uint8(ins.Src), Off: ins.Off, Imm: ins.Imm,
			Text: text, Comment: o.beside(i, "", ""),
		}); err != nil {
			return nil, err
		}
	}
	b.WriteString("]\n")
	return b.Bytes(), nil
}

// parseJSON reads what writeJSON writes. The code is demanded; the other
// fields are 0 if they are left out.
func parseJSON(data []byte) ([]Instruction, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, jsonError(data, d, 0, err, "expected an array of instructions")
	}
	prog := []Instruction{}
	for d.More() {
		start := int(d.InputOffset()) // behind the value before
		if len(prog) > 0 {
			start += 1 + bytes.IndexByte(data[start:], ',')
		}
		var ins jsonInstruction
		if err := d.Decode(&ins); err != nil {
			return nil, jsonError(data, d, start, err, "")
		}
		if ins.Code == nil {
			at := start + bytes.IndexByte(data[start:], '{')
			return nil, syntaxError(data, at, "instruction %d has no \"code\"", len(prog))
		}
		prog = append(prog, Instruction{
			Op: Opcode(*ins.Code), Dst: Register(ins.Dst), Src: Register(ins.Src), Off: ins.Off, Imm: ins.Imm,
		})
	}
	if _, err := d.Token(); err != nil {
		return nil, jsonError(data, d, 0, err, "")
	}
	if tail := bytes.TrimSpace(data[d.InputOffset():]); len(tail) > 0 {
		return nil, syntaxError(data, bytes.LastIndex(data, tail), "expected the end, found %q", shorten(string(tail)))
	}
	return prog, nil
}

// jsonError gives a decoder's error a position. Errors of type count from the
// value at start.
func jsonError(data []byte, d *json.Decoder, start int, err error, msg string) error {
	at := int(d.InputOffset())
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at, msg = int(syntax.Offset)-1, syntax.Error()
	case errors.As(err, &typ):
		at = start + int(typ.Offset) - 1
		msg = fmt.Sprintf("%s cannot be %s", cmp.Or(typ.Field, "an instruction"), typ.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		at, msg = len(data), "unexpected end of the array"
	case err != nil:
		msg = err.Error()
	}
	return syntaxError(data, max(at, 0), "%s", msg)
}
