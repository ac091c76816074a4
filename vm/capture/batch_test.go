package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/bpflab/bpflab/testdata/captures"
	"github.com/bpflab/bpflab/vm/capture"
)

// A reading is everything that reading a capture tells of a packet, in lines,
// and the error at the end.
type reading struct {
	packets []string
	err     error
}

func line(n int, p *capture.Packet) string {
	return fmt.Sprintf("%d %s of %d on %v %s %+v", n, summary(p.Time, int(p.WireLen), p.Data),
		p.Interface, p.LinkType, options(p.Options), p.Metadata())
}

// byNext is the reading that the others are measured by.
func byNext(r *capture.Reader) (all reading) {
	for {
		p, err := r.Next()
		if err != nil {
			all.err = err
			return all
		}
		all.packets = append(all.packets, line(len(all.packets)+1, p))
	}
}

// byBatch reads in batches, and decodes the packets of each from the last to
// the first.
func byBatch(r *capture.Reader) (all reading) {
	var b capture.Batch
	for {
		if err := r.NextBatch(&b); err != nil {
			all.err = err
			return all
		}
		lines := make([]string, len(b.Frames))
		for i := len(lines) - 1; i >= 0; i-- {
			f, p := b.Frames[i], r.PacketAt(b.Offset+int64(b.Starts[i]))
			if !bytes.Equal(f.Data, p.Data) || f.WireLen != p.WireLen || b.LinkType != p.LinkType {
				all.err = fmt.Errorf("frame %d of link type %v is %+v, the packet %+v", i, b.LinkType, f, p)
				return all
			}
			lines[i] = line(b.First+i, p)
		}
		all.packets = append(all.packets, lines...)
	}
}

// byPiece reads in pieces that several goroutines take as they come.
func byPiece(r *capture.Reader) (all reading) {
	type piece struct {
		reading
		next error
	}
	var mu sync.Mutex
	pieces := map[int]piece{}
	cut := r.Pieces()
	var working sync.WaitGroup
	for range 3 {
		working.Go(func() {
			for p, end := new(capture.Piece), error(nil); end == nil; {
				got := piece{next: cut.Next(p)}
				if end = got.next; end == nil {
					got.reading = byBatch(&p.Reader)
				}
				mu.Lock()
				pieces[p.Number] = got
				mu.Unlock()
			}
		})
	}
	working.Wait()
	for i := 0; all.err == nil; i++ {
		got := pieces[i]
		all.packets = append(all.packets, got.packets...)
		if all.err = got.next; got.next == nil && got.err != io.EOF {
			all.err = got.err
		}
	}
	return all
}

// sameReadings reads a capture in all ways and compares.
func sameReadings(t *testing.T, name string, open func() io.Reader) {
	t.Helper()
	read := func(way func(*capture.Reader) reading) reading {
		r, err := capture.NewReader(open())
		if err != nil {
			return reading{err: err}
		}
		return way(r)
	}
	want := read(byNext)
	for kind, way := range map[string]func(*capture.Reader) reading{"batches": byBatch, "pieces": byPiece} {
		got := read(way)
		sameLists(t, name+" in "+kind, got.packets, want.packets)
		if fmt.Sprint(got.err) != fmt.Sprint(want.err) {
			t.Errorf("%s in %s ends with %v, want %v", name, kind, got.err, want.err)
		}
	}
}

func TestBatchesAndPieces(t *testing.T) {
	for _, f := range captures.Files() {
		sameReadings(t, f.Name, func() io.Reader { return bytes.NewReader(f.Data) })
	}
	for _, name := range []string{"mixed.pcap", "mixed.pcapng", "sections.pcapng", "modified.pcap"} {
		data := committed(t, name)
		for n := 0; n < min(len(data), 1500); n += 3 {
			sameReadings(t, fmt.Sprintf("%s cut at %d", name, n), func() io.Reader { return bytes.NewReader(data[:n]) })
		}
		sameReadings(t, name+" by bytes", func() io.Reader { return iotest.OneByteReader(bytes.NewReader(data)) })
		sameReadings(t, name+" by halves", func() io.Reader { return iotest.HalfReader(bytes.NewReader(data)) })
	}
}

