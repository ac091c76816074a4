package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// A Side is an engine in a comparison and the way to read what it returns.
type Side struct {
	Engine engine.Engine

	// Verdict maps a return value to what is compared. Nil stands for the
	// return value itself, or against a side that has a Verdict, for what
	// that makes of it.
	Verdict func(ret uint32) uint32

	// PadsEvents says that what the engine tells of events may be followed
	// by bytes without meaning, up to a multiple of eight with the four of
	// the length before it, as in the kernel's perf buffers.
	PadsEvents bool
}

// Sides gives the sides for packets of a link type, as [Engines] does.
type Sides func(cbpf.LinkType) ([]Side, error)

// AlwaysSides returns the same sides for every link type.
func AlwaysSides(sides ...Side) Sides {
	return func(cbpf.LinkType) ([]Side, error) { return sides, nil }
}

// NonZero is the Verdict of a filter that matches with any value but 0: a
// classic program or a socket filter. It gives 1 for a match, else 0.
func NonZero(ret uint32) uint32 {
	if ret != 0 {
		return 1
	}
	return 0
}

// Equals returns the Verdict of a filter that matches with one value, such as
// XDP_PASS. It gives 1 for a match, else 0.
func Equals(match uint32) func(ret uint32) uint32 {
	return func(ret uint32) uint32 {
		if ret == match {
			return 1
		}
		return 0
	}
}

// A Disagreement says that two engines came to different ends on a packet. %v
// is one line, %+v tells both states.
type Disagreement struct {
	Number int             // of the packet, from 1
	Packet *capture.Packet // a copy
	What   string          // "verdict", "fault", "events" or "packet after the program"
	A, B   State
}

// A State is what one engine of a disagreement came to.
type State struct {
	Engine  string
	Verdict uint32
	Result  engine.Result // a copy
}

// Compare replays the packets of src through the engines of all sides, as [Run]
// does, and compares what they come to: the verdicts, whether there was a
// fault, and among the engines that can change packets the packet after the
// program and the events from maps. It stops at the first packet with a disagreement and returns it; the
// visitor, which may be nil, is called for all packets before. An engine that
// does not take a packet ([engine.ErrPacket]) is passed over for it.
func Compare(src Source, sidesFor Sides, visit Visitor) (*Disagreement, error) {
	var sides []Side
	engines := func(link cbpf.LinkType) (engines []engine.Engine, err error) {
		sides, err = sidesFor(link)
		for i := range sides {
			engines = append(engines, sides[i].Engine)
		}
		return engines, err
	}
	var found *Disagreement
	err := Run(src, engines, func(n int, p *capture.Packet, results []engine.Result) error {
		if len(sides) > 1 {
			found = disagreement(n, p, sides, results)
		}
		if found != nil {
			return ErrStop
		}
		if visit == nil {
			return nil
		}
		return visit(n, p, results)
	})
	return found, err
}

// disagreement compares each side with the first that takes the packet, and
// the packets after the program with the first of those.
func disagreement(n int, p *capture.Packet, sides []Side, results []engine.Result) *Disagreement {
	first, firstWithData := -1, -1
	for i := range results {
		r := &results[i]
		if errors.Is(r.Fault, engine.ErrPacket) {
			continue
		}
		if first < 0 {
			first = i
		}
		if r.Data != nil && firstWithData < 0 {
			firstWithData = i
		}
		other, what := first, differ(&sides[first], &results[first], &sides[i], r)
		if what == "" && r.Fault == nil && r.Data != nil {
			other = firstWithData
			what = differAfter(&sides[other], &results[other], &sides[i], r)
		}
		if what != "" {
			a, b := &sides[other], &sides[i]
			return &Disagreement{n, p.Clone(), what, state(a, &results[other], b), state(b, r, a)}
		}
	}
	return nil
}

// differ compares all but packets, and returns "" or what differs. All faults
// are alike, because engines find them at different moments.
func differ(a *Side, x *engine.Result, b *Side, y *engine.Result) string {
	switch {
	case (x.Fault == nil) != (y.Fault == nil):
		return "fault"
	case x.Fault == nil && a.verdict(x, b) != b.verdict(y, a):
		return "verdict"
	}
	return ""
}

