package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// A Side is an engine in a comparison and the way to read what it returns.
type Side struct {
	Engine engine.Engine

	// Verdict maps a return value to what is compared. Nil stands for the
	// return value itself.
	Verdict func(ret uint32) uint32
}

// Sides gives the sides for packets of a link type, as [Engines] does.
type Sides func(cbpf.LinkType) ([]Side, error)

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
	What   string          // "verdict", "fault" or "packet after the program"
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
// fault, and the packet after the program among the engines that can change
// it. It stops at the first packet with a disagreement and returns it; the
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
		if what == "" && r.Fault == nil && r.Data != nil && !bytes.Equal(r.Data, results[firstWithData].Data) {
			other, what = firstWithData, "packet after the program"
		}
		if what != "" {
			return &Disagreement{n, p.Clone(), what, state(&sides[other], &results[other]), state(&sides[i], r)}
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
	case x.Fault == nil && a.verdict(x) != b.verdict(y):
		return "verdict"
	}
	return ""
}

func (s *Side) verdict(r *engine.Result) uint32 {
	if s.Verdict == nil {
		return r.Return
	}
	return s.Verdict(r.Return)
}

func state(s *Side, r *engine.Result) State {
	kept := *r
	kept.Data = slices.Clone(r.Data)
	kept.Events = slices.Clone(r.Events)
	for i := range kept.Events {
		kept.Events[i].Data = slices.Clone(kept.Events[i].Data)
	}
	return State{s.Engine.Name(), s.verdict(r), kept}
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
		if r.Executed != 0 {
			fmt.Fprintf(f, ", %d instructions", r.Executed)
		}
		if r.Fault != nil {
			fmt.Fprintf(f, "\n    fault: %v", r.Fault)
		}
		if r.Data != nil && !bytes.Equal(r.Data, d.Packet.Data) {
			fmt.Fprintf(f, "\n    packet after: %x", r.Data)
		}
	}
}
