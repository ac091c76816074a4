package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/captures"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// rewrite copies a capture, as far as it can be read.
func rewrite(data []byte) ([]byte, error) {
	r, err := capture.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := capture.NewWriterLike(&out, r)
	for {
		p, err := r.Next()
		if err != nil {
			err = w.Flush()
			return out.Bytes(), err
		}
		if err := w.Write(p); err != nil {
			return nil, err
		}
	}
}

// everything describes packets with all that a pcapng file says of them.
func everything(all []*capture.Packet, r *capture.Reader) []string {
	var out []string
	for _, p := range all {
		s := fmt.Sprintf("%s if %d link %v meta %+v", summary(p.Time, int(p.WireLen), p.Data), p.Interface, p.LinkType, p.Metadata())
		if flags, ok := p.Options.Uint32(capture.OptFlags); ok {
			s += fmt.Sprintf(" flags %d", flags) // their bytes depend on the byte order
		} else {
			s += options(p.Options)
		}
		out = append(out, s+fmt.Sprintf(" %q", p.Options.Comments()))
	}
	for _, i := range r.Interfaces() {
		out = append(out, fmt.Sprintf("interface %v %d", i.LinkType, i.SnapLen)+options(i.Options))
	}
	return out
}

// options lists options in hexadecimal.
func options(o capture.Options) string {
	s := ""
	for code, v := range o.All() {
		s += fmt.Sprintf(" %d=%x", code, v)
	}
	return s
}

func TestWriteLikeRead(t *testing.T) {
	for _, f := range captures.Files() {
		if f.Name == "modified.pcap" {
			continue // its device fields are not written
		}
		want, wantReader, _ := readAll(bytes.NewReader(f.Data))
		written, err := rewrite(f.Data)
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		got, r, err := readAll(bytes.NewReader(written))
		if err != nil {
			t.Errorf("%s, written: %v", f.Name, err)
			continue
		}
		sameLists(t, f.Name, everything(got, r), everything(want, wantReader))
		if again, _ := rewrite(written); !bytes.Equal(again, written) {
			t.Errorf("%s: a copy of the copy differs from the copy", f.Name)
		}
	}
}

// TestCopyIsIdentical: a file that is as we write comes out byte for byte.
func TestCopyIsIdentical(t *testing.T) {
	for _, name := range []string{"mixed.pcap", "ns.pcap", "snaplen.pcap", "sll2.pcap"} {
		data := committed(t, name)
		if copied, err := rewrite(data); err != nil || !bytes.Equal(copied, data) {
			t.Errorf("%s: the copy differs, %v", name, err)
		}
	}
}

// TestWriteLikeNothing: a capture of which no packet is taken still has an
// interface, without which libpcap does not open it.
func TestWriteLikeNothing(t *testing.T) {
	for _, name := range []string{"mixed.pcapng", "sections.pcapng", "mixed.pcap"} {
		in, err := capture.NewReader(bytes.NewReader(committed(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := capture.NewWriterLike(&out, in).Flush(); err != nil {
			t.Fatal(err)
		}
		packets, r, err := readAll(&out)
		if err != nil || len(packets) != 0 || len(r.Interfaces()) != 1 {
			t.Errorf("%s: %d packets, interfaces %v, %v; want no packet and one interface", name, len(packets), r.Interfaces(), err)
		}
	}
}

func TestTcpdumpReadsWhatWeWrite(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"mixed.pcap", "ns.pcap", "big-endian.pcap", "modified.pcap", "null-big-endian.pcap"} {
		data := committed(t, name)
		written, err := rewrite(data)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, written, 0o600); err != nil {
			t.Fatal(err)
		}
		got, complaint := throughTcpdump(t, file)
		want, _, _ := readAll(bytes.NewReader(data))
		sameLists(t, name+complaint, got, summaries(want))
	}
}

func TestTsharkReadsOurPcapNG(t *testing.T) {
	tshark := require.Command(t, "tshark")
	for _, name := range []string{"mixed.pcapng", "sections.pcapng"} {
		data := committed(t, name)
		written, err := rewrite(data)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, written, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "frame.cap_len",
			"-e", "frame.interface_name", "-e", "frame.comment", "-e", "frame.packet_flags_direction").Output()
		if err != nil {
			t.Fatal(err)
		}
		packets, r, _ := readAll(bytes.NewReader(data))
		var want []string
		for _, p := range packets {
			direction := ""
			if flags, ok := p.Options.Uint32(capture.OptFlags); ok {
				direction = fmt.Sprintf("0x%08x", flags&3)
			}
			want = append(want, fmt.Sprintf("%d\t%s\t%s\t%s", len(p.Data), r.Interfaces()[p.Interface].Name(),
				strings.Join(p.Options.Comments(), ","), direction))
		}
		sameLists(t, name, strings.Split(strings.TrimRight(string(out), "\n"), "\n"), want)
	}
}

