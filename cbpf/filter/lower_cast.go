package filter

import "github.com/bpflab/bpflab/cbpf/filter/ir"

// The small primitives: broadcast and multicast, the packet's length, where it
// came from, and single bytes.

// cast is "broadcast" and "multicast" of the link layer or of IP.
func (lw *lowerer) cast(t *TestCast, l layer) test {
	net := l.networkHeader()
	switch {
	case t.Proto == ProtoNone || t.Proto == ProtoLink:
		return lw.linkCast(t.Multicast, l)
	case t.Proto == ProtoIP && t.Multicast:
		// From 224 up, as in libpcap 1.10: class E and the broadcast
		// address count as well.
		return all(lw.linkType(l, etherIP), lw.atLeast(net, 16, 1, 224))
	case t.Proto == ProtoIP6 && t.Multicast:
		return all(lw.linkType(l, etherIP6), lw.equal(net, 24, 1, 255))
	case t.Proto == ProtoIP:
		if !lw.opts.NetmaskKnown {
			return lw.refuse("\"ip broadcast\" needs the network's mask, which is not known")
		}
		host := ^lw.opts.Netmask
		return all(lw.linkType(l, etherIP), anyOf(
			lw.masked(net, 16, 4, host, 0),
			lw.masked(net, 16, 4, host, host)))
	}
	return lw.refuse("broadcast and multicast are known of the link layer and of IP only")
}

func (lw *lowerer) linkCast(multicast bool, l layer) test {
	switch {
	case !l.link.mac && multicast:
		return lw.refuse("%s packets have no link-layer multicast addresses", l.link)
	case !l.link.mac:
		return lw.refuse("%s packets have no link-layer broadcast address", l.link)
	case multicast:
		return lw.ifEthernet(l, lw.anyBit(l.header, 0, 1, 1))
	}
	return lw.linkAddr(DirDst, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, l)
}

// length is "less N" and "greater N", which include N.
func (lw *lowerer) length(t *TestLen) test {
	atLeast := func(op ir.CondOp) test {
		return func(in edges) (yes, no edges) {
			return lw.site(in).branch(op, lw.f.Len(lw.origin), lw.const32(t.N))
		}
	}
	if t.Greater {
		return atLeast(ir.Ge)
	}
	return not(atLeast(ir.Gt))
}

// packetOutgoing is Linux's packet type of what this machine sends; all others
// are inbound.
const packetOutgoing = 4

// direction is "inbound" and "outbound".
func (lw *lowerer) direction(t *TestDirection, l layer) test {
	out := lw.headerOrKernel(l, l.link.direction, ir.PacketType, packetOutgoing, "the direction")
	if t.Outbound {
		return out
	}
	return not(out)
}

// ifIndex is "ifindex N".
func (lw *lowerer) ifIndex(t *TestIfIndex, l layer) test {
	return lw.headerOrKernel(l, l.link.ifIndex, ir.IfIndex, t.N, "the interface")
}

// headerOrKernel compares what the link header of some captures says, and what
// otherwise the kernel says of a live packet. In a file, other link types do
// not have it.
func (lw *lowerer) headerOrKernel(l layer, in *headerField, meta ir.Field, want uint32, what string) test {
	switch {
	case in != nil:
		return lw.equal(l.header, in.offset, in.size, want)
	case lw.opts.Live:
		return lw.metaEqual(meta, want)
	}
	return lw.refuse("a capture of %s packets does not say %s; the kernel does, of live packets", l.link, what)
}

func (lw *lowerer) metaEqual(meta ir.Field, want uint32) test {
	return func(in edges) (yes, no edges) {
		return lw.site(in).branch(ir.Eq, lw.f.Meta(meta, lw.origin), lw.const32(want))
	}
}

// byteTest is the undocumented "byte INDEX OP VALUE".
func (lw *lowerer) byteTest(t *TestByte, l layer) test {
	value := uint32(t.Value)
	switch t.Op {
	case '=':
		return lw.equal(l.header, t.Index, 1, value)
	case '<':
		return not(lw.atLeast(l.header, t.Index, 1, value))
	case '>':
		return lw.above(l.header, t.Index, 1, value)
	}
	// libpcap forgets to load the byte and tests what the code before left
	// in the accumulator.
	return lw.refuse("not supported yet: \"byte %d %c %d\"; write link[%[1]d] %[2]c %[3]d != 0", t.Index, t.Op, value)
}
