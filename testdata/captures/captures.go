// Package captures holds capture files for tests and examples, and makes them:
// the files beside this one are what Files returns, written by
//
//	go generate ./vm/capture
//
// They are written here byte by byte and not with vm/capture, which reads them
// in its tests, and so that they may have what no sane writer makes.
package captures

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
)

// A File is one capture.
type File struct {
	Name string
	Data []byte
}

// Magic numbers of the pcap variants.
const (
	micro    = 0xa1b2c3d4
	nano     = 0xa1b23c4d
	modified = 0xa1b2cd34
)

// Files makes all captures.
func Files() []File {
	little, big := binary.LittleEndian, binary.BigEndian
	traffic := packets.Traffic(cbpf.LinkEthernet)
	mixed := pcap{little, micro, cbpf.LinkEthernet, 262144}.file(traffic)
	ng := mixedNG()
	files := []File{
		// The README's example: half a minute on a small network.
		{"mixed.pcap", mixed},
		{"mixed.pcap.gz", gz(mixed)},
		{"mixed.pcap.zst", zst(mixed)},
		{"ns.pcap", pcap{little, nano, cbpf.LinkEthernet, 262144}.file(finer(traffic[:60]))},
		{"big-endian.pcap", pcap{big, micro, cbpf.LinkEthernet, 262144}.file(traffic[:60])},
		{"modified.pcap", pcap{little, modified, cbpf.LinkEthernet, 262144}.file(traffic[:60])},
		{"snaplen.pcap", pcap{little, micro, cbpf.LinkEthernet, 60}.file(traffic[:100])},

		// Every protocol that the filter language names, on Ethernet, then
		// those of them that encapsulate.
		{"samples.pcap", samples(cbpf.LinkEthernet, func(string) bool { return true })},
		{"encap.pcap", samples(cbpf.LinkEthernet, encapsulates)},

		// The other link types: traffic, then every protocol.
		{"null-big-endian.pcap", onLink(big, cbpf.LinkNull)},

		// Several interfaces with different link types, all kinds of packet
		// blocks, options; then two sections with different byte orders.
		{"mixed.pcapng", ng},
		{"mixed.pcapng.gz", gz(ng)},
		{"sections.pcapng", sectionsNG()},

		// Damaged: cut within a packet; a length of garbage after noise; a
		// claim of 1 GiB in 40 bytes.
		{"truncated.pcap", mixed[:20000]},
		{"truncated.pcap.gz", gz(mixed)[:6000]},
		{"truncated.pcapng", ng[:len(ng)-21]},
		{"corrupt.pcap", corrupt()},
		{"corrupt.pcapng", slices.Concat(ng[:3000], bytes.Repeat([]byte{0xee}, 64))},
		{"hostile.pcap", slices.Concat(mixed[:24], le32(0, 0, 1<<30, 1<<30))},
	}
	for _, lt := range cbpf.LinkTypes()[1:] {
		name := strings.ReplaceAll(strings.ToLower(lt.String()), "linux_", "")
		files = append(files, File{name + ".pcap", onLink(little, lt)})
	}
	return files
}

// A pcap is the header of a pcap file to be.
type pcap struct {
	order    binary.AppendByteOrder
	magic    uint32
	linkType cbpf.LinkType
	snapLen  uint32
}

func (f pcap) file(frames []packets.Frame) []byte {
	b := f.order.AppendUint32(nil, f.magic)
	b = f.order.AppendUint16(f.order.AppendUint16(b, 2), 4)
	b = append32(f.order, b, 0, 0, f.snapLen, uint32(f.linkType))
	for _, p := range frames {
		sec, fraction := uint32(p.Time/1e9), uint32(p.Time%1e9)
		if f.magic != nano {
			fraction /= 1000
		}
		data := p.Data[:min(len(p.Data), int(f.snapLen))]
		b = append32(f.order, b, sec, fraction, uint32(len(data)), uint32(len(p.Data)))
		if f.magic == modified { // interface index, EtherType, packet type, a pad byte
			b = f.order.AppendUint32(b, 2)
			b = f.order.AppendUint16(b, binary.BigEndian.Uint16(data[12:]))
			b = append(b, 4, 0)
		}
		b = append(b, data...)
	}
	return b
}

func append32(order binary.AppendByteOrder, b []byte, fields ...uint32) []byte {
	for _, f := range fields {
		b = order.AppendUint32(b, f)
	}
	return b
}

func le32(fields ...uint32) []byte { return append32(binary.LittleEndian, nil, fields...) }

// finer gives every time some nanoseconds.
func finer(frames []packets.Frame) []packets.Frame {
	out := slices.Clone(frames)
	for i := range out {
		out[i].Time += int64(i) * 7 % 1000
	}
	return out
}

// sampleFrames are a link type's samples, a millisecond apart.
func sampleFrames(lt cbpf.LinkType, keep func(name string) bool) []packets.Frame {
	now := int64(1767609000 * 1e9)
	var frames []packets.Frame
	for _, s := range packets.Samples(lt) {
		if keep(s.Name) {
			frames = append(frames, packets.Frame{Time: now, Data: s.Data})
			now += 1e6
		}
	}
	return frames
}

func samples(lt cbpf.LinkType, keep func(name string) bool) []byte {
	return pcap{binary.LittleEndian, micro, lt, 262144}.file(sampleFrames(lt, keep))
}

func encapsulates(name string) bool {
	return slices.ContainsFunc([]string{"vlan", "qinq", "8100", "mpls", "pppoe", "geneve", "gre", "88a8", "tags"},
		func(word string) bool { return strings.Contains(name, word) })
}

func onLink(order binary.AppendByteOrder, lt cbpf.LinkType) []byte {
	frames := slices.Concat(packets.Traffic(lt), sampleFrames(lt, func(string) bool { return true }))
	if lt == cbpf.LinkNull && order == binary.AppendByteOrder(binary.BigEndian) {
		for i := range frames { // the address family is in the byte order of the file
			frames[i].Data = slices.Clone(frames[i].Data)
			slices.Reverse(frames[i].Data[:4])
		}
	}
	return pcap{order, micro, lt, 262144}.file(frames)
}

// corrupt is a capture of spoilt packets that ends in a spoilt record header.
func corrupt() []byte {
	var frames []packets.Frame
	for i, p := range packets.Generate(cbpf.LinkEthernet, 3, 600)[400:] {
		frames = append(frames, packets.Frame{Time: 1767609000*1e9 + int64(i)*1e6, Data: p.Data})
	}
	b := pcap{binary.LittleEndian, micro, cbpf.LinkEthernet, 65535}.file(frames)
	return slices.Concat(b, bytes.Repeat([]byte{0xee}, 64))
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b) // to memory: cannot fail
	w.Close()
	return out.Bytes()
}

func zst(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err) // no options, so none can be wrong
	}
	return w.EncodeAll(b, nil)
}