// differAfter compares what the program has done beside its verdict.
func differAfter(a *Side, x *engine.Result, b *Side, y *engine.Result) string {
	pads := a.PadsEvents != b.PadsEvents
	same := func(p, q engine.Event) bool {
		return p.Source == q.Source && (bytes.Equal(p.Data, q.Data) || pads && samePadded(p.Data, q.Data))
	}
	switch {
	case !bytes.Equal(x.Data, y.Data):
		return "packet after the program"
	case !slices.EqualFunc(fromMaps(x.Events), fromMaps(y.Events), same):
		return "events"
	}
	return ""
}

// fromMaps leaves out the events that do not come from maps: the kernel has
// them, but tells others than the one who runs the program.
func fromMaps(events []engine.Event) (kept []engine.Event) {
	for _, e := range events {
		if e.Source != "trace_printk" && e.Source != "clone_redirect" {
			kept = append(kept, e)
		}
	}
	return kept
}

// samePadded reports whether the longer one is the other with padding.
func samePadded(a, b []byte) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(b) == (len(a)+4+7)&^7-4 && bytes.Equal(a, b[:len(a)])
}

// verdict is what is compared with the other side.
func (s *Side) verdict(r *engine.Result, with *Side) uint32 {
	switch {
	case s.Verdict != nil:
		return s.Verdict(r.Return)
	case with.Verdict != nil:
		return with.Verdict(r.Return)
	}
	return r.Return
}

func state(s *Side, r *engine.Result, with *Side) State {
	kept := *r
	kept.Data = slices.Clone(r.Data)
	kept.Events = slices.Clone(r.Events)
	for i := range kept.Events {
		kept.Events[i].Data = slices.Clone(kept.Events[i].Data)
	}
	return State{s.Engine.Name(), s.verdict(r, with), kept}
}

// String returns one line, as %v does.
func (d *Disagreement) String() string {
	return fmt.Sprintf("packet %d: engines %s and %s disagree about the %s: %s, %s",
		d.Number, d.A.Engine, d.B.Engine, d.What, d.A.brief(d.What), d.B.brief(d.What))
}

// brief says what the state is as to one matter.
func (s *State) brief(what string) string {
	switch {
	case s.Result.Fault != nil:
		return fmt.Sprintf("%s stopped: %v", s.Engine, s.Result.Fault)
	case what == "packet after the program":
		return fmt.Sprintf("%s left %d bytes", s.Engine, len(s.Result.Data))
	case what == "events":
		return fmt.Sprintf("%s sent %d", s.Engine, len(fromMaps(s.Result.Events)))
	}
	return fmt.Sprintf("%s returned %d", s.Engine, s.Result.Return)
}

// Format implements [fmt.Formatter].
func (d *Disagreement) Format(f fmt.State, verb rune) {
	io.WriteString(f, d.String())
	if verb != 'v' || !f.Flag('+') {
		return
	}
	fmt.Fprintf(f, "\n  packet: %d bytes of %d: %x", len(d.Packet.Data), d.Packet.WireLen, d.Packet.Data)
	for _, s := range []*State{&d.A, &d.B} {
		r := &s.Result
		fmt.Fprintf(f, "\n  %s: returned %d (%#x), verdict %d", s.Engine, r.Return, r.Return, s.Verdict)
		if r.R0 > math.MaxUint32 {
			fmt.Fprintf(f, ", r0 %#x", r.R0)
		}
		if r.Executed != 0 {
			fmt.Fprintf(f, ", %d instructions", r.Executed)
		}
		if r.Fault != nil {
			fmt.Fprintf(f, "\n    fault: %v", r.Fault)
		}
		var fault *vm.Fault
		if errors.As(r.Fault, &fault) {
			fmt.Fprintf(f, "\n    registers:%s", registersText(fault))
		}
		if r.Data != nil && !bytes.Equal(r.Data, d.Packet.Data) {
			fmt.Fprintf(f, "\n    packet after: %x", r.Data)
		}
		for _, e := range r.Events {
			fmt.Fprintf(f, "\n    %s: %x", e.Source, e.Data)
		}
	}
}

// registersText lists the registers that are not 0.
func registersText(fault *vm.Fault) string {
	var text strings.Builder
	for i, v := range fault.Registers {
		if v != 0 {
			fmt.Fprintf(&text, " r%d=%#x", i, v)
		}
	}
	return text.String()
}
