package capture_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"

	"github.com/bpflab/bpflab/testdata/captures"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// readAll reads a capture to its end, and returns copies of the packets.
func readAll(src io.Reader) (all []*capture.Packet, r *capture.Reader, err error) {
	r, err = capture.NewReader(src)
	if err != nil {
		return nil, nil, err
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			return all, r, nil
		}
		if err != nil {
			return all, r, err
		}
		all = append(all, p.Clone())
	}
}

// committed returns the bytes of a file under testdata/captures.
func committed(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(captureDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// summary is what two readers must agree on, in a form that is easy to compare.
func summary(time int64, wireLen int, data []byte) string {
	return fmt.Sprintf("%d.%09d wire %d %x", time/1e9, time%1e9, wireLen, data)
}

func summaries(packets []*capture.Packet) []string {
	var all []string
	for _, p := range packets {
		all = append(all, summary(p.Time, int(p.WireLen), p.Data))
	}
	return all
}

// sameLists reports the first difference.
func sameLists(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s: packet %d is\n%s, want\n%s", what, i+1, got[i], want[i])
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d packets, want %d", what, len(got), len(want))
	}
}

// throughTcpdump lets tcpdump read a file and write it again, and reads that
// with gopacket: nothing of ours is involved.
func throughTcpdump(t *testing.T, file string) (all []string, complaint string) {
	t.Helper()
	cmd := exec.Command(require.Command(t, "tcpdump"), "--time-stamp-precision=nano", "-r", file, "-w", "-")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if err != nil {
		complaint = stderr.String()
	}
	r, err := pcapgo.NewReader(&out)
	if err != nil {
		return nil, cmp.Or(complaint, err.Error())
	}
	for {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			return all, complaint
		}
		all = append(all, summary(ci.Timestamp.UnixNano(), ci.Length, data))
	}
}

// TestAgainstTcpdump compares with libpcap on every pcap file. Of pcapng it reads
// neither several link types nor several byte orders.
func TestAgainstTcpdump(t *testing.T) {
	for _, f := range captures.Files() {
		if filepath.Ext(f.Name) != ".pcap" {
			continue
		}
		want, complaint := throughTcpdump(t, filepath.Join(captureDir, f.Name))
		got, _, err := readAll(bytes.NewReader(f.Data))
		sameLists(t, f.Name, summaries(got), want)
		if (err != nil) != (complaint != "") {
			t.Errorf("%s: error %v, tcpdump says %q", f.Name, err, complaint)
		}
	}
}

func TestAgainstGopacket(t *testing.T) {
	for _, name := range []string{"mixed.pcapng", "sections.pcapng", "truncated.pcapng"} {
		data := committed(t, name)
		r, err := pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			t.Fatal(err)
		}
		got, _, _ := readAll(bytes.NewReader(data))
		var want []string
		for {
			data, ci, err := r.ReadPacketData()
			if err != nil {
				break
			}
			if ci.InterfaceIndex == 2 { // rounds 1/1024 seconds to something else
				ci.Timestamp = got[min(len(want), len(got)-1)].Timestamp()
			}
			want = append(want, summary(stamp(ci), ci.Length, data))
		}
		sameLists(t, name, summaries(got), want)
	}
}

// stamp is a packet's time, 0 for the zero time that gopacket gives packets without one.
func stamp(ci gopacket.CaptureInfo) int64 {
	if ci.Timestamp.IsZero() {
		return 0
	}
	return ci.Timestamp.UnixNano()
}

