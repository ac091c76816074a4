package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/iotest"

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
			f, p := b.Frames[i], r.PacketAt(b.Offset(i))
			if !bytes.Equal(f.Data, p.Data) || f.WireLen != p.WireLen || b.LinkType != p.LinkType {
				all.err = fmt.Errorf("frame %d of link type %v is %+v, the packet %+v", i, b.LinkType, f, p)
				return all
			}
			lines[i] = line(b.First+i, p)
		}
		all.packets = append(all.packets, lines...)
	}
}

// byPiece detaches pieces, and reads each in a goroutine of its own while the
// next ones are detached.
func byPiece(r *capture.Reader) (all reading) {
	var readings []*reading
	var pending sync.WaitGroup
	pieces := make([]capture.Reader, 3) // used in turn
	for i := 0; ; i++ {
		if i%len(pieces) == 0 {
			pending.Wait()
		}
		piece, got := &pieces[i%len(pieces)], new(reading)
		if all.err = r.Detach(piece); all.err != nil {
			break
		}
		readings = append(readings, got)
		pending.Go(func() { *got = byBatch(piece) })
	}
	pending.Wait()
	for _, got := range readings {
		all.packets = append(all.packets, got.packets...)
		if got.err != io.EOF {
			all.err = got.err
			break
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

// TestLongPacketsInPieces: packets longer than the buffer, at its edges.
func TestLongPacketsInPieces(t *testing.T) {
	data := le(0xa1b2c3d4, uint16(2), uint16(4), 0, 0, 1<<20, 1)
	for i, n := range []int{4, 262144, 1 << 20, 0, 262000, 300000, 1, 262128, 262129} {
		data = append(data, le(i, 0, n, n, bytes.Repeat([]byte{byte(i)}, n))...)
	}
	sameReadings(t, "long packets", func() io.Reader { return bytes.NewReader(data) })
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
// packets, although the reader has seen more interfaces by then.
func TestWriterLikePieces(t *testing.T) {
	for _, name := range []string{"mixed.pcapng", "sections.pcapng", "mixed.pcap"} {
		data := committed(t, name)
		want, err := rewrite(data)
		if err != nil {
			t.Fatal(err)
		}
		r, err := capture.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var pieces []*capture.Reader
		for err == nil {
			piece := new(capture.Reader)
			if err = r.Detach(piece); err == nil {
				pieces = append(pieces, piece)
			}
		}
		var got bytes.Buffer
		w := capture.NewWriterLike(&got, r)
		for _, piece := range pieces {
			for p, err := piece.Next(); err == nil; p, err = piece.Next() {
				if err := w.Write(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Flush(); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: the copy by pieces differs, %v", name, err)
		}
	}
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
						r.PacketAt(b.Offset(0))
					}
				}
			})
		}
		if n := pass(); n > 20 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