// TestNewWriter writes packets that come from no file.
func TestNewWriter(t *testing.T) {
	for _, o := range []capture.WriterOptions{
		{LinkType: cbpf.LinkEthernet},
		{LinkType: cbpf.LinkEthernet, Nanoseconds: true},
		{LinkType: cbpf.LinkEthernet, Format: capture.PcapNG},
		{LinkType: cbpf.LinkEthernet, Format: capture.PcapNG, Nanoseconds: true, SnapLen: 96},
	} {
		var file bytes.Buffer
		w := capture.NewWriter(&file, o)
		var want []string
		for i, g := range packets.Generate(cbpf.LinkEthernet, 5, 3000) {
			p := &capture.Packet{Time: 1767605400123456789 + int64(i), Data: g.Data, WireLen: g.WireLen, LinkType: cbpf.LinkEthernet}
			if err := w.Write(p); err != nil {
				t.Fatal(err)
			}
			if !o.Nanoseconds {
				p.Time -= p.Time % 1000
			}
			want = append(want, summary(p.Time, int(p.WireLen), p.Data))
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got, r, err := readAll(&file)
		if err != nil || r.Format() != o.Format {
			t.Fatalf("%+v: format %v, %v", o, r.Format(), err)
		}
		sameLists(t, fmt.Sprintf("%+v", o), summaries(got), want)
	}
}

func TestWriterRefuses(t *testing.T) {
	ether := &capture.Packet{LinkType: cbpf.LinkEthernet}
	raw := &capture.Packet{LinkType: cbpf.LinkRaw}
	other := &capture.Packet{LinkType: cbpf.LinkEthernet, Interface: 1}
	pcap := capture.NewWriter(io.Discard, capture.WriterOptions{LinkType: cbpf.LinkEthernet})
	ng := capture.NewWriter(io.Discard, capture.WriterOptions{LinkType: cbpf.LinkEthernet, Format: capture.PcapNG})
	_, addErr := pcap.AddInterface(capture.Interface{})
	for _, c := range []struct {
		err  error
		want string
	}{
		{pcap.Write(ether), "<nil>"},
		{pcap.Write(other), "<nil>"}, // one file for all interfaces of the same type
		{pcap.Write(raw), "a pcap file has one link type, and this one is EN10MB: a packet of link type RAW needs pcapng"},
		{addErr, "a pcap file has one interface: write pcapng"},
		{ng.Write(ether), "<nil>"},
		{ng.Write(raw), "interface 0 has link type EN10MB, the packet RAW"},
		{ng.Write(other), "the packet's interface 1 has not been added"},
	} {
		if fmt.Sprint(c.err) != c.want {
			t.Errorf("error %v, want %s", c.err, c.want)
		}
	}
}

func TestAddInterface(t *testing.T) {
	var file bytes.Buffer
	w := capture.NewWriter(&file, capture.WriterOptions{LinkType: cbpf.LinkEthernet, Format: capture.PcapNG})
	i := capture.Interface{LinkType: cbpf.LinkRaw, SnapLen: 1500}
	i.Options.Add(capture.OptIfName, []byte("tun7"))
	i.Options.Add(capture.OptIfTsResol, []byte{12}) // picoseconds: 64 bits hold 213 days of them
	i.Options.Add(capture.OptIfTsOffset, binary.LittleEndian.AppendUint64(nil, 1767605000))
	number, err := w.AddInterface(i)
	if err != nil || number != 1 {
		t.Fatalf("interface %d, %v", number, err)
	}
	p := &capture.Packet{Time: 1767605400123456789, Data: []byte("E..."), WireLen: 99, LinkType: cbpf.LinkRaw, Interface: 1}
	p.Options.Add(capture.OptComment, []byte("the first"))
	p.Options.Add(capture.OptFlags, []byte{2, 0, 0, 0})
	p.Options.Add(capture.OptComment, []byte("the second"))
	if err := errors.Join(w.Write(p), w.Flush()); err != nil {
		t.Fatal(err)
	}
	got, r, err := readAll(&file)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d packets, %v", len(got), err)
	}
	q := got[0]
	if q.Time != p.Time || string(q.Data) != "E..." || q.LinkType != cbpf.LinkRaw || r.Interfaces()[q.Interface].Name() != "tun7" {
		t.Errorf("%+v", q)
	}
	if c := q.Options.Comments(); !slices.Equal(c, []string{"the first", "the second"}) {
		t.Errorf("comments %q", c)
	}
	if m := q.Metadata(); m.PacketType != 4 || m.IfIndex != 2 || !m.HasDevice {
		t.Errorf("metadata %+v", m)
	}
	if _, err := capture.NewWriterLike(io.Discard, r).AddInterface(i); err == nil {
		t.Error("an interface is added to those of a reader")
	}
	bad := capture.Interface{}
	bad.Options.Add(capture.OptIfTsResol, []byte{20})
	if _, err := w.AddInterface(bad); err == nil {
		t.Error("a time resolution of 10^-20 is taken")
	}
}

