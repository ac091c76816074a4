package capture

import (
	"encoding/binary"
	"iter"
	"slices"
)

// Codes of pcapng options that this package or its users look at. Codes from 2
// on have a meaning in one kind of block only.
const (
	OptEnd     = 0
	OptComment = 1 // UTF-8 text, any number of times

	OptIfName        = 2 // of an interface
	OptIfDescription = 3
	OptIfTsResol     = 9  // one byte: a power of 10, or of 2 with the high bit set
	OptIfTsOffset    = 14 // seconds to add to every time

	OptFlags = 2 // of a packet: 32 bits, direction and reception in the lowest
	OptHash  = 3 // one byte for the algorithm, then the hash
	OptQueue = 6 // 32 bits, receive queue
)

// Options is a list of pcapng options as it stands in the file. Reading
// stops without an error at an option that is longer than the list.
type Options struct {
	raw       []byte
	bigEndian bool // byte order of the section that they come from
}

// All iterates over the options, code and value, in their order. The values
// are slices of the list.
func (o Options) All() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		order := o.order()
		for b := o.raw; len(b) >= 4; {
			code, n := order.Uint16(b), int(order.Uint16(b[2:]))
			if code == OptEnd || n > len(b)-4 || !yield(code, b[4:4+n]) {
				return
			}
			b = b[min(4+pad4(n), len(b)):]
		}
	}
}

// Get returns the value of the first option with that code.
func (o Options) Get(code uint16) (value []byte, ok bool) {
	for c, v := range o.All() {
		if c == code {
			return v, true
		}
	}
	return nil, false
}

// Uint32 returns the value of an option that is a 32-bit number; false if it
// is not there or has another length.
func (o Options) Uint32(code uint16) (value uint32, ok bool) {
	v, _ := o.Get(code)
	if len(v) != 4 {
		return 0, false
	}
	return o.order().Uint32(v), true
}

// Comments returns the text of all comments.
func (o Options) Comments() []string {
	var all []string
	for c, v := range o.All() {
		if c == OptComment {
			all = append(all, string(v))
		}
	}
	return all
}

// Add appends an option. A number must be given in little-endian order if o
// was the zero value. Values longer than 65535 bytes are cut.
func (o *Options) Add(code uint16, value []byte) {
	value = value[:min(len(value), 0xffff)]
	n := 0 // where the list ends, which an end mark may follow
	for _, v := range o.All() {
		n += 4 + pad4(len(v))
	}
	// A packet's list lies in the reader's buffer, with other bytes behind
	// it: the new one must not be written there.
	raw := make([]byte, n, n+4+pad4(len(value)))
	copy(raw, o.raw)
	raw = appendOrder(o.bigEndian, raw, code, uint16(len(value)))
	raw = append(raw, value...)
	o.raw = append(raw, zero4[:pad4(len(value))-len(value)]...)
}

func (o Options) order() binary.ByteOrder { return byteOrder(o.bigEndian) }

func byteOrder(bigEndian bool) binary.ByteOrder {
	if bigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func appendOrder(bigEndian bool, b []byte, fields ...uint16) []byte {
	for _, f := range fields {
		if bigEndian {
			b = binary.BigEndian.AppendUint16(b, f)
		} else {
			b = binary.LittleEndian.AppendUint16(b, f)
		}
	}
	return b
}

var zero4 [4]byte

// pad4 rounds up to a multiple of 4, to which everything in pcapng is padded.
func pad4(n int) int { return (n + 3) &^ 3 }

func (o Options) clone() Options { return Options{slices.Clone(o.raw), o.bigEndian} }