// TestAgainstTshark compares times, lengths, interfaces and comments of pcapng.
func TestAgainstTshark(t *testing.T) {
	tshark := require.Command(t, "tshark")
	for _, name := range []string{"mixed.pcapng", "sections.pcapng"} {
		out, err := exec.Command(tshark, "-r", filepath.Join(captureDir, name), "-Y", "frame.interface_id",
			"-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len",
			"-e", "frame.interface_name", "-e", "frame.comment").Output()
		if err != nil {
			t.Fatal(err)
		}
		packets, r, err := readAll(bytes.NewReader(committed(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range packets {
			time := fmt.Sprintf("%d.%09d", p.Time/1e9, p.Time%1e9)
			if p.Time == 0 {
				time = ""
			}
			got = append(got, fmt.Sprintf("%s\t%d\t%d\t%s\t%s", time, p.WireLen, len(p.Data),
				r.Interfaces()[p.Interface].Name(), strings.Join(p.Options.Comments(), ",")))
		}
		sameLists(t, name, got, strings.Split(strings.TrimRight(string(out), "\n"), "\n"))
	}
}

func TestCompressedAndPlainAreTheSame(t *testing.T) {
	for _, pair := range [][2]string{
		{"mixed.pcap.gz", "mixed.pcap"}, {"mixed.pcap.zst", "mixed.pcap"}, {"mixed.pcapng.gz", "mixed.pcapng"},
	} {
		got, _, err := readAll(bytes.NewReader(committed(t, pair[0])))
		if err != nil {
			t.Errorf("%s: %v", pair[0], err)
		}
		want, _, _ := readAll(bytes.NewReader(committed(t, pair[1])))
		sameLists(t, pair[0], summaries(got), summaries(want))
	}
}

// TestSlowInput reads from inputs that give little at a time, or their end
// together with the last bytes.
func TestSlowInput(t *testing.T) {
	for _, name := range []string{"mixed.pcap", "mixed.pcapng", "mixed.pcap.zst", "truncated.pcapng"} {
		data := committed(t, name)
		want, _, wantErr := readAll(bytes.NewReader(data))
		for kind, wrap := range map[string]func(io.Reader) io.Reader{
			"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "data with error": iotest.DataErrReader,
		} {
			got, _, err := readAll(wrap(bytes.NewReader(data)))
			sameLists(t, name+", "+kind, summaries(got), summaries(want))
			if fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%s, %s: error %v, want %v", name, kind, err, wantErr)
			}
		}
	}
}

// TestBuffered: the reader says before every packet whether it must ask for more
// bytes, and is right.
func TestBuffered(t *testing.T) {
	for _, name := range []string{"mixed.pcap", "big-endian.pcap", "mixed.pcapng"} {
		data := committed(t, name)
		trickle := iotest.OneByteReader(bytes.NewReader(data[:4000]))
		if yes, no := askBuffered(t, name, trickle); yes > 0 || no == 0 {
			t.Errorf("%s, byte by byte: %d times buffered, %d times not", name, yes, no)
		}
		if yes, no := askBuffered(t, name, bytes.NewReader(data)); yes == 0 || no == 0 {
			t.Errorf("%s: %d times buffered, %d times not", name, yes, no)
		}
	}
}

// askBuffered counts the answers, and checks each.
func askBuffered(t *testing.T, name string, in io.Reader) (yes, no int) {
	src := &countingReader{src: in}
	r, err := capture.NewReader(src)
	for err == nil {
		before, buffered := src.calls, r.Buffered()
		_, err = r.Next()
		if buffered {
			yes++
		} else {
			no++
		}
		if buffered == (src.calls > before) {
			t.Fatalf("%s: after %d packets Buffered is %v, and Next makes %d calls", name, yes+no-1, buffered, src.calls-before)
		}
	}
	return yes, no
}

type countingReader struct {
	src   io.Reader
	calls int
}

func (c *countingReader) Read(b []byte) (int, error) {
	c.calls++
	return c.src.Read(b)
}

func TestInputError(t *testing.T) {
	broken := errors.New("the disk is on fire")
	data := committed(t, "mixed.pcap")[:24+16+10]
	_, _, err := readAll(io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v in its chain", err, broken)
	}
}

func TestErrorIsSticky(t *testing.T) {
	r, err := capture.NewReader(bytes.NewReader(committed(t, "corrupt.pcap")))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = r.Next()
	}
	if _, again := r.Next(); again != err {
		t.Errorf("the error %v is followed by %v", err, again)
	}
}

// TestLargePacketInSmallReads: what has come of a packet is not moved for each
// read, as decompressors and pipes make many. If it were, this would take minutes.
func TestLargePacketInSmallReads(t *testing.T) {
	const size = 2 << 20
	data := le(0xa1b2c3d4, uint16(2), uint16(4), 0, 0, size, 1, 0, 0, size, size, make([]byte, size))
	r, err := capture.NewReader(iotest.OneByteReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Next(); err != nil || len(p.Data) != size {
		t.Fatalf("packet %v, %v; want %d bytes", p, err, size)
	}
}

// le builds little-endian bytes from numbers of their own sizes and strings.
func le(fields ...any) []byte { return ordered(binary.LittleEndian, fields...) }

func ordered(order binary.AppendByteOrder, fields ...any) []byte {
	var b []byte
	for _, f := range fields {
		switch f := f.(type) {
		case int:
			b = order.AppendUint32(b, uint32(f))
		case uint16:
			b = order.AppendUint16(b, f)
		case string:
			b = append(b, f...)
		case []byte:
			b = append(b, f...)
		default:
			panic(fmt.Sprintf("a field of type %T", f))
		}
	}
	return b
}

var (
	pcapHeader = le(0xa1b2c3d4, uint16(2), uint16(4), 0, 0, 100, 1)
	sectionBlk = le(0x0a0d0d0a, 28, 0x1a2b3c4d, uint16(1), uint16(0), -1, -1, 28)
	ifaceBlk   = le(1, 20, 1, 0, 20)
)

func TestErrors(t *testing.T) {
	record := le(1, 2, 4, 60, "data")
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "at byte 0: the input is empty"},
		{"one byte", []byte{0xd4}, "at byte 0: truncated file header (1 of 4 bytes): unexpected EOF"},
		{"text", []byte("GET / HTTP/1.1"), "at byte 0: neither pcap nor pcapng: unknown magic number 47 45 54 20"},
		{"xz", []byte("\xfd7zXZ\x00\x00"), "at byte 0: this is an xz-compressed file: decompress it first"},
		{"bad gzip", []byte("\x1f\x8b\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "at byte 0: cannot decompress: gzip: invalid header"},
		{"short header", pcapHeader[:20], "at byte 0: truncated file header (20 of 24 bytes): unexpected EOF"},
		{"old version", le(0xa1b2c3d4, uint16(1), uint16(4), 0, 0, 100, 1), "at byte 0: unsupported pcap version 1.4"},
		{"new version", le(0xa1b2c3d4, uint16(2), uint16(5), 0, 0, 100, 1), "at byte 0: unsupported pcap version 2.5"},
		{"short record header", le(pcapHeader, record, record[:9]),
			"packet 2 at byte 44: truncated packet header (9 of 16 bytes): unexpected EOF"},
		{"short packet", le(pcapHeader, record, record[:17]),
			"packet 2 at byte 44: truncated packet (17 of 20 bytes): unexpected EOF"},
		{"long packet", le(pcapHeader, 1, 2, 262145, 262145),
			"packet 1 at byte 24: captured length 262145 is beyond 262144, the most that this file can hold"},

		{"short section", sectionBlk[:20], "at byte 0: truncated block (20 of 28 bytes): unexpected EOF"},
		{"no byte order", le(0x0a0d0d0a, 28, 0x1a2b3c4e, 0, 0, 0, 28), "at byte 0: section header without a byte-order magic number"},
		{"ng version", le(0x0a0d0d0a, 28, 0x1a2b3c4d, uint16(2), uint16(0), -1, -1, 28), "at byte 0: unsupported pcapng version 2"},
		{"small section", le(0x0a0d0d0a, 24, 0x1a2b3c4d, 1, -1, 24), "at byte 0: section header of 24 bytes"},
		{"odd block", le(sectionBlk, 1, 21, 1, 0, 0), "at byte 28: block length 21 (must be a multiple of 4, at least 12)"},
		{"tiny block", le(sectionBlk, 1, 8, 1, 0, 8), "at byte 28: block length 8 (must be a multiple of 4, at least 12)"},
		{"huge block", le(sectionBlk, ifaceBlk, 6, 1<<30, 0, 0), "packet 1 at byte 48: block length 1073741824 is beyond 135266304"},
		{"trailer", le(sectionBlk, 1, 20, 1, 0, 24), "at byte 28: block length 20 is repeated as 24 at its end"},
		{"skipped trailer", le(sectionBlk, ifaceBlk, 0xbad, 16, 0, 12), "packet 1 at byte 60: block length 16 is repeated as 12 at its end"},
		{"skipped cut", le(sectionBlk, ifaceBlk, 0xbad, 1<<20, 0, 12), "packet 1 at byte 48: truncated block of 1048576 bytes: unexpected EOF"},
		{"small interface", le(sectionBlk, 1, 16, 1, 16), "at byte 28: interface description of 16 bytes"},
		{"time resolution", le(sectionBlk, 1, 28, 1, 0, uint16(9), uint16(1), 20, 28), "at byte 28: interface 0: time resolution 10^-20 is too high"},
		{"binary resolution", le(sectionBlk, 1, 28, 1, 0, uint16(9), uint16(1), 0xc0, 28), "at byte 28: interface 0: time resolution 2^-64 is too high"},
		{"resolution length", le(sectionBlk, 1, 28, 1, 0, uint16(9), uint16(2), 9, 28), "at byte 28: interface 0: option 9 has 2 bytes"},
		{"no interface", le(sectionBlk, 6, 32, 0, 0, 0, 0, 0, 32), "packet 1 at byte 28: the packet's interface 0 has not been described"},
		{"other interface", le(sectionBlk, ifaceBlk, 6, 32, 1, 0, 0, 0, 0, 32), "packet 1 at byte 48: the packet's interface 1 has not been described"},
		{"largest interface", le(sectionBlk, ifaceBlk, 6, 32, -1, 0, 0, 0, 0, 32),
			"packet 1 at byte 48: the packet's interface 4294967295 has not been described"},
		{"simple without interface", le(sectionBlk, 3, 16, 0, 16), "packet 1 at byte 28: the packet's interface 0 has not been described"},
		{"packet beyond block", le(sectionBlk, ifaceBlk, 6, 36, 0, 0, 0, 5, 5, "data", 36),
			"packet 1 at byte 48: captured length 5 is beyond its block of 36 bytes"},
		{"simple beyond block", le(sectionBlk, ifaceBlk, 3, 20, 5, "data", 20),
			"packet 1 at byte 48: captured length 5 is beyond its block of 20 bytes"},
		{"small packet block", le(sectionBlk, ifaceBlk, 6, 28, 0, 0, 0, 0, 28), "packet 1 at byte 48: packet block of 28 bytes"},
		{"small simple block", le(sectionBlk, ifaceBlk, 3, 12, 12), "packet 1 at byte 48: packet block of 12 bytes"},
	} {
		_, _, err := readAll(bytes.NewReader(c.data))
		var e *capture.Error
		if !errors.As(err, &e) || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}

// TestTruncated cuts a capture everywhere: the whole packets before the cut
// come out, then an error, except where the cut is between two records.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"mixed.pcap", "mixed.pcapng"} {
		data := committed(t, name)[:1200]
		whole, _, _ := readAll(bytes.NewReader(data))
		clean := 0
		for n := range len(data) + 1 {
			got, _, err := readAll(bytes.NewReader(data[:n]))
			if len(got) > len(whole) {
				t.Fatalf("%s cut at %d: %d packets", name, n, len(got))
			}
			sameLists(t, fmt.Sprintf("%s cut at %d", name, n), summaries(got), summaries(whole[:len(got)]))
			if err == nil {
				clean++
			} else if n > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut at %d: %v", name, n, err)
			}
		}
		if clean < len(whole) || clean > len(whole)+10 {
			t.Errorf("%s: %d cuts without an error among %d packets", name, clean, len(whole))
		}
	}
}

