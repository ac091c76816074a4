package filter

// An offset is a place in the packet: a constant, plus a run-time part where
// slot is not 0.
type offset struct {
	slot slot
	k    uint32
}

// add moves an offset. The constant wraps, as in libpcap: a place before the
// start of the packet is one that no load reaches.
func (o offset) add(k uint32) offset { return offset{o.slot, o.k + k} }

// A layer is a link header and the way to what follows it.
type layer struct {
	link    *linkLayer
	header  offset // the first byte of the link header
	typ     offset // the field that says what the payload is
	payload offset // the first byte behind the link header, and the 802.2 header if there is one
	network uint32 // from payload to the network header
	llc     uint32 // from payload to the network header behind an 802.2 header without SNAP
	tags    int    // VLAN tags passed
	labels  int    // MPLS labels passed
	geneve  bool   // inside Geneve, where there may be no link header
}

// layers is the stack of headers that the text so far has walked into. It is a
// value that never changes: a stack made by push shares what is below, so that
// a long chain of encapsulations takes no more than linear time.
type layers struct {
	top   layer
	below *layers // nil under the outermost layer
}

// outermost is the stack at the start of every filter.
func outermost(link *linkLayer) layers {
	return layers{top: layer{
		link:    link,
		typ:     offset{k: link.typ},
		payload: offset{k: link.payload},
		llc:     link.llc,
	}}
}

// replace is the stack with another innermost layer: the same link header, but
// further into it.
func (ls layers) replace(l layer) layers { return layers{l, ls.below} }

// push is the stack with one layer more.
func (ls layers) push(l layer) layers { return layers{l, &ls} }

// networkHeader is where the network header starts.
func (l layer) networkHeader() offset { return l.payload.add(l.network) }

// llcPayload is where the payload of an 802.2 header without SNAP starts.
func (l layer) llcPayload() offset { return l.payload.add(l.llc) }
