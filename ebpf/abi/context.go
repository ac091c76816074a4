package abi

// A Context is the structure that R1 points to when a program starts.
type Context struct {
	Name   string  // "__sk_buff" or "xdp_md"
	Size   int     // in bytes
	Fields []Field // in rising order of Offset, without gaps but for padding
}

// A Field is one member of a context.
type Field struct {
	Name    string
	Offset  int
	Size    int // in bytes; of the whole array for cb, remote_ip6 and local_ip6
	Kind    Kind
	Loads   Sizes   // widths of a load
	Readers TypeSet // program types that may load it
	Stores  Sizes   // widths of a store
	Writers TypeSet // program types that may store it
}

// A Kind says what a load of a context field gives.
type Kind uint8

const (
	Scalar     Kind = iota // a number
	Packet                 // pointer to the first byte of the packet
	PacketEnd              // pointer behind the last directly accessible byte
	PacketMeta             // pointer to the metadata area before the packet
	Socket                 // pointer to a struct bpf_sock, or NULL
	FlowKeys               // pointer to a struct bpf_flow_keys
)

// String returns a word or two for messages.
func (k Kind) String() string {
	return [...]string{"scalar", "packet", "packet end", "packet metadata", "socket or NULL", "flow keys"}[k]
}

// Sizes is a set of access widths; the bits are the widths 1, 2, 4 and 8.
type Sizes uint8

// The sets that occur: a number that may be read in parts, one that may not,
// and those of other widths.
const (
	byteOnly Sizes = 1
	wordOnly Sizes = 4
	longOnly Sizes = 8
	upToWord Sizes = 1 | 2 | 4
	anySize  Sizes = 1 | 2 | 4 | 8
)

// Has reports whether accesses of n bytes are in the set.
func (s Sizes) Has(n int) bool { return n > 0 && n <= 8 && s&Sizes(n) != 0 && n&(n-1) == 0 }

// ContextOf returns the context of a program type, or nil if this package
// does not describe it.
func ContextOf(t ProgType) *Context {
	switch {
	case skbTypes.Has(t), t == FlowDissector:
		return &SKBuff
	case t == XDP:
		return &XDPMD
	}
	return nil
}

// Access returns the field that a program of type t reaches with an access of
// size bytes at offset off, and whether the kernel's verifier allows it: it
// must be aligned to its size, lie within one field, have a width that the
// field takes, and the type must be among the field's readers or writers. The
// field is nil if none begins before off and ends behind it.
//
// One rule is left to the caller, because it is about the instruction: a
// pointer field cannot be loaded with sign extension.
func (c *Context) Access(t ProgType, off, size int, write bool) (f *Field, ok bool) {
	f = c.at(off)
	if f == nil || size <= 0 || off%size != 0 || off+size > f.Offset+f.Size {
		return f, false
	}
	if write {
		return f, f.Stores.Has(size) && f.Writers.Has(t)
	}
	return f, f.Loads.Has(size) && f.Readers.Has(t)
}

func (c *Context) at(off int) *Field {
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Offset <= off && off < f.Offset+f.Size {
			return f
		}
	}
	return nil
}

// Field returns the field with the given name, or nil.
func (c *Context) Field(name string) *Field {
	for i := range c.Fields {
		if c.Fields[i].Name == name {
			return &c.Fields[i]
		}
	}
	return nil
}
