package capture_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/bpflab/bpflab/vm/capture"
)

// FuzzPcap and FuzzPcapNG read anything that begins as a capture. Whatever
// comes out does so in batches and pieces, too, and can be written, and the copy
// reads the same: without an error and with the same packets.
func FuzzPcap(f *testing.F) {
	for _, name := range []string{"mixed.pcap", "ns.pcap", "big-endian.pcap", "modified.pcap", "null.pcap"} {
		f.Add(committed(f, name)[:400])
	}
	f.Add(committed(f, "hostile.pcap"))
	f.Add(le(0xa1b2c3d4, uint16(2), uint16(3), 0, 0, 100, 0x24000001, 1, 2, 60, 4, "data"))
	f.Fuzz(checkCopy)
}

func FuzzPcapNG(f *testing.F) {
	f.Add(committed(f, "mixed.pcapng")[:1200])
	sections := committed(f, "sections.pcapng")
	f.Add(sections[:600])
	f.Add(append(append([]byte(nil), sections[:600]...), sections[len(sections)/2:][:600]...))
	f.Add(le(sectionBlk, ifaceBlk, 3, 20, 4, "data", 20, 0xbad, 16, 0, 16))
	f.Fuzz(checkCopy)
}

// FuzzCompressed lets the decompressors have anything.
func FuzzCompressed(f *testing.F) {
	for _, name := range []string{"mixed.pcap.gz", "mixed.pcap.zst"} {
		f.Add(committed(f, name)[:300])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 || data[0] != 0x1f && data[0] != 0x28 && data[0]&0xf0 != 0x50 {
			return
		}
		r, err := capture.NewReader(bytes.NewReader(data))
		for n := 0; err == nil && n < 1000; n++ {
			_, err = r.Next()
		}
	})
}

func checkCopy(t *testing.T, data []byte) {
	if len(data) > 0 && (data[0] == 0x1f || data[0] == 0x28 || data[0]&0xf0 == 0x50) {
		return // compressed: FuzzCompressed's
	}
	read, r, err := readAll(bytes.NewReader(data))
	if r == nil {
		if err == nil {
			t.Fatal("neither a reader nor an error")
		}
		return
	}
	sameReadings(t, "the input", func() io.Reader { return bytes.NewReader(data) })
	written, err := rewrite(data)
	if err != nil {
		t.Fatalf("cannot write what was read: %v", err)
	}
	copied, r2, err := readAll(bytes.NewReader(written))
	if err != nil {
		t.Fatalf("cannot read what was written: %v", err)
	}
	sameLists(t, "the copy", lasting(copied, r2), lasting(read, r))
	again, err := rewrite(written)
	if err != nil || !bytes.Equal(again, written) {
		t.Fatalf("the copy of the copy differs: %v", err)
	}
	if len(r2.Interfaces()) > len(r.Interfaces()) {
		t.Fatalf("%d interfaces became %d", len(r.Interfaces()), len(r2.Interfaces()))
	}
}

// lasting leaves of a time what every copy keeps, whatever garbage it was:
// the 32 bits of pcap's seconds, nothing in pcapng (TestClock is for that).
func lasting(all []*capture.Packet, r *capture.Reader) []string {
	for _, p := range all {
		if r.Format() == capture.Pcap {
			p.Time %= 1e9 << 32
		} else {
			p.Time = 0
		}
	}
	return summaries(all)
}
