package programs

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// Frame returns a random Ethernet frame: a stack of headers in which mostly one
// announces the next, of all kinds into which Linux looks for the transport
// header, with a random byte changed now and then, and often cut short.
func Frame(r *rand.Rand) []byte {
	f := &frame{Rand: r}
	f.random(12)
	if r.IntN(4) == 0 {
		f.data[0] |= 1 // to a group
	}
	f.etherType()
	for range r.IntN(20) {
		f.header()
	}
	f.random(6 + r.IntN(200))
	if r.IntN(4) == 0 {
		f.data[14+r.IntN(len(f.data)-13)-1] = byte(r.Uint32())
	}
	n := len(f.data)
	if r.IntN(3) == 0 {
		n = 14 + r.IntN(n-13)
	}
	// Linux drops a frame of which it can't take the VLAN tag out, before
	// any filter sees it.
	return f.data[:min(max(n, 20), len(f.data), 1500)]
}

// A frame under construction. Exactly one of ether and ip names what is next.
type frame struct {
	*rand.Rand
	data  []byte
	ether uint16
	ip    uint8
	isIP  bool // ip names it
}

// etherTypes and ipProtocols are what a header may announce, common ones more
// than once.
var (
	etherTypes = []uint16{
		0x0800, 0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x86dd, 0x8100, 0x8100, 0x88a8,
		0x8864, 0x8847, 0x8848, 0x0806, 0x8035, 0x88ca, 0x8906, 0x88f7, 0x4305, 0x8902, 0x88fb, 0x892f,
	}
	ipProtocols = []uint8{
		6, 6, 6, 17, 17, 1, 58, 2, 33, 132, 136, 47, 47, 47, 4, 4, 41, 41, 137, 0, 43, 60, 44, 50, 51, 115, 200,
	}
	pppProtocols = []uint16{0x0021, 0x0057, 0x0281, 0x0283, 0xc021, 0x0100, 0x0101}
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (f *frame) random(n int) {
	for range n {
		f.data = append(f.data, byte(f.Uint32()>>(f.IntN(4)*8)))
	}
}

func (f *frame) put(b ...byte)  { f.data = append(f.data, b...) }
func (f *frame) put16(v uint16) { f.data = binary.BigEndian.AppendUint16(f.data, v) }

// etherType writes an EtherType and remembers it.
func (f *frame) etherType() {
	f.ether, f.isIP = pick(f.Rand, etherTypes), false
	if f.IntN(60) == 0 {
		f.ether = uint16(f.Uint32())
	}
	f.put16(f.ether)
}

// next chooses an IP protocol for the header at hand to announce.
func (f *frame) next() uint8 {
	f.ip, f.isIP = pick(f.Rand, ipProtocols), true
	return f.ip
}

func (f *frame) header() {
	if f.isIP {
		f.inIP()
		return
	}
	switch f.ether {
	case 0x0800:
		f.ipv4()
	case 0x86dd:
		f.put(0x60, 0, 0, 0, 0, 40, f.next(), 64)
		f.random(32)
	case 0x8100, 0x88a8:
		f.random(2)
		f.etherType()
	case 0x8864:
		f.put(0x11, 0, 0, 1, 0, 100)
		f.ppp()
	case 0x8847, 0x8848:
		f.random(4)
	case 0x4305:
		f.put(0x40, 15)
		f.random(20)
		f.etherType()
	case 0x88fb, 0x892f:
		f.random(4)
		f.etherType()
	default:
		f.random(40)
	}
}

func (f *frame) ppp() {
	p := pick(f.Rand, pppProtocols)
	f.put16(p)
	f.isIP = false
	switch p {
	case 0x0021:
		f.ether = 0x0800
	case 0x0057:
		f.ether = 0x86dd
	case 0x0281, 0x0283:
		f.ether = 0x8847
	}
}

func (f *frame) ipv4() {
	words := 5
	if f.IntN(4) == 0 {
		words = f.IntN(16)
	}
	var fragment uint16
	if f.IntN(8) == 0 {
		fragment = pick(f.Rand, []uint16{0x2000, 0x4000, 0x2001, 0x0001, 0x1fff, 0x8000})
	}
	f.put(0x40|byte(words), 0, 1, 0, 0, 0)
	f.put16(fragment)
	f.put(64, f.next(), 0, 0)
	f.random(8)
	f.random(max(0, 4*words-20))
}

func (f *frame) inIP() {
	switch f.ip {
	case 0, 43, 60:
		words := f.IntN(3)
		f.put(f.next(), byte(words))
		f.random(6 + 8*words)
	case 44:
		f.put(f.next(), 0)
		f.put16(pick(f.Rand, []uint16{0, 1, 8, 9, 0xfff8}))
		f.random(4)
	case 4:
		f.ether = 0x0800
		f.ipv4()
	case 41:
		f.ether, f.isIP = 0x86dd, false
		f.header()
	case 137:
		f.random(4)
	case 47:
		f.gre()
	case 6:
		f.random(12)
		f.put(byte(f.IntN(16) << 4))
		f.random(7)
	default:
		f.random(12)
	}
}

func (f *frame) gre() {
	flags := pick(f.Rand, []uint16{0, 0, 0, 0x8000, 0x2000, 0x1000, 0xb000, 0x4000, 2, 0x2001, 0x3081, 1})
	f.put16(flags)
	f.isIP = false
	switch {
	case flags&7 == 1 && f.IntN(4) > 0:
		f.put16(0x880b)
	case f.IntN(3) == 0:
		f.ether = 0x6558
		f.put16(f.ether)
	default:
		f.etherType()
	}
	for _, bit := range []uint16{0x8000, 0x2000, 0x1000, 0x0080} {
		if flags&bit != 0 {
			f.random(4)
		}
	}
	if flags&7 == 1 {
		f.put(0xff, 3)
		f.ppp()
	} else if f.ether == 0x6558 {
		f.random(12)
		f.etherType()
	}
	f.data = slices.Clip(f.data)
}
