package replay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// A sum is an engine whose verdict is the sum of a packet's bytes, so that a
// packet mixed up with another shows. It changes what a test wants changed.
type sum struct {
	name   string
	runs   int
	change func(r *engine.Result)
}

func (s *sum) Name() string { return s.name }
func (s *sum) Close() error { return nil }
func (s *sum) Run(in []engine.Packet, out []engine.Result) error {
	for i := range in {
		out[i] = engine.Result{}
		for _, b := range in[i].Data {
			out[i].Return += uint32(b)
		}
		s.runs++
		if s.change != nil && s.runs == 300 {
			s.change(&out[i])
		}
	}
	return nil
}

// packets is a source of n packets in one reused buffer: packet i is i bytes
// of value i. It ends with err.
type packets struct {
	n, next int
	err     error
	p       capture.Packet
	buf     [256]byte
}

func (s *packets) Next() (*capture.Packet, error) {
	if s.next == s.n {
		return nil, s.err
	}
	s.next++
	clear(s.buf[:])
	b := s.buf[:s.next%256]
	for i := range b {
		b[i] = byte(s.next)
	}
	s.p = capture.Packet{Data: b, WireLen: uint32(len(b))}
	return &s.p, nil
}

func source(n int) *packets { return &packets{n: n, err: io.EOF} }

func sumOf(n int) uint32 { return uint32(n%256) * uint32(n%256) }

func TestRunVisitsEachPacketInOrder(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 1000} {
		visited := 0
		err := replay.Run(source(n), replay.Always(&sum{name: "a"}, &sum{name: "b"}), func(number int, p *capture.Packet, r []engine.Result) error {
			visited++
			if number != visited || len(p.Data) != number%256 || len(r) != 2 || r[0].Return != sumOf(number) || r[1].Return != sumOf(number) {
				return fmt.Errorf("packet %d: number %d, %d bytes, results %v", visited, number, len(p.Data), r)
			}
			return nil
		})
		if err != nil || visited != n {
			t.Errorf("%d packets: visited %d, %v", n, visited, err)
		}
	}
}

func TestRunEnds(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name     string
		src      replay.Source
		visit    func(number int) error
		visited  int
		executed int // at most
		err      error
	}{
		{"source ends", source(10), nil, 10, 10, nil},
		{"source breaks", &packets{n: 300, err: broken}, nil, 300, 300, broken},
		{"visitor stops", source(1000), func(n int) error {
			if n == 3 {
				return replay.ErrStop
			}
			return nil
		}, 3, 256, nil},
		{"visitor fails", source(10), func(n int) error { return broken }, 1, 10, broken},
		{"first 5", replay.First(source(10), 5), nil, 5, 5, nil},
		{"first 0", replay.First(source(10), 0), nil, 0, 0, nil},
		{"first of fewer", replay.First(source(10), 20), nil, 10, 10, nil},
	}
	for _, tt := range tests {
		e := &sum{name: "sum"}
		visited := 0
		err := replay.Run(tt.src, replay.Always(e), func(n int, _ *capture.Packet, _ []engine.Result) error {
			visited++
			if tt.visit != nil {
				return tt.visit(n)
			}
			return nil
		})
		if !errors.Is(err, tt.err) || visited != tt.visited || e.runs > tt.executed {
			t.Errorf("%s: visited %d of %d, engine ran %d, error %v", tt.name, visited, tt.visited, e.runs, err)
		}
	}
}

// live is a source that never has a packet at hand.
type live struct{ *packets }

func (live) Buffered() bool { return false }

