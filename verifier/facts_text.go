package verifier

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpflab/bpflab/verifier/num"
)

// String is v for a person to read:
//
//	value   = "nothing" | number | pointer [" or NULL"]
//	pointer = place [offset] [" of frame " n] [", " n " bytes known"]
//	place   = "context" | "map " name | "value of " name | "key of " name
//	        | "stack" | "packet" | "metadata" | "data_end" | "record of " n " bytes"
//	        | "socket" | "flow keys" | "function"
//	offset  = sign n | "+(" number ")"
//
// A number is as [num.Product.String] writes it. The offset is that from the
// start of the place, of the stack from R10; it is left out if it is 0. Frames
// count from 0, the program's; that of the function that the instruction is in
// is left out. The bytes known are those of the packet that have been compared
// with its end, from the pointer on. A map without a name, and that of a value
// made by hand, is its number.
func (v Value) String() string {
	switch v.Kind {
	case Nothing:
		return "nothing"
	case Number:
		return v.Num.String()
	}
	var b strings.Builder
	b.WriteString(v.place())
	b.WriteString(offsetText(v.Num))
	if v.Frame != v.home {
		fmt.Fprintf(&b, " of frame %d", v.Frame)
	}
	if v.Room > 0 {
		fmt.Fprintf(&b, ", %s known", bytesText(v.Room))
	}
	if v.Nullable {
		b.WriteString(" or NULL")
	}
	return b.String()
}

// place is what a pointer points into.
func (v Value) place() string {
	switch v.Kind {
	case MapPointer:
		return "map " + v.mapText()
	case ValuePointer:
		return "value of " + v.mapText()
	case KeyPointer:
		return "key of " + v.mapText()
	case RecordPointer:
		return "record of " + bytesText(v.Size)
	}
	return placeNames[v.Kind]
}

var placeNames = [endOfKinds]string{
	ContextPointer: "context", StackPointer: "stack", PacketPointer: "packet", MetadataPointer: "metadata",
	PacketEnd: "data_end", SocketPointer: "socket", FlowKeysPointer: "flow keys", FunctionPointer: "function",
}

func (v Value) mapText() string {
	if v.mapName == "" {
		return strconv.Itoa(v.Map)
	}
	return v.mapName
}

func offsetText(offset num.Scalar) string {
	switch v, ok := offset.IsConst(); {
	case !ok:
		return "+(" + offset.String() + ")"
	case v == 0:
		return ""
	default:
		return fmt.Sprintf("%+d", int64(v))
	}
}

// complete adds to values what their text tells of the surroundings: the frame
// that is the function's own, and the names of maps.
func (f *Facts) complete(p *Program) {
	home, names := f.Registers[10].Frame, p.mapNames()
	complete := func(v *Value) {
		if v.Kind == StackPointer {
			v.home = home
		}
		if v.hasMap() && v.Map < len(names) {
			v.mapName = names[v.Map]
		}
	}
	for i := range f.Registers {
		complete(&f.Registers[i])
	}
	for i := range f.Stack {
		complete(&f.Stack[i].Value)
	}
}

func (v Value) hasMap() bool {
	return v.Kind == MapPointer || v.Kind == ValuePointer || v.Kind == KeyPointer
}

// mapNames are the names of maps by the numbers that [Value.Map] has. The maps in a map are
// named after it unless the program tells their name.
func (p *Program) mapNames() []string {
	var names []string
	for i := range p.Maps {
		names = append(names, p.Maps[i].Name)
	}
	for i := range p.Maps {
		if inner := p.Maps[i].Inner; inner != nil && inner.Name != "" {
			names = append(names, inner.Name)
		} else if inner != nil && names[i] != "" {
			names = append(names, "a map in "+names[i])
		} else if inner != nil {
			names = append(names, "")
		}
	}
	return names
}

// String is the bytes and what is in them: "[r10-8] = value of flows or NULL",
// "[r10-4, 4 bytes] = 0".
func (s StackValue) String() string { return s.where() + " = " + s.Value.String() }

// where is the place of the bytes in the frame; eight is the usual size.
func (s StackValue) where() string {
	if s.Size == 8 {
		return fmt.Sprintf("[r10%+d]", s.Offset)
	}
	return fmt.Sprintf("[r10%+d, %s]", s.Offset, bytesText(s.Size))
}