// TestLongCaptures: many pieces, beside each other where the source is like a file,
// and what a piece's end can meet.
func TestLongCaptures(t *testing.T) {
	pcap, ng := committed(t, "mixed.pcap"), committed(t, "mixed.pcapng")
	blocks := ng[binary.LittleEndian.Uint32(ng[4:]):] // behind the section header
	damaged := append(bytes.Repeat(pcap[24:], 24), le(0, 0, -1, -1)...)
	for name, data := range map[string][]byte{
		"pcap":                            append(bytes.Clone(pcap), bytes.Repeat(pcap[24:], 24)...),
		"pcap, damaged":                   append(bytes.Clone(pcap), append(damaged, damaged...)...),
		"more interfaces again and again": append(bytes.Clone(ng), bytes.Repeat(blocks, 24)...),
		"sections":                        bytes.Repeat(ng, 24),
		"sections of both byte orders":    bytes.Repeat(committed(t, "sections.pcapng"), 200),
	} {
		if len(data) < 400_000 {
			t.Fatalf("%s has %d bytes, which is no long capture", name, len(data))
		}
		sameReadings(t, name, func() io.Reader { return bytes.NewReader(data) })
		sameReadings(t, name+", a pipe", func() io.Reader { return io.MultiReader(bytes.NewReader(data)) })
		sameReadings(t, name+", cut", func() io.Reader { return bytes.NewReader(data[:len(data)-1000]) })
	}
}

// TestFileFromTheMiddle: a file that somebody has begun to read begins there.
func TestFileFromTheMiddle(t *testing.T) {
	data := append([]byte("something else"), committed(t, "mixed.pcap")...)
	sameReadings(t, "behind something else", func() io.Reader {
		src := bytes.NewReader(data)
		src.Seek(14, io.SeekStart)
		return src
	})
}

// failingFile is a file of which a part cannot be read.
type failingFile struct {
	*bytes.Reader
	bad int64
}

var errDisk = errors.New("bad sector")

func (f failingFile) ReadAt(b []byte, at int64) (int, error) {
	if n := f.bad - at; n < int64(len(b)) {
		n, _ := f.Reader.ReadAt(b[:max(0, n)], at)
		return n, errDisk
	}
	return f.Reader.ReadAt(b, at)
}

// meetingFile is a file in which the first who reads a piece waits for another.
type meetingFile struct {
	*bytes.Reader
	arrived chan struct{}
}

func (f meetingFile) ReadAt(b []byte, at int64) (int, error) {
	select {
	case f.arrived <- struct{}{}:
	case <-f.arrived:
	case <-time.After(10 * time.Second):
		return 0, errors.New("nobody else reads")
	}
	return f.Reader.ReadAt(b, at)
}

// TestPiecesAreReadBesideEachOther: two goroutines are in the file at a time.
func TestPiecesAreReadBesideEachOther(t *testing.T) {
	one := committed(t, "mixed.pcap")
	f := meetingFile{bytes.NewReader(append(bytes.Clone(one), bytes.Repeat(one[24:], 20)...)), make(chan struct{})}
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	cut := r.Pieces()
	for range 2 {
		reading.Go(func() {
			p := new(capture.Piece)
			if err := cut.Next(p); err != nil || p.Number > 1 {
				t.Errorf("piece %d: %v", p.Number, err)
			}
		})
	}
	reading.Wait()

}

// TestFailingFile: the packets before the error, then the error.
func TestFailingFile(t *testing.T) {
	one := committed(t, "mixed.pcap")
	data := append(bytes.Clone(one), bytes.Repeat(one[24:], 20)...)
	for _, bad := range []int64{9000, 140000, 300001} {
		r, err := capture.NewReader(failingFile{bytes.NewReader(data), bad})
		if err != nil {
			t.Fatal(err)
		}
		got := byPiece(r)
		r, _ = capture.NewReader(bytes.NewReader(data[:bad]))
		want := byNext(r)
		sameLists(t, fmt.Sprintf("bad at %d", bad), got.packets, want.packets)
		if !errors.Is(got.err, errDisk) {
			t.Errorf("bad at %d: %v", bad, got.err)
		}
	}
}

// TestLongPacketsInPieces: packets longer than the buffer or two pieces, at the
// edges of those.
func TestLongPacketsInPieces(t *testing.T) {
	for _, lengths := range [][]int{
		{4, 262144, 1 << 20, 0, 262000, 300000, 1, 262128, 262129},
		{80000, 200000, 10, 20, 100000, 5, 150000, 30, 140000, 1},
	} {
		data := le(0xa1b2c3d4, uint16(2), uint16(4), 0, 0, 1<<20, 1)
		for i, n := range lengths {
			data = append(data, le(i, 0, n, n, bytes.Repeat([]byte{byte(i)}, n))...)
		}
		sameReadings(t, fmt.Sprint("lengths ", lengths), func() io.Reader { return bytes.NewReader(data) })
	}
}

