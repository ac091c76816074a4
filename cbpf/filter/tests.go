package filter

// The resolved tree: the same And, Or, Not and Relation as the syntax tree,
// with every Primitive replaced by one of the Tests below. A Test holds
// numbers only and is still independent of the link type; lowering turns it
// into loads and compares.

// A Test is a resolved primitive: a pointer to one of the structs below.
type Test interface {
	Node
	test()
}

// At is the place in the expression that a Test came from.
type At Span

// Span returns the place as a range of bytes.
func (a At) Span() Span { return Span(a) }
func (a At) test()      {}

// Parts tells the protocol qualifier of a primitive from the rest of it, so that
// provenance can: in "tcp dst port 80" the tests of the link type and of the IP
// protocol come from "tcp". Both are empty where no qualifier was written.
type Parts struct{ Proto, Rest Span }

func partsOf(p *Primitive) Parts {
	q := p.Quals
	if q.ProtoAt.Start >= q.ProtoAt.End {
		return Parts{}
	}
	rest := Span{Start: p.ID.At.Start, End: p.At.End}
	for _, word := range []Span{q.DirAt, q.TypeAt} {
		if word.Start < word.End {
			rest.Start = min(rest.Start, word.Start)
		}
	}
	return Parts{q.ProtoAt, rest}
}

// TestNet holds for packets with a network address in one of Nets, which are
// tried in order. Proto is ProtoNone (IP and, for IPv4, ARP and RARP), ProtoIP,
// ProtoIP6, ProtoARP or ProtoRARP.
type TestNet struct {
	At
	Parts
	Proto Proto
	Dir   Dir
	Nets  []Net
}

// A Net is an address and the mask that says which of its bits count, in
// network byte order: words 0 for IPv4, 0 to 3 for IPv6.
type Net struct {
	IPv6 bool
	Addr [4]uint32
	Mask [4]uint32
}

// TestLinkAddr holds for packets with a link-layer (MAC-48) address.
type TestLinkAddr struct {
	At
	Dir  Dir
	Addr [6]byte
}

// TestPort holds for packets of one of IPProtos (IP protocol numbers, tried
// in order, first all of them over IPv6, then over IPv4) with a port from Lo to
// Hi. Range says that the text was a portrange, which libpcap compiles
// differently from a port.
type TestPort struct {
	At
	Parts
	IPProtos []uint8
	Dir      Dir
	Lo, Hi   uint16
	Range    bool
}

// TestProto is "proto P" with Proto saying in which header the number is
// looked up: ProtoNone (IPv4 or IPv6), ProtoIP, ProtoIP6, ProtoLink, ProtoISO,
// ProtoISIS, or another, which lowering handles as libpcap does.
type TestProto struct {
	At
	Proto  Proto
	Number uint32
}

// TestAbbrev is a protocol word that stands alone.
type TestAbbrev struct {
	At
	Proto Proto
}

// TestCast is "[proto] broadcast" or "[proto] multicast".
type TestCast struct {
	At
	Proto     Proto
	Multicast bool
}

// TestLen is "less N" (length ≤ N) or "greater N" (length ≥ N).
type TestLen struct {
	At
	Greater bool
	N       uint32
}

// TestEncap is a layer that changes what the tests after it look at: vlan,
// mpls, pppoed, pppoes, geneve, with the optional id.
type TestEncap struct {
	At
	Layer EncapKind
	HasID bool
	ID    uint32
}

// EncapKind names an encapsulation primitive.
type EncapKind uint8

// The encapsulations.
const (
	EncapVLAN EncapKind = iota
	EncapMPLS
	EncapPPPoED
	EncapPPPoES
	EncapGeneve
)

// TestDirection is "inbound" or "outbound".
type TestDirection struct {
	At
	Outbound bool
}

// TestIfIndex is "ifindex N".
type TestIfIndex struct {
	At
	N uint32
}

// TestByte is the old "byte IDX op VAL": the byte at Index of the link header.
type TestByte struct {
	At
	Op    byte // '=', '<', '>', '&' or '|'
	Index uint32
	Value uint32 // above 255 it is equal to no byte, but allowed
}
