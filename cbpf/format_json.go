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
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, new(json.RawMessage)); errors.As(err, &syntax) {
		return nil, syntaxError(data, max(int(syntax.Offset)-1, 0), "%v", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, syntaxError(data, 0, "expected an array of instructions")
	}
	prog := []bpf.RawInstruction{}
	for d.More() {
		at := int(d.InputOffset())
		at += len(data[at:]) - len(bytes.TrimLeft(data[at:], ", \t\r\n"))
		ins, err := decodeJSON(d)
		if err != nil {
			return nil, syntaxError(data, at, "instruction %d: %v", len(prog), err)
		}
		prog = append(prog, ins)
	}
	return prog, nil
}

// decodeJSON reads one instruction.
func decodeJSON(d *json.Decoder) (bpf.RawInstruction, error) {
	var ins jsonInstruction
	var kind *json.UnmarshalTypeError
	switch err := d.Decode(&ins); {
	case errors.As(err, &kind) && kind.Field != "":
		return bpf.RawInstruction{}, fmt.Errorf("%s does not fit into %q", kind.Value, kind.Field)
	case err != nil:
		return bpf.RawInstruction{}, err
	case ins.Code == nil:
		return bpf.RawInstruction{}, errors.New(`"code" is missing`)
	}
	return bpf.RawInstruction{Op: *ins.Code, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}, nil
}
