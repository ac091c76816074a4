package replay

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A setup is what the maps hold before a run.
type setup struct {
	maps   []abi.MapSpec
	filled []int // indexes of the maps that hold something because of the search
}

// fills is how often maps are filled with other values.
const fills = 4

// setups returns what maps may hold: nothing first, then, if there are maps
// that can hold something, values of interest for keys that programs ask for
// most.
func (g *guesser) setups() []setup {
	out := []setup{{maps: g.program.Maps}}
	for range fills {
		if s := g.fill(); s.filled != nil {
			out = append(out, s)
		}
	}
	return out
}

// fill puts elements into the maps that have none.
func (g *guesser) fill() setup {
	s := setup{maps: slices.Clone(g.program.Maps)}
	for i := range s.maps {
		m := &s.maps[i]
		if m.Contents != nil || !fillable(m) {
			continue
		}
		s.filled = append(s.filled, i)
		for _, key := range g.keys(m) {
			m.Contents = append(m.Contents, abi.MapElement{Key: key, Value: g.value(m)})
		}
	}
	return s
}

// without returns a setup with one element less.
func (s setup) without(of, element int) setup {
	s.maps = slices.Clone(s.maps)
	m := &s.maps[of]
	m.Contents = slices.Delete(slices.Clone(m.Contents), element, element+1)
	return s
}

// with returns a setup with another value of an element.
func (s setup) with(of, element int, value []byte) setup {
	s.maps = slices.Clone(s.maps)
	m := &s.maps[of]
	m.Contents = slices.Clone(m.Contents)
	m.Contents[element].Value = value
	return s
}

// describe tells what maps hold.
func (s setup) describe() (parts []string) {
	for _, i := range s.filled {
		m := &s.maps[i]
		for _, e := range m.Contents {
			parts = append(parts, fmt.Sprintf("%s[%x] = %s", m.Name, e.Key, valueText(e.Value)))
		}
	}
	return parts
}

// valueText is a value in hexadecimal; of a long row of zeros it says the
// length.
func valueText(value []byte) string {
	var b strings.Builder
	for len(value) > 0 {
		zeros := 0
		for zeros < len(value) && value[zeros] == 0 {
			zeros++
		}
		if zeros >= 16 {
			fmt.Fprintf(&b, "(00 × %d)", zeros)
			value = value[zeros:]
			continue
		}
		fmt.Fprintf(&b, "%02x", value[0])
		value = value[1:]
	}
	return b.String()
}

// hasNeighbours reports whether a map has values that lie behind each other.
func hasNeighbours(m abi.MapSpec) bool {
	return m.MaxEntries > 1 && (m.Kind == abi.ArrayMap || m.Kind == abi.PerCPUArray)
}

func fillable(m *abi.MapSpec) bool {
	switch m.Kind {
	case abi.HashMap, abi.PerCPUHash, abi.LRUHash, abi.LRUPerCPUHash, abi.ArrayMap, abi.PerCPUArray:
		return m.ValueSize > 0 && m.KeySize > 0 && m.ValueSize+m.KeySize <= bytesMost
	}
	return false
}

// keysMost is how many elements a map gets, fewer if they are large.
const (
	keysMost  = 12
	bytesMost = 256 << 10
)

// keys are keys that a program may ask for: small numbers, such as those of
// interfaces, constants of the program, and 0.
func (g *guesser) keys(m *abi.MapSpec) [][]byte {
	most := min(keysMost, int(m.MaxEntries), bytesMost/int(m.ValueSize+m.KeySize))
	var out [][]byte
	add := func(v uint64) {
		b := binary.LittleEndian.AppendUint64(nil, v)
		key := make([]byte, m.KeySize)
		copy(key, b)
		array := m.Kind == abi.ArrayMap || m.Kind == abi.PerCPUArray
		if len(out) < most && !slices.ContainsFunc(out, func(k []byte) bool { return slices.Equal(k, key) }) &&
			(!array || v < uint64(m.MaxEntries)) {
			out = append(out, key)
		}
	}
	for v := range uint64(6) {
		add(v)
	}
	for _, c := range g.constants {
		add(c)
	}
	return out
}

// value makes a value of numbers of interest.
func (g *guesser) value(m *abi.MapSpec) []byte {
	out := make([]byte, m.ValueSize)
	for at := 0; at+4 <= len(out); at += 4 {
		binary.LittleEndian.PutUint32(out[at:], uint32(g.number()))
	}
	if m.SpinLock != nil {
		clear(out[*m.SpinLock:][:4])
	}
	return out
}

// frames are the starts of common packets: Ethernet with IPv4 and TCP, UDP,
// ICMP, with IPv6 and TCP, UDP, with a VLAN tag, and ARP.
var frames = func() [][]byte {
	ethernet := func(proto ...byte) []byte {
		return append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, proto...)
	}
	ip4 := func(proto byte) []byte {
		return []byte{0x45, 0, 0, 60, 0, 1, 0x40, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	}
	ip6 := func(next byte) []byte {
		b := append([]byte{0x60, 0, 0, 0, 0, 40, next, 64, 0xfd}, make([]byte, 31)...)
		b[23], b[24], b[39] = 1, 0xfd, 2
		return b
	}
	tcp := []byte{0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x20, 0, 0, 0, 0, 0}
	udp := []byte{0x30, 0x39, 0, 53, 0, 40, 0, 0}
	icmp := []byte{8, 0, 0, 0, 0, 1, 0, 1}
	return [][]byte{
		slices.Concat(ethernet(8, 0), ip4(6), tcp),
		slices.Concat(ethernet(8, 0), ip4(17), udp),
		slices.Concat(ethernet(8, 0), ip4(1), icmp),
		slices.Concat(ethernet(0x86, 0xdd), ip6(6), tcp),
		slices.Concat(ethernet(0x86, 0xdd), ip6(17), udp),
		slices.Concat(ethernet(0x81, 0, 0, 5, 8, 0), ip4(6), tcp),
		slices.Concat(ethernet(8, 6), []byte{0, 1, 8, 0, 6, 4, 0, 1}),
	}
}()
