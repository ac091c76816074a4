package object

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// A valueWriter turns text into the bytes of a C value.
type valueWriter struct{ order binary.ByteOrder }

// put writes the value that text stands for into dst, which is zeroed and has
// the size of the type. A nil type is unknown.
func (w valueWriter) put(dst []byte, t btf.Type, text string) error {
	text = strings.TrimSpace(text)
	if digits, ok := strings.CutPrefix(text, "x:"); ok {
		return putHex(dst, digits)
	}
	switch t := t.(type) {
	case nil:
		return w.putNumber(dst, text, math.MinInt64>>(64-8*min(len(dst), 8)), math.MaxUint64>>(64-8*min(len(dst), 8)))
	case *btf.Int:
		return w.putInt(dst, t, text)
	case *btf.Enum:
		return w.putEnum(dst, t, text)
	case *btf.Float:
		return w.putFloat(dst, text)
	case *btf.Array:
		return w.putArray(dst, t, text)
	}
	return fmt.Errorf("cannot set this type from %q, only as x: and %d bytes in hexadecimal", text, len(dst))
}

func putHex(dst []byte, digits string) error {
	value, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		return fmt.Errorf("x: wants bytes in hexadecimal: %w", err)
	}
	if len(value) != len(dst) {
		return fmt.Errorf("have %d bytes, want %d", len(value), len(dst))
	}
	copy(dst, value)
	return nil
}

// putInt writes an integer, a truth value or a character.
func (w valueWriter) putInt(dst []byte, t *btf.Int, text string) error {
	switch {
	case t.Encoding == btf.Bool && (text == "true" || text == "false"):
		text = map[string]string{"true": "1", "false": "0"}[text]
	case len(text) >= 3 && text[0] == '\'':
		value, rest, err := unquoteChar(text)
		if err != nil || rest != "'" {
			return fmt.Errorf("%s is not a character", text)
		}
		text = strconv.Itoa(int(value))
	}
	size := 8 * uint(min(len(dst), 8))
	switch t.Encoding {
	case btf.Bool:
		return w.putNumber(dst, text, 0, 1)
	case btf.Signed:
		return w.putNumber(dst, text, math.MinInt64>>(64-size), math.MaxInt64>>(64-size))
	case btf.Char: // plain char, of which C does not say if it has a sign
		return w.putNumber(dst, text, math.MinInt64>>(64-size), math.MaxUint64>>(64-size))
	}
	return w.putNumber(dst, text, 0, math.MaxUint64>>(64-size))
}

func unquoteChar(text string) (byte, string, error) {
	value, _, rest, err := strconv.UnquoteChar(text[1:], '\'')
	if err == nil && value > math.MaxUint8 {
		err = strconv.ErrRange
	}
	return byte(value), rest, err
}

// putNumber writes a number of 1, 2, 4, 8 or 16 bytes if it is in range.
func (w valueWriter) putNumber(dst []byte, text string, low int64, high uint64) error {
	if bits.OnesCount(uint(len(dst))) != 1 || len(dst) > 16 {
		return fmt.Errorf("cannot set %d bytes from a number, only as x: and hexadecimal", len(dst))
	}
	var number uint64
	negative := strings.HasPrefix(text, "-")
	if negative {
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil || n < low {
			return w.notNumber(text, low, high)
		}
		number = uint64(n)
	} else {
		n, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 0, 64)
		if err != nil || n > high {
			return w.notNumber(text, low, high)
		}
		number = n
	}
	w.store(dst, number, negative)
	return nil
}

func (w valueWriter) notNumber(text string, low int64, high uint64) error {
	return fmt.Errorf("want a number from %d to %d, have %q", low, high, text)
}

// store writes a number, extended with its sign where dst has 16 bytes.
func (w valueWriter) store(dst []byte, number uint64, negative bool) {
	if len(dst) == 16 {
		lower, upper := dst[:8], dst[8:]
		if w.order == binary.BigEndian {
			lower, upper = upper, lower
		}
		w.order.PutUint64(lower, number)
		if negative {
			w.order.PutUint64(upper, math.MaxUint64)
		}
		return
	}
	var wide [8]byte
	w.order.PutUint64(wide[:], number)
	if w.order == binary.BigEndian {
		copy(dst, wide[8-len(dst):])
	} else {
		copy(dst, wide[:])
	}
}

// putEnum writes an enumerator by name or number.
func (w valueWriter) putEnum(dst []byte, t *btf.Enum, text string) error {
	for _, v := range t.Values {
		if v.Name == text {
			w.store(dst, v.Value, t.Signed && int64(v.Value) < 0)
			return nil
		}
	}
	size := 8 * uint(min(len(dst), 8))
	if t.Signed {
		return w.putNumber(dst, text, math.MinInt64>>(64-size), math.MaxInt64>>(64-size))
	}
	return w.putNumber(dst, text, 0, math.MaxUint64>>(64-size))
}

func (w valueWriter) putFloat(dst []byte, text string) error {
	f, err := strconv.ParseFloat(text, 8*len(dst))
	if err != nil {
		return fmt.Errorf("want a floating-point number, have %q", text)
	}
	switch len(dst) {
	case 4:
		w.order.PutUint32(dst, math.Float32bits(float32(f)))
	case 8:
		w.order.PutUint64(dst, math.Float64bits(f))
	default:
		return fmt.Errorf("floating-point numbers of %d bytes can only be set as x: and hexadecimal", len(dst))
	}
	return nil
}

// putArray writes {…} or, for bytes, text in quotes. As in C the rest is 0,
// and the 0 behind a text may be cut off.
func (w valueWriter) putArray(dst []byte, t *btf.Array, text string) error {
	element := btf.UnderlyingType(t.Type)
	if strings.HasPrefix(text, `"`) {
		s, err := strconv.Unquote(text)
		if err != nil {
			return fmt.Errorf("%s is not a text in quotes", text)
		}
		if int(t.Nelems) != len(dst) || len(s) > len(dst) {
			return fmt.Errorf("a text of %d bytes does not fit", len(s))
		}
		copy(dst, s)
		return nil
	}
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' || t.Nelems == 0 {
		return fmt.Errorf("want {element, …} or x: and hexadecimal, have %q", text)
	}
	elements := splitElements(text[1 : len(text)-1])
	if len(elements) > int(t.Nelems) {
		return fmt.Errorf("have %d elements, want at most %d", len(elements), t.Nelems)
	}
	size := len(dst) / int(t.Nelems)
	for i, e := range elements {
		if err := w.put(dst[i*size:][:size], element, e); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

// splitElements splits at the commas outside of inner braces.
func splitElements(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var elements []string
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth == 0:
			elements = append(elements, text[start:i])
			start = i + 1
		}
	}
	return append(elements, text[start:])
}
