package cbpf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
)

// A jsonInstruction is one element of the JSON form. Text and Comment are for
// people and programs that only show; they are not read back.
type jsonInstruction struct {
	Code    *uint16 `json:"code"`
	Jt      uint8   `json:"jt"`
	Jf      uint8   `json:"jf"`
	K       uint32  `json:"k"`
	Text    string  `json:"text,omitempty"`
	Comment string  `json:"comment,omitempty"`
}

// writeJSON writes an array with one object and one line an instruction.
func writeJSON(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteString("[")
	for i, ins := range prog {
		if i > 0 {
			b.Truncate(b.Len() - 1) // the line break that Encode adds
			b.WriteString(",")
		}
		b.WriteString("\n")
		if err := e.Encode(jsonInstruction{
			Code: &ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K,
			Text:    tidy(Mnemonic(ins, i)),
			Comment: o.beside(i, "", ""),
		}); err != nil {
			return nil, err
		}
	}
	b.WriteString("]\n")
	return b.Bytes(), nil
}

// parseJSON reads what writeJSON writes. Code is demanded; jt, jf and k are 0
// if they are left out.
func parseJSON(data []byte) ([]bpf.RawInstruction, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, jsonError(data, d, err, "expected an array of instructions")
	}
	prog := []bpf.RawInstruction{}
	for d.More() {
		at := int(d.InputOffset())
		var ins jsonInstruction
		if err := d.Decode(&ins); err != nil {
			return nil, jsonError(data, d, err, "")
		}
		if ins.Code == nil {
			at += len(data[at:]) - len(bytes.TrimLeft(data[at:], ", \t\r\n"))
			return nil, syntaxError(data, at, "instruction %d has no \"code\"", len(prog))
		}
		prog = append(prog, bpf.RawInstruction{Op: *ins.Code, Jt: ins.Jt, Jf: ins.Jf, K: ins.K})
	}
	if _, err := d.Token(); err != nil {
		return nil, jsonError(data, d, err, "")
	}
	rest := data[d.InputOffset():]
	if tail := bytes.TrimLeft(rest, " \t\r\n"); len(tail) > 0 {
		return nil, syntaxError(data, len(data)-len(tail), "expected the end, found %q", shorten(string(tail)))
	}
	return prog, nil
}

// jsonError gives a decoder's error a position.
func jsonError(data []byte, d *json.Decoder, err error, msg string) error {
	at := int(d.InputOffset())
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = max(int(syntax.Offset)-1, 0)
	case errors.As(err, &kind):
		msg = fmt.Sprintf("%s does not fit into %q", kind.Value, kind.Field)
	}
	if msg == "" {
		msg = err.Error()
	}
	return syntaxError(data, min(at, len(data)), "%s", msg)
}
