package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
)

// isELF reports whether data is an ELF file.
func isELF(data []byte) bool { return bytes.HasPrefix(data, []byte("\x7fELF")) }

// declareBTF adds the flag for the kernel that objects are meant for.
func (a *app) declareBTF(flags *pflag.FlagSet) {
	flags.StringVar(&a.btf, "btf", "", "adapt an object (CO-RE) to the kernel with the types in `FILE`, such as a copy of /sys/kernel/btf/vmlinux (default that file)")
}

// readObject reads the programs of an ELF object. Those whose section does not
// tell a type get the given one.
func (a *app) readObject(name string, data []byte, otherwise abi.ProgType) (*object.Object, error) {
	options := object.Options{DefaultType: otherwise}
	if a.btf != "" {
		types, err := a.readFile(a.btf)
		if err != nil {
			return nil, err
		}
		options.Types = bytes.NewReader(types)
	}
	obj, err := object.Read(bytes.NewReader(data), options)
	if err == nil && len(obj.Programs) == 0 {
		err = fmt.Errorf("the object has no programs")
	}
	return obj, inFile(name, err)
}

// keepProgram leaves only the program with that name in an object; "" leaves all.
func keepProgram(obj *object.Object, name string) error {
	if name == "" {
		return nil
	}
	p, err := chooseProgram(obj, name)
	if err == nil {
		obj.Programs = []object.Program{*p}
	}
	return err
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
		return usagef("the object has %d programs, choose one with --prog; all formats but asm write one", len(obj.Programs))
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
// The maps are declared above, and comments tell the variables. The assembler reads it back, one program at a
// time.
func listObject(w io.Writer, obj *object.Object) error {
	var b bytes.Buffer
	maps := listedMaps(obj)
	for i, name := range maps {
		fmt.Fprintln(&b, declarationOf(name, &obj.Maps[i]))
	}
	for i := range obj.Variables {
		fmt.Fprintln(&b, globalText(obj, &obj.Variables[i]))
	}
	for i := range obj.Programs {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		p := &obj.Programs[i]
		fmt.Fprintf(&b, "; program %s, section %q, type %v, %d instructions\n", p.Name, p.Section, p.Type, len(p.Insns))
		if p.Err != nil {
			fmt.Fprintf(&b, "; cannot be used: %v\n", p.Err)
		}
		listProgram(&b, obj, p, maps)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// globalText tells of a global variable what it takes to set it, as a comment.
func globalText(obj *object.Object, v *object.Variable) string {
	kind := v.Type
	if kind == "" {
		kind = fmt.Sprintf("%d bytes", v.Size)
	}
	return fmt.Sprintf("; variable %s: %s in %s", v.Name, kind, obj.Maps[v.Map].Name)
}

// listedMaps returns a name for each map that the assembler takes and that no
// other map has.
func listedMaps(obj *object.Object) []string {
	names := make([]string, len(obj.Maps))
	for i := range obj.Maps {
		names[i] = obj.Maps[i].Name
		if !ebpf.IsName(names[i]) || slices.Contains(names[:i], names[i]) {
			names[i] = fmt.Sprintf(".map.%d", i)
		}
	}
	return names
}

func declarationOf(name string, m *object.MapSpec) ebpf.MapDeclaration {
	return ebpf.MapDeclaration{
		Name: name, Type: abi.MapKind(m.Kind).String(), Key: m.KeySize, Value: m.ValueSize,
		Entries: m.MaxEntries, Flags: m.Flags,
	}
}

// namesOf returns what the listing of a program calls its maps and functions.
func namesOf(p *object.Program, maps []string) ebpf.Names {
	return ebpf.Names{
		Map: func(index int32) string {
			if uint32(index) < uint32(len(maps)) {
				return maps[index]
			}
			return ""
		},
		Function: func(slot int) string {
			if f := p.FunctionAt(slot); f != nil && f.Start == slot {
				return f.Name
			}
			return ""
		},
	}
}

func listProgram(b *bytes.Buffer, obj *object.Object, p *object.Program, maps []string) {
	functions := p.Functions
	last := ""
	for i, text := range namesOf(p, maps).Disassemble(p.Insns) {
		if len(functions) > 0 && functions[0].Start == i {
			mark := "; " // a name that is no label
			if ebpf.IsName(functions[0].Name) {
				mark = ""
			}
			fmt.Fprintf(b, "%s%s:\n", mark, functions[0].Name)
			functions, last = functions[1:], ""
		}
		if source := sourceText(p, i); source != last && source != "" {
			fmt.Fprintf(b, "; %s\n", source)
			last = source
		}
		if text != "" { // the second slot of a 64-bit immediate has none
			line := fmt.Sprintf("%4d: (%02x) %-32s%s", i, uint8(p.Insns[i].Op), text, referenceText(obj, p, i))
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

// referenceText returns what an instruction refers to by name, as a comment
// where the instruction itself does not say so.
func referenceText(obj *object.Object, p *object.Program, slot int) string {
	ref := p.RefAt(slot)
	switch {
	case ref == nil, ref.Kind == object.RefMap:
		return ""
	case ref.Kind == object.RefMapValue:
		return variableText(obj, int(p.Insns[slot].Imm), uint32(ref.Offset))
	case ref.Kind == object.RefPoison:
		return " ; not in the target: " + ref.Name
	case ref.Weak:
		return " ; " + ref.Name + " (weak)"
	}
	return " ; " + ref.Name
}

// variableText returns the variable at an offset of a map's value as a comment.
func variableText(obj *object.Object, index int, offset uint32) string {
	for i := range obj.Variables {
		v := &obj.Variables[i]
		switch {
		case v.Map != index || offset < v.Offset || offset-v.Offset >= v.Size:
		case offset == v.Offset:
			return " ; " + v.Name
		default:
			return fmt.Sprintf(" ; %s+%d", v.Name, offset-v.Offset)
		}
	}
	return ""
}