// TestBatchOfALiveSource: what has come is given before more is asked for.
func TestBatchOfALiveSource(t *testing.T) {
	for _, name := range []string{"mixed.pcap", "mixed.pcapng"} {
		data := committed(t, name)
		src := &countingReader{src: iotest.OneByteReader(bytes.NewReader(data[:4000]))}
		r, err := capture.NewReader(src)
		if err != nil {
			t.Fatal(err)
		}
		var b capture.Batch
		for want := 1; ; want++ {
			before := src.calls
			err := r.NextBatch(&b)
			if errors.Is(err, io.ErrUnexpectedEOF) && want > 5 {
				break
			}
			if err != nil || b.First != want || len(b.Frames) != 1 || src.calls == before {
				t.Fatalf("%s: packets from %d on, %d of them after %d reads, %v; want packet %d", name, b.First, len(b.Frames), src.calls-before, err, want)
			}
		}
	}
}

// TestWriterLikePieces: the copy of a capture by its pieces is the copy by its
// packets, although each piece has been read to its end and the reader has seen
// more interfaces by then.
func TestWriterLikePieces(t *testing.T) {
	empty := le(6, 32, 0, 0, 0, 0, 0, 32)
	between := le(sectionBlk, ifaceBlk, empty, ifaceBlk, empty, 3, 16, 0, 16, ifaceBlk, ifaceBlk, empty, ifaceBlk)
	files := [][]byte{between}
	for _, name := range []string{"mixed.pcapng", "sections.pcapng", "mixed.pcap"} {
		files = append(files, committed(t, name))
	}
	for n, data := range files {
		want, err := rewrite(data)
		if err != nil {
			t.Fatal(err)
		}
		r, err := capture.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		cut := r.Pieces()
		var pieces []*capture.Piece
		for err == nil {
			piece := new(capture.Piece)
			if err = cut.Next(piece); err == nil {
				pieces = append(pieces, piece)
			}
		}
		var got bytes.Buffer
		w := capture.NewWriterLike(&got, r)
		for _, piece := range pieces {
			for _, at := range offsets(piece) {
				if err := w.Write(piece.PacketAt(at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Flush(); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("capture %d: the copy by pieces differs, %v", n, err)
		}
	}
}

// TestPiecesOfSections: a piece ends at a section, and costs then what its own
// packets cost, not the bytes behind it or the interfaces before it.
func TestPiecesOfSections(t *testing.T) {
	const sections = 3000
	data := bytes.Repeat(le(sectionBlk, ifaceBlk, 6, 32, 0, 0, 0, 0, 0, 32), sections)
	r, err := capture.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cut, packets := r.Pieces(), 0
	for piece := new(capture.Piece); cut.Next(piece) == nil; {
		for p, err := piece.Next(); err == nil; p, err = piece.Next() {
			if p.Interface != packets {
				t.Fatalf("packet %d is from interface %d", packets, p.Interface)
			}
			packets++
		}
	}
	runtime.ReadMemStats(&after)
	if packets != sections {
		t.Errorf("%d packets, want %d", packets, sections)
	}
	if size := after.TotalAlloc - before.TotalAlloc; size > 4<<20 {
		t.Errorf("%d bytes allocated", size)
	}
}

// offsets reads a piece to its end and returns where its packets are.
func offsets(p *capture.Piece) (all []int64) {
	var b capture.Batch
	for p.NextBatch(&b) == nil {
		for _, start := range b.Starts {
			all = append(all, b.Offset+int64(start))
		}
	}
	return all
}

func TestNoAllocationPerBatch(t *testing.T) {
	for _, name := range []string{"mixed.pcap", "mixed.pcapng"} {
		data := committed(t, name)
		var b capture.Batch
		pass := func() float64 {
			return testing.AllocsPerRun(5, func() {
				r, err := capture.NewReader(bytes.NewReader(data))
				for err == nil {
					if err = r.NextBatch(&b); err == nil {
						r.PacketAt(b.Offset + int64(b.Starts[0]))
					}
				}
			})
		}
		if n := pass(); n > 20 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
