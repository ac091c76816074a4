package object

import (
	"fmt"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// A Variable is a global variable of the programs: bytes in the only element
// of the map that the compiler makes of a section of variables.
type Variable struct {
	Name     string
	Map      int    // index in Object.Maps
	Offset   uint32 // in the map's value
	Size     uint32 // in bytes
	Type     string // as in C, "" if the object has no type information
	Constant bool   // const volatile: programs and the verifier take it as fixed

	kind btf.Type // without names and qualifiers; nil if unknown
}

// convertVariable converts one variable; false if its section is no map.
func convertVariable(spec *cilium.VariableSpec, maps map[string]int) (Variable, bool) {
	index, ok := maps[spec.SectionName]
	v := Variable{
		Name: spec.Name, Map: index, Offset: spec.Offset, Size: spec.Size(),
		Constant: spec.Constant(),
	}
	if spec.Type != nil {
		v.kind = btf.UnderlyingType(spec.Type.Type)
		v.Type = typeName(spec.Type.Type)
	}
	return v, ok
}

// Variable returns the variable with the given name, or nil.
func (o *Object) Variable(name string) *Variable {
	for i := range o.Variables {
		if o.Variables[i].Name == name {
			return &o.Variables[i]
		}
	}
	return nil
}

// Bytes returns the bytes of a variable of the object, to be read or set.
func (o *Object) Bytes(v *Variable) []byte {
	return o.Maps[v.Map].Contents[0].Value[v.Offset:][:v.Size:v.Size]
}

// Set sets a variable from text, in the way that its type asks for: a number
// (decimal, 0x, 0b, 0o, with a sign), a character in single quotes, true or
// false, the name of an enumerator, "text" in quotes for an array of characters,
// and for arrays elements in braces, {1, 2}: the rest is 0. Any variable can be
// set as x:0a0b0c0d, its bytes in hexadecimal. A number that does not fit is an
// error. Variables without type information are numbers if they have the size
// of one.
func (o *Object) Set(name, text string) error {
	v := o.Variable(name)
	if v == nil {
		return fmt.Errorf("no variable %q, want %s", name, o.variableNames())
	}
	value := make([]byte, v.Size)
	w := valueWriter{order: o.ByteOrder}
	if err := w.put(value, v.kind, text); err != nil {
		return fmt.Errorf("variable %q%s: %w", name, v.typeSuffix(), err)
	}
	copy(o.Bytes(v), value)
	return nil
}

func (v *Variable) typeSuffix() string {
	if v.Type == "" {
		return fmt.Sprintf(" (%d bytes of unknown type)", v.Size)
	}
	return fmt.Sprintf(" (%s)", v.Type)
}

// variableNames lists what there is, for an error.
func (o *Object) variableNames() string {
	if len(o.Variables) == 0 {
		return "none: the object has no global variables"
	}
	text := "one of "
	for i, v := range o.Variables {
		if i == 20 {
			return text + ", …"
		}
		if i > 0 {
			text += ", "
		}
		text += v.Name
	}
	return text
}

// typeName writes a type as in C, for messages.
func typeName(t btf.Type) string {
	switch t := t.(type) {
	case *btf.Struct:
		return "struct " + t.Name
	case *btf.Union:
		return "union " + t.Name
	case *btf.Enum:
		return "enum " + t.Name
	case *btf.Volatile:
		return typeName(t.Type) // all settable constants are volatile
	case *btf.Const:
		return "const " + typeName(t.Type)
	case *btf.Pointer:
		return "pointer"
	case *btf.Array:
		// The outer dimension stands first.
		element, dims := btf.Type(t), ""
		for a, ok := t, true; ok; a, ok = element.(*btf.Array) {
			dims += fmt.Sprintf("[%d]", a.Nelems)
			element = a.Type
		}
		return typeName(element) + dims
	}
	return t.TypeName()
}
