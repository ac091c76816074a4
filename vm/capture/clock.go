package capture

import (
	"fmt"
	"math/bits"
)

const second = 1_000_000_000

// A clock converts a file's units of time to nanoseconds and back. One of its
// three forms is in use: multiply (a microsecond or nanosecond file), divide
// (finer than nanoseconds), or shift (a power of two of units per second).
type clock struct {
	multiply uint64
	divide   uint64
	shift    uint8
	offset   int64 // nanoseconds to add
}

var (
	microseconds = clock{multiply: 1000, divide: 1}
	nanoseconds  = clock{multiply: 1, divide: 1}
)

// clockOf reads an interface's time options. libpcap refuses the same
// resolutions: those whose second does not fit into 64 bits.
func clockOf(o Options) (clock, error) {
	c := microseconds
	for code, v := range o.All() {
		switch {
		case code == OptIfTsResol && len(v) == 1:
			var err error
			if c, err = clockOfResolution(v[0], c.offset); err != nil {
				return c, err
			}
		case code == OptIfTsOffset && len(v) == 8:
			c.offset = int64(o.order().Uint64(v)) * second
		case code == OptIfTsResol, code == OptIfTsOffset:
			return c, fmt.Errorf("option %d has %d bytes", code, len(v))
		}
	}
	return c, nil
}

func clockOfResolution(b byte, offset int64) (clock, error) {
	c := clock{multiply: 1, divide: 1, offset: offset}
	n := b & 0x7f
	switch {
	case b&0x80 != 0 && n > 63:
		return c, fmt.Errorf("time resolution 2^-%d is too high", n)
	case b&0x80 != 0 && n > 0:
		c.shift = n
	case n > 19:
		return c, fmt.Errorf("time resolution 10^-%d is too high", n)
	case n <= 9:
		c.multiply = pow10(9 - n)
	default:
		c.divide = pow10(n - 9)
	}
	return c, nil
}

func pow10(n byte) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// toNano converts a time in units. Times beyond the year 2262 wrap.
func (c *clock) toNano(t uint64) int64 {
	switch {
	case c.shift > 0:
		hi, lo := bits.Mul64(t&(1<<c.shift-1), second)
		fraction := hi<<(64-c.shift) | lo>>c.shift
		return int64(t>>c.shift*second+fraction) + c.offset
	case c.divide > 1:
		return int64(t/c.divide) + c.offset
	}
	return int64(t*c.multiply) + c.offset
}

// fromNano is the inverse: exact for what toNano returned, as long as the
// units are not finer than nanoseconds.
func (c *clock) fromNano(ns int64) uint64 {
	t := uint64(ns - c.offset)
	switch {
	case c.shift > 0:
		// Rounded up, because toNano rounds down.
		hi, lo := bits.Mul64(t%second, 1<<c.shift)
		fraction, rest := bits.Div64(hi, lo, second)
		if rest > 0 {
			fraction++
		}
		return t/second<<c.shift + fraction
	case c.divide > 1:
		return t * c.divide
	}
	return t / c.multiply
}
