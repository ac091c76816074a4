package kernel

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/cilium/ebpf/btf"
)

// Types is the type information of an object ([object.Object.Types]), by which
// keys, values and records are told apart into what they mean.
type Types struct {
	spec *btf.Spec // nil if there is none
}

// NewTypes reads type information; nil is none.
func NewTypes(raw []byte) (*Types, error) {
	if raw == nil {
		return &Types{}, nil
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("the object's type information: %w", err)
	}
	return &Types{spec}, nil
}

// A Type tells what bytes mean. The zero value knows nothing of them.
type Type struct {
	of btf.Type
}

// Name returns the name of a structure or another type that has one, or "".
func (t Type) Name() string {
	if t.of == nil {
		return ""
	}
	return t.of.TypeName()
}

// Map returns the types of a map's keys and values, as its definition tells.
func (t *Types) Map(name string) (key, value Type) {
	var v *btf.Var
	if t.spec == nil || t.spec.TypeByName(name, &v) != nil {
		return Type{}, Type{}
	}
	def, ok := btf.UnderlyingType(v.Type).(*btf.Struct)
	if !ok {
		return Type{}, Type{}
	}
	for _, m := range def.Members {
		pointer, ok := btf.UnderlyingType(m.Type).(*btf.Pointer)
		if !ok {
			continue
		}
		switch m.Name {
		case "key":
			key.of = pointer.Target
		case "value":
			value.of = pointer.Target
		}
	}
	return key, value
}

// Struct returns the structure with a name.
func (t *Types) Struct(name string) (Type, error) {
	var s *btf.Struct
	if t.spec == nil {
		return Type{}, fmt.Errorf("the object has no type information: there is no struct %s", name)
	}
	if err := t.spec.TypeByName(name, &s); err != nil {
		return Type{}, fmt.Errorf("the object has no struct %s: %w", name, err)
	}
	return Type{s}, nil
}

// OfSize returns the only structure with a name that has a size in bytes; false
// if there are none or several. The definition of a ring buffer does not tell
// what its records are: this is for guessing it.
func (t *Types) OfSize(size int) (found Type, ok bool) {
	if t.spec == nil {
		return Type{}, false
	}
	for of, err := range t.spec.All() {
		s, isStruct := of.(*btf.Struct)
		if err != nil || !isStruct || s.Name == "" || int(s.Size) != size {
			continue
		}
		if ok {
			return Type{}, false
		}
		found, ok = Type{s}, true
	}
	return found, ok
}

// A Member is a named part of a structure.
type Member struct {
	Name  string
	Value any
}

// Members is the value of a structure, in order. In JSON it is an object.
type Members []Member

