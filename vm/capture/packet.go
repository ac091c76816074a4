package capture

import (
	"slices"
	"time"

	"github.com/bpflab/bpflab/cbpf"
)

// A Packet is one captured packet. What [Reader.Next] returns is valid until
// the next call of Next, because Data and Options lie in the reader's buffer;
// Clone makes a lasting copy.
type Packet struct {
	Time      int64         // nanoseconds since 1970, UTC; 0 in a simple packet block, which has no time
	Data      []byte        // the captured bytes, from the link header on
	WireLen   uint32        // length on the wire; in a sound capture at least len(Data)
	Interface int           // index into [Reader.Interfaces]; always 0 in pcap
	LinkType  cbpf.LinkType // of that interface
	Options   Options       // comments, flags and more, in pcapng only

	interfaces []Interface // pcapng only: those described before the packet, over all sections
	ng         bool        // came from a pcapng file
	simple     bool        // came from a simple packet block
	device     device      // see SetDevice
}

// device is what the modified pcap variant stores in each record header, and
// what a live capture knows of each packet.
type device struct {
	known   bool
	ifIndex uint32
	pktType uint8
}

// Timestamp returns the packet's time as a [time.Time] in UTC.
func (p *Packet) Timestamp() time.Time { return time.Unix(0, p.Time).UTC() }

// SetDevice says where a packet comes from that is not read from a file: the
// index of the interface and the packet type, PACKET_HOST to PACKET_OUTGOING of
// <linux/if_packet.h>. [Packet.Metadata] tells both, and a [Writer] of pcapng
// writes the type as the packet's flags.
func (p *Packet) SetDevice(ifIndex uint32, pktType uint8) {
	p.device = device{known: true, ifIndex: ifIndex, pktType: pktType}
}

// Clone returns a copy that shares nothing with the reader's buffer.
func (p *Packet) Clone() *Packet {
	q := *p
	q.Data = slices.Clone(p.Data)
	q.Options.raw = slices.Clone(p.Options.raw)
	return &q
}

// CloneInto is Clone for many packets at once: it appends the packet's bytes
// to buf, and returns a packet that refers to them there, and the longer buf.
func (p *Packet) CloneInto(buf []byte) (Packet, []byte) {
	q := *p
	start := len(buf)
	buf = append(buf, p.Data...)
	middle := len(buf)
	buf = append(buf, p.Options.raw...)
	q.Data = buf[start:middle:middle]
	q.Options.raw = buf[middle:len(buf):len(buf)]
	return q, buf
}

// An Interface is where packets of a capture came from. A pcap file has one,
// a pcapng file one for each interface description block.
type Interface struct {
	LinkType cbpf.LinkType
	SnapLen  uint32  // most bytes captured of a packet, as the file says; 0 for no limit. Not enforced
	Options  Options // in pcapng only: name, time resolution, address, filter and more

	clock    clock
	offset   int64  // pcapng only: where its block begins in the uncompressed input
	linkBits uint32 // pcap only: the bits above the link type (length of the check sequence)
}

// Name returns the interface's name in a pcapng file, or "".
func (i *Interface) Name() string {
	v, _ := i.Options.Get(OptIfName)
	return string(v)
}

// A Format is the kind of a capture file.
type Format uint8

const (
	Pcap   Format = iota // the libpcap format, version 2.4
	PcapNG               // the block format, with interfaces, options and comments
)

func (f Format) String() string {
	if f == PcapNG {
		return "pcapng"
	}
	return "pcap"
}
