package maps

// A header describes a map to machine code. It is 64 bytes in the arena, all
// 32-bit words, and its address stands for the map in programs: it is what
// loading a map reference gives, what a lookup in a map of maps gives, and what
// helper functions take. Nothing in it changes while the map lives.
const (
	HeaderSize = 64

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

// A layout is where a map has its elements.
type layout struct {
	elements, stride uint32 // the first, and how far it is to the next
	offset           uint32 // of the value in an element
	count            uint32 // of elements with values that programs may point to
	buckets, mask    uint32
}

func (m *Map) writeHeader() {
	for at, v := range map[uint32]uint32{
		HeaderKind:     uint32(m.spec.Kind),
		HeaderKeySize:  m.spec.KeySize,
		HeaderValue:    m.spec.ValueSize,
		HeaderEntries:  m.spec.MaxEntries,
		HeaderID:       m.id,
		HeaderFlags:    m.spec.Flags,
		HeaderElements: m.place.elements,
		HeaderStride:   m.place.stride,
		HeaderStep:     m.step,
		HeaderOffset:   m.place.offset,
		HeaderBuckets:  m.place.buckets,
		HeaderMask:     m.place.mask,
	} {
		m.store(m.addr+at, v)
	}
}

// Elements returns where the elements lie: the address of the first and how
// far it is to the next. In an array the value of index i on CPU c is at
// start + i*stride + c*step.
func (m *Map) Elements() (start, stride, step uint32) {
	return m.place.elements, m.place.stride, m.step
}

// What machine code needs to look a key up in a hash map; see the package
// comment for how.
const (
	ElementNext = slotNext // offsets in an element
	ElementUsed = slotRef
	ElementKey  = slotKey
)

// A HashLayout is where a hash map has its buckets and values.
type HashLayout struct {
	Buckets, Mask uint32
	Value         uint32 // offset in an element
	LRU           bool   // a lookup sets the word at ElementUsed to 1 if it is 0
}

// Hash returns the layout of a hash map.
func (m *Map) Hash() HashLayout {
	return HashLayout{m.place.buckets, m.place.mask, m.place.offset, m.hash.lru}
}
