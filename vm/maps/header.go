package maps

// A header describes a map to machine code. It is 64 bytes in the arena, all
// 32-bit words, and its address stands for the map in programs: it is what
// loading a map reference gives, what a lookup in a map of maps gives, and what
// helper functions take. Nothing in it changes while the map lives.
const (
	headerSize = 64

	HeaderKind     = 0  // the map type
	HeaderKeySize  = 4  // bytes
	HeaderValue    = 8  // size of a value, bytes
	HeaderEntries  = 12 // max_entries
	HeaderID       = 16 // number in the set
	HeaderFlags    = 20
	HeaderElements = 24 // address of the first element
	HeaderStride   = 28 // from an element to the next
	HeaderStep     = 32 // from a CPU's value in an element to the next, 0 if there is only one
	HeaderOffset   = 36 // of the first value in an element
	HeaderBuckets  = 40 // of a hash map: address of the buckets
	HeaderMask     = 44 // of a hash map: number of buckets - 1
)

// A layout is what a kind has to say in the header.
type layout struct {
	elements, stride, offset uint32
	buckets, mask            uint32
}

func (m *Map) writeHeader() {
	l := m.kind.layout()
	for at, v := range map[uint32]uint32{
		HeaderKind:     uint32(m.spec.Kind),
		HeaderKeySize:  m.spec.KeySize,
		HeaderValue:    m.spec.ValueSize,
		HeaderEntries:  m.spec.MaxEntries,
		HeaderID:       m.id,
		HeaderFlags:    m.spec.Flags,
		HeaderElements: l.elements,
		HeaderStride:   l.stride,
		HeaderStep:     m.step,
		HeaderOffset:   l.offset,
		HeaderBuckets:  l.buckets,
		HeaderMask:     l.mask,
	} {
		m.store(m.addr+at, v)
	}
}

// Elements returns where the elements lie: the address of the first and how
// far it is to the next. In an array the value of index i on CPU c is at
// start + i*stride + c*step.
func (m *Map) Elements() (start, stride, step uint32) {
	l := m.kind.layout()
	return l.elements, l.stride, m.step
}
