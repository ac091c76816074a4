package ebpf

import (
	"fmt"
	"math"
)

// A Unit is what a text says: a program, and the maps that it declares.
type Unit struct {
	Insns []Instruction
	Maps  []MapDeclaration // instructions refer to them by index ([WideMapFD])
}

// A MapDeclaration declares a map, in the words of "bpftool map create":
//
//	.map hits type percpu_array key 4 value 8 entries 256 flags 0x0
//
// The words behind the name may come in any order, and flags may be left out.
// Maps have to be declared before they are used; contents are not declared. No
// other assembler has this line: it makes a text with maps whole, so that it
// assembles to the same bytes anywhere and can be run.
type MapDeclaration struct {
	Name    string
	Type    string // bpftool's word, which the assembler does not look up
	Key     uint32 // bytes
	Value   uint32 // bytes
	Entries uint32
	Flags   uint32
	Line    int // of the text, from 1; 0 if it is from no text
}

// String returns the declaration as a line of text.
func (d MapDeclaration) String() string {
	text := fmt.Sprintf(".map %s type %s key %d value %d entries %d", d.Name, d.Type, d.Key, d.Value, d.Entries)
	if d.Flags != 0 {
		text += fmt.Sprintf(" flags 0x%x", d.Flags)
	}
	return text
}

// declaration assembles the rest of a line that starts with ".map".
func (a *assembler) declaration() error {
	a.blanks()
	at := a.pos
	d := MapDeclaration{Name: a.word(), Line: a.line}
	if d.Name == "" {
		return a.expected("the name of a map")
	}
	if _, twice := a.mapIndex[d.Name]; twice {
		return a.fail(at, "map %q is declared twice", shorten(d.Name))
	}
	given := map[string]bool{}
	for !a.end() {
		if err := a.mapProperty(&d, given); err != nil {
			return err
		}
	}
	for _, word := range []string{"type", "key", "value", "entries"} {
		if !given[word] {
			return a.expected(fmt.Sprintf("%q of the map, as in \"type array key 4 value 8 entries 256\"", word))
		}
	}
	a.mapIndex[d.Name] = len(a.maps)
	a.maps = append(a.maps, d)
	return nil
}

// mapProperty takes one word of a declaration and what belongs to it.
func (a *assembler) mapProperty(d *MapDeclaration, given map[string]bool) error {
	start := a.scanner
	word := a.word()
	if given[word] {
		return start.fail(start.pos, "%q is given twice", word)
	}
	given[word] = true
	switch word {
	case "type":
		a.blanks()
		if d.Type = a.word(); d.Type == "" {
			return a.expected("a type of maps")
		}
		return nil
	case "key":
		return a.uint32(&d.Key)
	case "value":
		return a.uint32(&d.Value)
	case "entries":
		return a.uint32(&d.Entries)
	case "flags":
		return a.uint32(&d.Flags)
	}
	a.scanner = start
	return a.expected("type, key, value, entries or flags")
}

func (a *assembler) uint32(to *uint32) error {
	n, ok, err := a.number()
	switch {
	case err != nil:
		return err
	case !ok:
		return a.expected("a number")
	case n.negative || n.abs > math.MaxUint32:
		return a.fail(n.at, "must be a number from 0 to %d", uint32(math.MaxUint32))
	}
	*to = uint32(n.abs)
	return nil
}

// IsName reports whether the assembler takes a text for the name of a function
// or of a map: one word of letters, digits, ".", "_" and "$" that does not start
// with a digit, and that is neither a register nor the name of a helper function.
func IsName(text string) bool {
	s := scanner{text: text}
	_, helper := HelperNumber(text)
	return s.word() == text && isLabel(text) && !helper && text != ".map"
}