// TestLiveSource checks that a packet is delivered before the next is asked for.
func TestLiveSource(t *testing.T) {
	for _, limited := range []bool{false, true} {
		src := live{source(10)}
		var s replay.Source = src
		if limited {
			s = replay.First(src, 10)
		}
		err := replay.Run(s, replay.Always(&sum{}), func(n int, _ *capture.Packet, _ []engine.Result) error {
			if src.next != n {
				return fmt.Errorf("packet %d was held back until %d had been read", n, src.next)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestPacketsInPlace replays a capture of several read buffers, whose packets
// are run where they lie, and looks for bytes that were overwritten too early.
func TestPacketsInPlace(t *testing.T) {
	var file bytes.Buffer
	w := capture.NewWriter(&file, capture.WriterOptions{LinkType: cbpf.LinkRaw})
	src, n := source(20000), 0
	for p, err := src.Next(); err == nil; p, err = src.Next() {
		p.LinkType = cbpf.LinkRaw
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := capture.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	err = replay.Run(replay.First(r, 15000), replay.Always(&sum{}), func(number int, p *capture.Packet, results []engine.Result) error {
		n++
		if results[0].Return != sumOf(number) || len(p.Data) != number%256 || len(p.Data) > 0 && p.Data[0] != byte(number) {
			return fmt.Errorf("packet %d has %d bytes that add up to %d", number, len(p.Data), results[0].Return)
		}
		return nil
	})
	if err != nil || n != 15000 {
		t.Errorf("%d packets, %v", n, err)
	}
}

type failing struct{ sum }

func (*failing) Run([]engine.Packet, []engine.Result) error { return errors.New("out of order") }

func TestEngineErrorNamesEngineAndPackets(t *testing.T) {
	err := replay.Run(source(300), replay.Always(&failing{sum{name: "bad"}}), nil)
	if err == nil || err.Error() != "engine bad, packets 1 to 256: out of order" {
		t.Error(err)
	}
}

func always(sides []replay.Side) replay.Sides {
	return func(cbpf.LinkType) ([]replay.Side, error) { return sides, nil }
}

// mixed is a source whose packets change their link type at 4, 5 and 9.
type mixed struct{ *packets }

func (s mixed) Next() (*capture.Packet, error) {
	p, err := s.packets.Next()
	if err == nil && (s.next == 4 || s.next >= 9) {
		p.LinkType = cbpf.LinkRaw
	}
	return p, err
}

// TestEnginesByLinkType checks that each packet is run by the engines for its
// link type, in order and complete, and that the engines are asked for at each
// change only.
func TestEnginesByLinkType(t *testing.T) {
	byLink := map[cbpf.LinkType]*sum{cbpf.LinkNull: {name: "null"}, cbpf.LinkRaw: {name: "raw"}}
	asked, visited := 0, 0
	err := replay.Run(mixed{source(600)}, func(link cbpf.LinkType) ([]engine.Engine, error) {
		asked++
		return []engine.Engine{byLink[link]}, nil
	}, func(n int, _ *capture.Packet, r []engine.Result) error {
		visited++
		if n != visited || r[0].Return != sumOf(n) {
			return fmt.Errorf("packet %d came as number %d with result %d", visited, n, r[0].Return)
		}
		return nil
	})
	null, raw := byLink[cbpf.LinkNull].runs, byLink[cbpf.LinkRaw].runs
	if err != nil || visited != 600 || asked != 4 || null != 7 || raw != 593 {
		t.Errorf("visited %d, asked %d times, null ran %d, raw %d, error %v", visited, asked, null, raw, err)
	}
}

func TestCompare(t *testing.T) {
	refused := fmt.Errorf("too short: %w", engine.ErrPacket)
	tests := []struct {
		name    string
		a, b    func(r *engine.Result)
		verdict func(uint32) uint32
		pads    bool
		want    string // %v of the disagreement
	}{
		{name: "agree"},
		{name: "both fault", a: func(r *engine.Result) { r.Fault = errors.New("x") }, b: func(r *engine.Result) { r.Fault = errors.New("y"); r.Return = 9 }},
		{name: "verdict", b: func(r *engine.Result) { r.Return = 7 },
			want: "packet 300: engines a and b disagree about the verdict: a returned 1936, b returned 7"},
		{name: "verdicts mapped", b: func(r *engine.Result) { r.Return = 7 }, verdict: replay.NonZero},
		{name: "mapped verdict", b: func(r *engine.Result) { r.Return = 0 }, verdict: replay.NonZero,
			want: "packet 300: engines a and b disagree about the verdict: a returned 1936, b returned 0"},
		{name: "fault", b: func(r *engine.Result) { r.Fault = errors.New("bad address") },
			want: "packet 300: engines a and b disagree about the fault: a returned 1936, b stopped: bad address"},
		{name: "data", a: func(r *engine.Result) { r.Data = []byte{1} }, b: func(r *engine.Result) { r.Data = []byte{2, 3} },
			want: "packet 300: engines a and b disagree about the packet after the program: a left 1 bytes, b left 2 bytes"},
		{name: "events", a: sends("ring", "x"), b: sends("ring", "y"),
			want: "packet 300: engines a and b disagree about the events: a sent 1, b sent 1"},
		{name: "events of different maps", a: sends("ring", "x"), b: sends("other", "x"),
			want: "packet 300: engines a and b disagree about the events: a sent 1, b sent 1"},
		{name: "no event", a: sends("ring", "x"), b: sends("trace_printk", "x"),
			want: "packet 300: engines a and b disagree about the events: a sent 1, b sent 0"},
		{name: "padded event", a: sends("perf", "12345"), b: sends("perf", "12345\x01\x02\x03\x04\x05\x06\x07"), pads: true},
		{name: "event padded too far", a: sends("perf", "1234"), b: sends("perf", "1234\x01\x02\x03\x04\x05\x06\x07\x08"), pads: true,
			want: "packet 300: engines a and b disagree about the events: a sent 1, b sent 1"},
		{name: "only one has data", b: func(r *engine.Result) { r.Data = []byte{2} }},
		{name: "refused", b: func(r *engine.Result) { r.Fault = refused }},
		{name: "refused by the first", a: func(r *engine.Result) { r.Fault = refused }, b: func(r *engine.Result) { r.Return = 0 }},
	}
	for _, tt := range tests {
		sides := []replay.Side{{Engine: &sum{name: "a", change: tt.a}}, {Engine: &sum{name: "b", change: tt.b}, Verdict: tt.verdict, PadsEvents: tt.pads}}
		visited := 0
		d, err := replay.Compare(source(400), always(sides), func(int, *capture.Packet, []engine.Result) error { visited++; return nil })
		got := ""
		if d != nil {
			got = fmt.Sprint(d)
			if visited != d.Number-1 {
				t.Errorf("%s: visited %d before packet %d", tt.name, visited, d.Number)
			}
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", tt.name, err, got, tt.want)
		}
	}
}

// sends has an engine that can change packets send an event.
func sends(source, data string) func(r *engine.Result) {
	return func(r *engine.Result) {
		r.Data, r.Events = []byte{1}, []engine.Event{{Source: source, Data: []byte(data)}}
	}
}

func TestDisagreementTellsBothStates(t *testing.T) {
	sides := []replay.Side{
		{Engine: &sum{name: "a", change: func(r *engine.Result) { r.Executed = 12 }}, Verdict: replay.NonZero},
		{Engine: &sum{name: "b", change: func(r *engine.Result) { r.Return = 2; r.Data = []byte{0xab} }}, Verdict: replay.Equals(1936)},
	}
	src := source(300)
	for src.next < 299 {
		src.Next()
	}
	sides[0].Engine.(*sum).runs, sides[1].Engine.(*sum).runs = 299, 299
	d, err := replay.Compare(src, always(sides), nil)
	if err != nil || d == nil {
		t.Fatal(d, err)
	}
	want := "packet 1: engines a and b disagree about the verdict: a returned 1936, b returned 2\n" +
		"  packet: 44 bytes of 44: " + strings.Repeat("2c", 44) + "\n" +
		"  a: returned 1936 (0x790), verdict 1, 12 instructions\n" +
		"  b: returned 2 (0x2), verdict 0\n" +
		"    packet after: ab"
	if got := fmt.Sprintf("%+v", d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestNoAllocations replays a capture long enough for what is allocated once
// to be nothing a packet.
func TestNoAllocations(t *testing.T) {
	file, err := os.ReadFile("../../testdata/captures/mixed.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	count := func(number int, _ *capture.Packet, _ []engine.Result) error { n = number; return nil }
	once := func(repeat int) float64 {
		return testing.AllocsPerRun(1, func() {
			r, err := capture.NewReader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			src := &repeated{r: r, left: repeat}
			if err := replay.Run(src, replay.Always(&sum{}), count); err != nil {
				t.Fatal(err)
			}
		})
	}
	short, long := once(1), once(200)
	if n < 20000 || long > short+10 {
		t.Errorf("%d packets: %v allocations, %v for the first part", n, long, short)
	}
}

// repeated gives each packet of a capture many times.
type repeated struct {
	r       *capture.Reader
	p       *capture.Packet
	n, left int
}

func (s *repeated) Next() (*capture.Packet, error) {
	if s.n == 0 {
		p, err := s.r.Next()
		if err != nil {
			return nil, err
		}
		s.p, s.n = p, s.left
	}
	s.n--
	return s.p, nil
}
