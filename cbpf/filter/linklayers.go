package filter

import "github.com/bpflab/bpflab/cbpf"

// A linkLayer is what the compiler knows of a link type. All that differs
// between link types is in the table below: a new one is a new row, and
// perhaps a function that says how its type field is tested.
type linkLayer struct {
	link     cbpf.LinkType
	typ      uint32 // offset of the type field, where there is one
	payload  uint32 // offset of the first byte behind the header
	llc      uint32 // length of an 802.2 header between the payload's start and the network header
	linkType func(lw *lowerer, l layer, protocol uint32) test
	mac      bool   // the header starts with two MAC-48 addresses; 802.1Q tags may follow
	mpls     uint32 // the type that announces an MPLS label; 0: no MPLS here

	// Where the header itself says these; otherwise only the kernel knows,
	// and only of a live packet.
	direction *headerField // the kernel's packet type
	ifIndex   *headerField // the interface's index
}

type headerField struct {
	offset uint32
	size   uint8
}

// linkLayers has the offsets and tests of libpcap's init_linktype and
// gen_linktype.
var linkLayers = []linkLayer{
	{link: cbpf.LinkEthernet, typ: 12, payload: 14, llc: 3, linkType: etherType, mac: true, mpls: etherMPLS},
	{link: cbpf.LinkRaw, linkType: versionType},
	{link: cbpf.LinkIPv4, linkType: onlyType(etherIP)},
	{link: cbpf.LinkIPv6, linkType: onlyType(etherIP6)},
	{link: cbpf.LinkLinuxSLL, typ: 14, payload: 16, linkType: sllType, direction: &headerField{0, 2}},
	{link: cbpf.LinkLinuxSLL2, typ: 0, payload: 20, linkType: plainType, direction: &headerField{10, 1}, ifIndex: &headerField{4, 4}},
	{link: cbpf.LinkNull, payload: 4, linkType: nullType},
	{link: cbpf.LinkLoop, payload: 4, linkType: loopType},
	{link: cbpf.LinkPPP, typ: 2, payload: 4, linkType: pppType, mpls: pppMPLS},
}

// linkLayerOf returns the row of a link type, nil if there is none.
func linkLayerOf(t cbpf.LinkType) *linkLayer {
	for i := range linkLayers {
		if linkLayers[i].link == t {
			return &linkLayers[i]
		}
	}
	return nil
}

func (l *linkLayer) String() string { return l.link.Description() }
