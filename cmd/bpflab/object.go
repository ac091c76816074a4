package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
)

// isELF reports whether data is an ELF file.
func isELF(data []byte) bool { return bytes.HasPrefix(data, []byte("\x7fELF")) }

// readObject reads the programs of an ELF object. Those whose section does not
// tell a type get the given one.
func readObject(name string, data []byte, otherwise abi.ProgType) (*object.Object, error) {
	obj, err := object.Read(bytes.NewReader(data), object.Options{DefaultType: otherwise})
	if err == nil && len(obj.Programs) == 0 {
		err = fmt.Errorf("the object has no programs")
	}
	return obj, inFile(name, err)
}

// writeObject writes the programs of an object: all as text with their source,
// or the only one in another format.
func (a *app) writeObject(o outputFlags, obj *object.Object) error {
	if format, err := o.resolve("asm"); err != nil {
		return err
	} else if format == "asm" {
		return listObject(a.out, obj)
	}
	if len(obj.Programs) > 1 {
		return usagef("the object has %d programs; all formats but asm write one", len(obj.Programs))
	}
	p := &obj.Programs[0]
	if p.Err != nil {
		return p.Err
	}
	comment := func(slot int) string { return sourceText(p, slot) }
	return a.writeExtended(o, "asm", p.Section, p.Insns, comment)
}

// listObject writes all programs as text: a line of C before the instructions
// that came of it, functions as labels, and what references mean beside them.
// The assembler reads it back, one program at a time.
func listObject(w io.Writer, obj *object.Object) error {
	var b bytes.Buffer
	for i := range obj.Programs {
		if i > 0 {
			b.WriteString("\n")
		}
		p := &obj.Programs[i]
		fmt.Fprintf(&b, "; program %s, section %q, type %v, %d instructions\n", p.Name, p.Section, p.Type, len(p.Insns))
		if p.Err != nil {
			fmt.Fprintf(&b, "; cannot be used: %v\n", p.Err)
		}
		listProgram(&b, p)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func listProgram(b *bytes.Buffer, p *object.Program) {
	functions := p.Functions
	last := ""
	for i, text := range ebpf.Disassemble(p.Insns) {
		if len(functions) > 0 && functions[0].Start == i {
			fmt.Fprintf(b, "%s:\n", functions[0].Name)
			functions, last = functions[1:], ""
		}
		if source := sourceText(p, i); source != last && source != "" {
			fmt.Fprintf(b, "; %s\n", source)
			last = source
		}
		if text != "" { // the second slot of a 64-bit immediate has none
			line := fmt.Sprintf("%4d: (%02x) %-32s%s", i, uint8(p.Insns[i].Op), text, referenceText(p, i))
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
}

// sourceText returns the line of C that a slot came from, or where it is if
// the object has no text of it.
func sourceText(p *object.Program, slot int) string {
	line := p.LineAt(slot)
	switch {
	case line == nil:
		return ""
	case line.Text == "":
		return line.String()
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, line.Text)
}

// referenceText returns what an instruction refers to by name, as a comment.
func referenceText(p *object.Program, slot int) string {
	ref := p.RefAt(slot)
	if ref == nil {
		if f := calledFunction(p, slot); f != nil {
			return " ; " + f.Name
		}
		return ""
	}
	switch {
	case ref.Kind == object.RefMapValue:
		return fmt.Sprintf(" ; %s+%d", ref.Name, ref.Offset)
	case ref.Kind == object.RefPoison:
		return " ; not in the target: " + ref.Name
	case ref.Weak:
		return " ; " + ref.Name + " (weak)"
	}
	return " ; " + ref.Name
}

// calledFunction returns the function that an instruction calls or takes the
// address of, or nil.
func calledFunction(p *object.Program, slot int) *object.Function {
	ins := p.Insns[slot]
	if ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallLocal || ins.Op == ebpf.LoadImm64 && ins.Src == ebpf.WideFunc {
		return p.FunctionAt(slot + 1 + int(ins.Imm))
	}
	return nil
}
