package lift

import (
	"math/bits"

	"github.com/bpflab/bpflab/ebpf"
)

// Packets are in network byte order. A classic load swaps; but where A is only
// compared for equality with constants, tested for bits, or masked, it may as
// well stay as it is and the constants be swapped, at no cost.
//
// That is decided for a value as a whole: all loads that can reach a use and
// all uses that they reach form a web, and must agree. An orderNode stands for
// a web, in a union-find forest.
type orderNode struct {
	parent *orderNode
	host   bool // something defines or uses the value in host order
	wide   bool // a constant sets bits above the lower 16
	widths int  // bit set of 16 and 32: the loads in the web
}

func (n *orderNode) root() *orderNode {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

func (n *orderNode) union(o *orderNode) {
	n, o = n.root(), o.root()
	if n == o {
		return
	}
	o.host, o.wide, o.widths = o.host || n.host, o.wide || n.wide, o.widths|n.widths
	n.parent = o
}

// order returns 16 or 32 if the value is to be kept in network order, else 0.
func (n *orderNode) order() int {
	r := n.root()
	if r.host || r.widths == 16 && r.wide || r.widths == 16|32 {
		return 0
	}
	return r.widths
}

// chooseOrders sets the order of A at each instruction that makes, changes or
// tests it. Packet loads take part only where the access mode leaves the swap
// to the translator.
func (g *graph) chooseOrders(packetLoads bool) {
	for _, b := range g.blocks {
		b.orderA = &orderNode{}
	}
	g.blocks[0].orderA.host = true
	at := make(map[*insn]*orderNode)
	for _, b := range g.blocks {
		n := b.orderA
		for i := range b.insns {
			n = b.insns[i].flow(n, packetLoads)
			at[&b.insns[i]] = n
		}
		if b.end != nil && b.end.a {
			n.root().host = true
		}
		for _, s := range b.succ {
			if s.in.a {
				n.union(s.orderA)
			}
		}
	}
	for in, n := range at {
		in.order = n.order()
	}
}

// flow notes what an instruction asks of A in n and returns A after it.
func (in *insn) flow(n *orderNode, packetLoads bool) *orderNode {
	switch in.kind {
	case loadAbs, loadInd:
		if in.size > 1 && packetLoads {
			return &orderNode{widths: in.size * 8}
		}
		return &orderNode{host: true}
	case loadField:
		if in.ext.swap {
			return &orderNode{widths: 16}
		}
		return &orderNode{host: true}
	case loadImm, loadLen, loadMem:
		if in.reg == regA {
			return &orderNode{host: true}
		}
	case storeMem:
		if in.reg == regA {
			n.root().host = true
		}
	case loadCall, txa:
		return &orderNode{host: true}
	case alu:
		r := n.root()
		r.host = r.host || in.useX || in.op != ebpf.And && in.op != ebpf.Or && in.op != ebpf.Xor
		r.wide = r.wide || in.op != ebpf.And && in.k > 0xffff
	case branch:
		r := n.root()
		r.host = r.host || in.useX || in.op != ebpf.Jeq && in.op != ebpf.Jset
	case neg, tax:
		n.root().host = true
	}
	return n
}

// constant returns k as it must be to work on A in its order. A 16-bit value
// never equals a constant that has more bits, and k itself is such a one.
func (in *insn) constant() int32 {
	switch {
	case in.order == 32:
		return int32(bits.ReverseBytes32(in.k))
	case in.order == 16 && (in.k <= 0xffff || in.op != ebpf.Jeq):
		return int32(bits.ReverseBytes16(uint16(in.k)))
	}
	return int32(in.k)
}