// TestVariants reads layouts that no capture under testdata has.
func TestVariants(t *testing.T) {
	record := le(1, 2, 4, 60, "data")
	swapped := le(1, 2, 60, 4, "data")
	header := func(major, minor uint16, link int) []byte {
		return le(0xa1b2c3d4, major, minor, 0, 0, 100, link)
	}
	for _, c := range []struct {
		name, linkType string
		data           []byte
	}{
		{"2.4", "EN10MB", le(header(2, 4, 1), record)},
		{"2.3", "EN10MB", le(header(2, 3, 1), record)},
		{"2.3 with lengths exchanged", "EN10MB", le(header(2, 3, 1), swapped)},
		{"2.2", "EN10MB", le(header(2, 2, 1), swapped)},
		{"DG/UX", "EN10MB", le(header(543, 0, 1), swapped)},
		{"check sequence length", "EN10MB", le(header(2, 4, 0x24000001), record)},
		{"raw as 12", "RAW", le(header(2, 4, 12), record)},
		{"raw as 14", "RAW", le(header(2, 4, 14), record)},
		{"raw as 101", "RAW", le(header(2, 4, 101), record)},
		{"unknown link type", "147", le(header(2, 4, 147), record)},
	} {
		packets, _, err := readAll(bytes.NewReader(c.data))
		if err != nil || len(packets) != 1 {
			t.Errorf("%s: %d packets, %v", c.name, len(packets), err)
			continue
		}
		p := packets[0]
		if p.Time != 1e9+2000 || p.WireLen != 60 || string(p.Data) != "data" || p.LinkType.String() != c.linkType {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

// TestLongPackets: what is longer than the snapshot length is delivered whole,
// and what is longer than 256 KiB if the header announced it.
func TestLongPackets(t *testing.T) {
	for _, c := range []struct{ snapLen, capLen int }{
		{100, 262144}, {0, 262144}, {1 << 20, 1 << 20}, {5 << 20, 5<<20 - 1},
	} {
		header := le(0xa1b2c3d4, uint16(2), uint16(4), 0, 0, c.snapLen, 1)
		long := bytes.Repeat([]byte("0123456789abcdef"), c.capLen/16+1)[:c.capLen]
		data := le(header, 1, 0, 4, 4, "data", 1, 0, c.capLen, c.capLen, long, 1, 0, 4, 4, "more")
		packets, _, err := readAll(bytes.NewReader(data))
		if err != nil || len(packets) != 3 || !bytes.Equal(packets[1].Data, long) || string(packets[2].Data) != "more" {
			t.Errorf("%+v: %d packets, %v", c, len(packets), err)
		}
	}
}

// TestMemory: what a file claims costs nothing, only what it holds.
func TestMemory(t *testing.T) {
	const gib = 1 << 30
	for name, data := range map[string][]byte{
		"pcap record":  le(0xa1b2c3d4, uint16(2), uint16(4), 0, 0, gib, 1, 1, 2, gib, gib),
		"pcap 128 MiB": le(0xa1b2c3d4, uint16(2), uint16(4), 0, 0, gib, 1, 1, 2, 128<<20, gib),
		"packet block": le(sectionBlk, ifaceBlk, 6, 128<<20, 0, 0),
		"other block":  le(sectionBlk, ifaceBlk, 0xbad, gib, 0, 0),
		"interface":    le(sectionBlk, 1, 128<<20, 1, 0),
		"section":      le(0x0a0d0d0a, 128<<20, 0x1a2b3c4d),
		// A frame header with a window of 128 MiB, and a first block.
		"zstd window": le("\x28\xb5\x2f\xfd\x00\x88", "\x21\x00\x00abcd"),
	} {
		var err error
		size := allocated(func() { _, _, err = readAll(bytes.NewReader(data)) })
		if err == nil || size > 1<<20 {
			t.Errorf("%s (%d bytes): %d bytes allocated, error %v", name, len(data), size, err)
		}
	}
}

// allocated counts the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestNoAllocationPerPacket(t *testing.T) {
	for _, name := range []string{"mixed.pcap", "mixed.pcapng", "big-endian.pcap", "modified.pcap"} {
		data := committed(t, name)
		r, err := capture.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(50, func() {
			if p, err := r.Next(); err != nil || p.Engine().WireLen != p.WireLen {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("%s: %v allocations per packet", name, n)
		}
	}
}

func TestInterfaces(t *testing.T) {
	r, err := capture.NewReader(bytes.NewReader(committed(t, "mixed.pcapng")))
	if err != nil {
		t.Fatal(err)
	}
	names := func() (all []string) {
		for _, i := range r.Interfaces() {
			all = append(all, fmt.Sprintf("%s %v %d", i.Name(), i.LinkType, i.SnapLen))
		}
		return all
	}
	if got := names(); !slices.Equal(got, []string{"eth0 EN10MB 262144"}) {
		t.Errorf("at the start: %q", got)
	}
	for err == nil {
		_, err = r.Next()
	}
	want := []string{"eth0 EN10MB 262144", "any LINUX_SLL 0", "tun0 RAW 65535", "eth1 EN10MB 0"}
	if got := names(); err != io.EOF || !slices.Equal(got, want) {
		t.Errorf("at the end: %q, %v", got, err)
	}
	if r.Format() != capture.PcapNG || r.ByteOrder() != binary.ByteOrder(binary.LittleEndian) {
		t.Errorf("format %v, byte order %v", r.Format(), r.ByteOrder())
	}
}