// MarshalJSON implements [json.Marshaler].
func (m Members) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, member := range m {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(member.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(member.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// Value returns what bytes mean: an int64, a uint64, a float64, a bool, a string
// (text, the name of an enumerator, a pointer or bytes in hexadecimal), []any or
// [Members]. Members that the bytes do not reach are left out.
func (t Type) Value(data []byte) any {
	d := decoder(maxParts)
	return d.value(t.of, data)
}

// maxParts is how many parts of a value are told apart. Types that contain
// themselves, or each other twice over many levels, would have no end.
const maxParts = 1 << 16

// A decoder makes values of bytes; it is how many parts there may still be.
type decoder int

func (d *decoder) value(t btf.Type, data []byte) any {
	if *d--; *d < 0 {
		return hex.EncodeToString(data)
	}
	switch of := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		return intValue(of, data)
	case *btf.Enum:
		return enumValue(of, data)
	case *btf.Float:
		return floatValue(data)
	case *btf.Pointer:
		if len(data) >= 8 {
			return fmt.Sprintf("%#x", binary.NativeEndian.Uint64(data))
		}
	case *btf.Array:
		return d.array(of, data)
	case *btf.Struct:
		return d.members(of.Members, data)
	case *btf.Union:
		return d.members(of.Members, data)
	case nil:
		return unknownValue(data)
	}
	return hex.EncodeToString(data)
}

// unknownValue takes bytes for a number where they have the size of one.
func unknownValue(data []byte) any {
	switch len(data) {
	case 1, 2, 4, 8:
		return unsigned(data)
	}
	return hex.EncodeToString(data)
}

// unsigned reads a number of 1, 2, 4 or 8 bytes.
func unsigned(data []byte) uint64 {
	switch len(data) {
	case 1:
		return uint64(data[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(data))
	case 4:
		return uint64(binary.NativeEndian.Uint32(data))
	}
	return binary.NativeEndian.Uint64(data)
}

// signed reads a number with a sign.
func signed(data []byte) int64 {
	shift := 64 - 8*len(data)
	return int64(unsigned(data)<<shift) >> shift
}

func intValue(of *btf.Int, data []byte) any {
	size := int(of.Size)
	switch {
	case size > 8 || size&(size-1) != 0 || len(data) < size:
		return hex.EncodeToString(data)
	case of.Encoding == btf.Bool:
		return unsigned(data[:size]) != 0
	case of.Encoding == btf.Signed || of.Encoding == btf.Char:
		return signed(data[:size])
	}
	return unsigned(data[:size])
}

func enumValue(of *btf.Enum, data []byte) any {
	size := int(of.Size)
	if size > 8 || len(data) < size {
		return hex.EncodeToString(data)
	}
	n := unsigned(data[:size])
	if of.Signed {
		n = uint64(signed(data[:size]))
	}
	for _, v := range of.Values {
		if v.Value == n {
			return v.Name
		}
	}
	return n
}

func floatValue(data []byte) any {
	switch len(data) {
	case 4:
		return float64(math.Float32frombits(binary.NativeEndian.Uint32(data)))
	case 8:
		return math.Float64frombits(binary.NativeEndian.Uint64(data))
	}
	return hex.EncodeToString(data)
}

// array takes an array of char for text and one of other bytes, such as an
// address, for bytes.
func (d *decoder) array(of *btf.Array, data []byte) any {
	if number, ok := btf.UnderlyingType(of.Type).(*btf.Int); ok && number.Size == 1 {
		data = data[:min(int(of.Nelems), len(data))]
		if number.Name != "char" {
			return hex.EncodeToString(data)
		}
		text, _, _ := bytes.Cut(data, []byte{0})
		return string(bytes.ToValidUTF8(text, []byte(string(utf8.RuneError))))
	}
	size, err := btf.Sizeof(of.Type)
	if err != nil || size == 0 {
		return hex.EncodeToString(data)
	}
	all := []any{}
	for i := range int(of.Nelems) {
		if len(data) < (i+1)*size {
			break
		}
		all = append(all, d.value(of.Type, data[i*size:][:size]))
	}
	return all
}

func (d *decoder) members(members []btf.Member, data []byte) any {
	all := Members{}
	for _, m := range members {
		if m.BitfieldSize > 0 {
			if v, ok := bitfieldValue(m, data); ok {
				all = append(all, Member{m.Name, v})
			}
			continue
		}
		size, err := btf.Sizeof(m.Type)
		from := int(m.Offset.Bytes())
		if err != nil || from >= len(data) || size == 0 {
			continue
		}
		value := d.value(m.Type, data[from:min(from+size, len(data))])
		if inner, ok := value.(Members); ok && m.Name == "" { // of a nameless union
			all = append(all, inner...)
			continue
		}
		all = append(all, Member{m.Name, value})
	}
	return all
}

// bitfieldValue reads up to 64 bits that begin anywhere, as a number without a
// sign. Where they begin is counted from the lowest bit of the first byte on a
// little-endian machine, from the highest on others.
func bitfieldValue(m btf.Member, data []byte) (any, bool) {
	first, last := int(m.Offset), int(m.Offset+m.BitfieldSize)
	if last > 8*len(data) || m.BitfieldSize > 64 {
		return nil, false
	}
	little := binary.NativeEndian.Uint16([]byte{1, 0}) == 1
	var n uint64
	for bit := first; bit < last; bit++ {
		if little {
			n |= uint64(data[bit/8]>>(bit%8)&1) << (bit - first)
		} else {
			n = n<<1 | uint64(data[bit/8]>>(7-bit%8)&1)
		}
	}
	return n, true
}
