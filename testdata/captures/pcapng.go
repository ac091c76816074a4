package captures

import (
	"encoding/binary"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
)

// ng is a pcapng file that is being written, in one byte order at a time.
type ng struct {
	order binary.AppendByteOrder
	file  []byte
}

// block appends a block: type, total length, body, total length.
func (n *ng) block(kind uint32, body []byte) {
	total := uint32(len(body) + 12)
	n.file = append32(n.order, n.file, kind, total)
	n.file = append32(n.order, append(n.file, body...), total)
}

func (n *ng) section(options ...[]byte) {
	body := n.order.AppendUint32(nil, 0x1a2b3c4d)
	body = n.order.AppendUint16(n.order.AppendUint16(body, 1), 0)
	body = n.order.AppendUint64(body, ^uint64(0)) // length not known
	n.block(0x0a0d0d0a, n.list(body, options))
}

func (n *ng) iface(lt cbpf.LinkType, snapLen uint32, options ...[]byte) {
	body := n.order.AppendUint16(n.order.AppendUint16(nil, uint16(lt)), 0)
	n.block(1, n.list(n.order.AppendUint32(body, snapLen), options))
}

// enhanced appends a packet with a time in units of its interface.
func (n *ng) enhanced(id uint32, stamp uint64, data []byte, options ...[]byte) {
	body := append32(n.order, nil, id, uint32(stamp>>32), uint32(stamp), uint32(len(data)), uint32(len(data)))
	n.block(6, n.list(pad(append(body, data...)), options))
}

// obsolete appends a packet block of the first drafts.
func (n *ng) obsolete(id uint16, stamp uint64, data []byte, options ...[]byte) {
	body := n.order.AppendUint16(n.order.AppendUint16(nil, id), 5)
	body = append32(n.order, body, uint32(stamp>>32), uint32(stamp), uint32(len(data)), uint32(len(data)))
	n.block(2, n.list(pad(append(body, data...)), options))
}

func (n *ng) simple(data []byte) {
	n.block(3, pad(append(n.order.AppendUint32(nil, uint32(len(data))), data...)))
}

// list appends options and the mark of their end, or nothing if there are none.
func (n *ng) list(body []byte, options [][]byte) []byte {
	for _, o := range options {
		body = append(body, o...)
	}
	if len(options) > 0 {
		body = append(body, 0, 0, 0, 0)
	}
	return body
}

func (n *ng) option(code uint16, value []byte) []byte {
	b := n.order.AppendUint16(n.order.AppendUint16(nil, code), uint16(len(value)))
	return pad(append(b, value...))
}

func (n *ng) text(code uint16, s string) []byte { return n.option(code, []byte(s)) }

func (n *ng) number(code uint16, v uint32) []byte {
	return n.option(code, n.order.AppendUint32(nil, v))
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// mixedNG has four interfaces: Ethernet in nanoseconds, cooked in
// microseconds, raw IP in 1/1024 seconds with an offset, and a second Ethernet
// that appears late.
func mixedNG() []byte {
	n := &ng{order: binary.LittleEndian}
	n.section(n.text(2, "a small machine"), n.text(3, "Linux"), n.text(4, "bpflab"), n.text(1, "made by go generate"))
	n.iface(cbpf.LinkEthernet, 262144, n.text(2, "eth0"), n.text(3, "uplink"), n.option(9, []byte{9}))
	n.iface(cbpf.LinkLinuxSLL, 0, n.text(2, "any"))
	offset := binary.LittleEndian.AppendUint64(nil, 1767600000)
	n.iface(cbpf.LinkRaw, 65535, n.text(2, "tun0"), n.option(9, []byte{0x8a}), n.option(14, offset))
	n.block(0x0bad, []byte("a block that nobody knows..."))

	ether, cooked, raw := packets.Traffic(cbpf.LinkEthernet), packets.Traffic(cbpf.LinkLinuxSLL), packets.Traffic(cbpf.LinkRaw)
	for i := range 100 {
		switch i % 5 {
		case 0, 1:
			flags := uint32(1 + i%2) // inbound, outbound
			n.enhanced(0, uint64(ether[i].Time)+uint64(i), ether[i].Data, n.number(2, flags),
				n.text(1, "a comment"), n.number(6, uint32(i%4)), n.option(3, []byte{5, 1, 2, 3, byte(i)}))
		case 2:
			n.enhanced(1, uint64(cooked[i].Time/1000), cooked[i].Data)
		case 3:
			stamp := uint64(raw[i].Time-1767600000*1e9) * 1024 / 1e9
			n.enhanced(2, stamp, raw[i].Data)
		case 4:
			n.simple(ether[i].Data)
		}
		if i == 50 {
			n.block(5, append32(n.order, nil, 0, 0, 0)) // interface statistics
			n.iface(cbpf.LinkEthernet, 0, n.text(2, "eth1"))
		}
		if i > 50 && i%7 == 0 {
			n.obsolete(3, uint64(ether[i].Time/1000), ether[i].Data, n.number(2, 1))
		}
	}
	return n.file
}

// sectionsNG has a big-endian and a little-endian section, as two captures
// that were concatenated: interfaces are numbered anew in each.
func sectionsNG() []byte {
	n := &ng{order: binary.BigEndian}
	ether := packets.Traffic(cbpf.LinkEthernet)
	for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		n.order = order
		n.section(n.text(3, "an operating system"))
		n.iface(cbpf.LinkEthernet, 0, n.text(2, "first"), n.option(9, []byte{6}))
		n.iface(cbpf.LinkEthernet, 0, n.text(2, "second"), n.option(9, []byte{9}))
		for _, f := range ether[:20] {
			n.enhanced(0, uint64(f.Time/1000), f.Data, n.number(2, 1))
			n.enhanced(1, uint64(f.Time), f.Data, n.text(1, "again"))
		}
	}
	return n.file
}
