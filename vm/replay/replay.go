package replay

import (
	"errors"
	"fmt"
	"io"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// A Source gives packets one after another, and io.EOF at the end. A packet is
// valid until the next call. [*capture.Reader] is one.
//
// A source may also have a method Buffered. It says whether Next would return
// at once and leave the bytes of earlier packets in place. Packets of such a
// source are run where they lie, without a copy, and those that have come are
// not held back for more to follow.
type Source interface {
	Next() (*capture.Packet, error)
}

type bufferedSource interface {
	Source
	Buffered() bool
}

// First returns a source that ends after n packets of src.
func First(src Source, n int) Source {
	f := &first{src, n}
	if b, ok := src.(bufferedSource); ok {
		return &firstBuffered{f, b}
	}
	return f
}

type first struct {
	src  Source
	left int
}

func (f *first) Next() (*capture.Packet, error) {
	if f.left <= 0 {
		return nil, io.EOF
	}
	f.left--
	return f.src.Next()
}

type firstBuffered struct {
	*first
	src bufferedSource
}

func (f *firstBuffered) Buffered() bool { return f.left <= 0 || f.src.Buffered() }

// A Visitor is called for each packet, in order. The first packet has the
// number 1, as in Wireshark. results[i] is what engine i made of it. Packet and
// results are valid during the call.
type Visitor func(number int, p *capture.Packet, results []engine.Result) error

// Engines gives the engines for packets of a link type: a filter is compiled for
// one, and a capture may mix several. It is called whenever the link type
// changes, so an implementation keeps what it has made.
type Engines func(cbpf.LinkType) ([]engine.Engine, error)

// Always returns the same engines for every link type.
func Always(engines ...engine.Engine) Engines {
	return func(cbpf.LinkType) ([]engine.Engine, error) { return engines, nil }
}

// ErrStop is what a visitor returns to end a replay early without an error.
// Engines may have run on packets behind the one it was called for.
var ErrStop = errors.New("stop the replay")

// A batch ends with whichever comes first. The numbers are large enough to
// make the cost of entering an engine small, and small enough for the packets
// to stay in the processor's cache between the engines.
const (
	batchPackets = 256
	batchBytes   = 128 << 10
)

// Run replays the packets of src through the engines. It ends with the source,
// whose error it returns after the packets that came before, or with the first
// error of an engine or the visitor; what a program does wrong is no error, but
// a fault in its result. With visit nil the engines just run.
func Run(src Source, engines Engines, visit Visitor) error {
	b := newBatch()
	for {
		end := b.fill(src)
		if err := b.run(engines); err != nil {
			return err
		}
		if err := b.visit(visit); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return err
		}
		if end == io.EOF {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

// A batch is some packets of one link type on their way through the engines.
type batch struct {
	engines []engine.Engine
	link    cbpf.LinkType   // what the engines are for
	held    *capture.Packet // taken from the source, but of another link type
	before  int             // packets in earlier batches
	bytes   []byte          // copies of the packets' bytes, of a source that is not buffered
	packets []capture.Packet
	in      []engine.Packet
	out     [][]engine.Result // by engine, then by packet
	results []engine.Result   // of one packet
}

func newBatch() *batch {
	return &batch{
		bytes:   make([]byte, 0, batchBytes),
		packets: make([]capture.Packet, 0, batchPackets),
		in:      make([]engine.Packet, 0, batchPackets),
	}
}

// use makes the engines for a link type the ones that run.
func (b *batch) use(engines Engines, link cbpf.LinkType) error {
	if b.engines != nil && link == b.link {
		return nil
	}
	var err error
	b.engines, err = engines(link)
	b.link = link
	for len(b.out) < len(b.engines) {
		b.out = append(b.out, make([]engine.Result, batchPackets))
		b.results = append(b.results, engine.Result{})
	}
	return err
}

// fill takes the next packets from src, up to the first of another link type
// or the first to wait for, and returns src's error, if it had one.
func (b *batch) fill(src Source) error {
	b.before += len(b.packets)
	b.bytes, b.packets, b.in = b.bytes[:0], b.packets[:0], b.in[:0]
	buffered, inPlace := src.(bufferedSource)
	for len(b.packets) < batchPackets && len(b.bytes) < batchBytes {
		if inPlace && len(b.packets) > 0 && !buffered.Buffered() {
			return nil
		}
		next, err := b.next(src)
		if err != nil {
			return err
		}
		if len(b.packets) > 0 && next.LinkType != b.packets[0].LinkType {
			b.held = next
			return nil
		}
		b.add(next, inPlace)
	}
	return nil
}

// next returns the packet that was held back, or the next one of src.
func (b *batch) next(src Source) (*capture.Packet, error) {
	if p := b.held; p != nil {
		b.held = nil
		return p, nil
	}
	return src.Next()
}

func (b *batch) add(p *capture.Packet, inPlace bool) {
	if inPlace {
		b.packets = append(b.packets, *p)
	} else {
		var clone capture.Packet
		clone, b.bytes = p.CloneInto(b.bytes)
		b.packets = append(b.packets, clone)
	}
	b.in = append(b.in, b.packets[len(b.packets)-1].Engine())
}

func (b *batch) run(engines Engines) error {
	if len(b.packets) == 0 {
		return nil
	}
	if err := b.use(engines, b.packets[0].LinkType); err != nil {
		return err
	}
	for i, e := range b.engines {
		if err := e.Run(b.in, b.out[i][:len(b.in)]); err != nil {
			return fmt.Errorf("engine %s, packets %d to %d: %w", e.Name(), b.before+1, b.before+len(b.in), err)
		}
	}
	return nil
}

func (b *batch) visit(visit Visitor) error {
	if visit == nil {
		return nil
	}
	for i := range b.packets {
		results := b.results[:len(b.engines)]
		for k := range results {
			results[k] = b.out[k][i]
		}
		if err := visit(b.before+i+1, &b.packets[i], results); err != nil {
			return err
		}
	}
	return nil
}