// TestAddOptionToReadPacket: an option goes before the end mark of the list that
// was read, and leaves the reader's buffer alone.
func TestAddOptionToReadPacket(t *testing.T) {
	data := committed(t, "mixed.pcapng")
	want, _, _ := readAll(bytes.NewReader(data))
	r, err := capture.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		p, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if summary(p.Time, int(p.WireLen), p.Data) != summaries(want[i : i+1])[0] {
			t.Fatalf("packet %d is damaged", i+1)
		}
		p.Options.Add(capture.OptComment, []byte("seen"))
		if c := p.Options.Comments(); !slices.Equal(c, append(w.Options.Comments(), "seen")) {
			t.Fatalf("packet %d: comments %q", i+1, c)
		}
	}
}

// full is a device without space.
type full struct{ writes int }

var errFull = errors.New("no space left on device")

func (f *full) Write(b []byte) (int, error) {
	f.writes++
	return 0, errFull
}

func TestWriteError(t *testing.T) {
	device := &full{}
	w := capture.NewWriter(device, capture.WriterOptions{LinkType: cbpf.LinkEthernet})
	p := &capture.Packet{Data: make([]byte, 1000), WireLen: 1000, LinkType: cbpf.LinkEthernet}
	var err error
	for range 1000 {
		if err = w.Write(p); err != nil {
			break
		}
	}
	if err != errFull || w.Write(p) != errFull || w.Flush() != errFull || device.writes != 1 {
		t.Errorf("error %v after %d writes", err, device.writes)
	}
}

// TestByteOrderOfOptions: numbers in options keep their value where the byte
// order changes, text and bytes stay as they are.
func TestByteOrderOfOptions(t *testing.T) {
	be := func(fields ...any) []byte { return ordered(binary.BigEndian, fields...) }
	opt := func(code uint16, v string) []byte {
		return be(code, uint16(len(v)), v, make([]byte, -len(v)&3))
	}
	ifOptions := slices.Concat(opt(2, "eth0"), opt(8, "\x00\x00\x00\x00\x3b\x9a\xca\x00"), opt(10, "\x00\x00\x0e\x10"), be(0))
	packetOptions := slices.Concat(opt(1, "hello"), opt(2, "\x00\x00\x00\x02"), opt(4, "\x00\x00\x00\x00\x00\x00\x00\x07"),
		opt(6, "\x00\x00\x00\x03"), opt(2989, "\x00\x00\x7e\xd9bytes"), opt(3, "\x05abcd"), opt(2, "\x01"), be(0))
	block := func(kind int, body []byte) []byte { return be(kind, len(body)+12, body, len(body)+12) }
	data := slices.Concat(
		block(0x0a0d0d0a, be(0x1a2b3c4d, uint16(1), uint16(0), -1, -1)),
		block(1, be(uint16(1), uint16(0), 0, ifOptions)),
		block(6, be(0, 0, 1, 4, 4, "data", packetOptions)))
	written, err := rewrite(data)
	if err != nil {
		t.Fatal(err)
	}
	got, r, err := readAll(bytes.NewReader(written))
	if err != nil || len(got) != 1 {
		t.Fatalf("%d packets, %v", len(got), err)
	}
	want := " 1=68656c6c6f 2=02000000 4=0700000000000000 6=03000000 2989=d97e00006279746573 3=0561626364 2=01"
	if s := options(got[0].Options); s != want {
		t.Errorf("packet options%s, want%s", s, want)
	}
	want = " 2=65746830 8=00ca9a3b00000000 10=100e0000"
	if s := options(r.Interfaces()[0].Options); s != want {
		t.Errorf("interface options%s, want%s", s, want)
	}
}
