package verifier

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// A Report says why a program could not be proved safe. Everything in it is
// plain data; %v is one line, %+v and [Report.Write] the whole text.
type Report struct {
	Code    Code   `json:"code"`
	Title   string `json:"title"`   // of the rule, see [Rules]
	Message string `json:"message"` // one line, without code and place
	Program string `json:"program,omitempty"`
	Place          // the instruction at fault

	Miss    *Miss    `json:"miss,omitempty"`    // the arithmetic, of an access outside of an object
	Chain   []Event  `json:"chain,omitempty"`   // how what is at fault came about, in the order of the path
	Omitted int      `json:"omitted,omitempty"` // steps that Chain leaves out, further back
	Nearest *Check   `json:"nearest,omitempty"` // the comparison that comes closest to what is missing
	Remedy  string   `json:"remedy,omitempty"`  // what to write
	Effort  *Effort  `json:"effort,omitempty"`  // where the steps went, if there were too many
	Witness *Witness `json:"witness,omitempty"` // nil if none was looked for; replay.Witness does

	Stats Stats `json:"stats"`
}

// A Place is an instruction of the program.
type Place struct {
	Slot   int    `json:"slot"`
	Insn   string `json:"insn"`            // its text
	Source Source `json:"source,omitzero"` // where it comes from, if that is known
}

// A Miss says by how much an access misses. The numbers count bytes from the
// start of the object, for the stack from R10, below which 512 bytes are.
type Miss struct {
	Begin int64 `json:"begin"` // the lowest byte that the access can touch
	End   int64 `json:"end"`   // behind the highest
	Have  int64 `json:"have"`  // the bytes that are known to be there
	Short int64 `json:"short"` // how many are missing, at the end or else before the start
}

// An Event is a step of the path that made or changed something that has a
// part in the failure.
type Event struct {
	Place
	What   string `json:"what"`             // the register or the bytes of the stack: "R1", "R10-8"
	Before string `json:"before,omitempty"` // what was known of it; "" if the step replaces it
	After  string `json:"after"`            // and is from now on
	Branch string `json:"branch,omitempty"` // of a conditional jump: "taken" or "not taken"
	Times  int    `json:"times"`            // how often the path does so; told is the last time
}

// A Check is a comparison and why it is not enough.
type Check struct {
	Place
	Why string `json:"why"`
}

// An Effort says where the steps of a search went that took too many.
type Effort struct {
	Share  int      `json:"share"`           // percent of the first steps, up to 50 000, that went from From to To
	From   Place    `json:"from"`            // the loop, or the stretch of the program
	To     Place    `json:"to"`              // and its last instruction
	At     Place    `json:"at"`              // the place in it at which the most different states were seen,
	States int      `json:"states"`          // how many, those not counted that the search has given up
	Apart  []Differ `json:"apart,omitempty"` // and what makes them different, the most different first
}

// A Differ is a register or a part of the stack that keeps states apart.
type Differ struct {
	What     string   `json:"what"`
	Values   int      `json:"values"`   // how many different ones
	Examples []string `json:"examples"` // some of them
	Why      string   `json:"why"`      // what it matters for later
}

// A Witness is an input on which the program does what the report says it may
// do, or says that none was found.
type Witness struct {
	Runs   int    `json:"runs"`             // how many inputs were tried
	Found  bool   `json:"found"`            // one of them is a witness:
	Packet Hex    `json:"packet,omitempty"` // the packet
	Setup  string `json:"setup,omitempty"`  // what else is needed: contents of maps, the context
	Fault  string `json:"fault,omitempty"`  // what the machine said
	Slot   int    `json:"slot"`             // of the instruction that was at fault
	Note   string `json:"note,omitempty"`   // why there is none
}

// Hex is bytes that are written in hexadecimal.
type Hex []byte

// MarshalText returns the bytes in hexadecimal, for JSON.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText is the reverse.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// String returns the code as it is written: V101.
func (c Code) String() string { return fmt.Sprintf("V%03d", uint16(c)) }

// MarshalText returns the code as it is written, for JSON.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Error returns the report in one line.
func (r *Report) Error() string {
	where := "at " + strconv.Itoa(r.Slot)
	if line := r.Source.Where(); line != "" {
		where += " (" + line + ")"
	}
	return printable(fmt.Sprintf("%v %s: %s", r.Code, where, r.Message))
}

// Where returns "FILE:LINE", for a part of a filter expression the part, and
// "" if nothing is known.
func (s Source) Where() string {
	if s.File == "" {
		return s.Text
	}
	return s.File + ":" + strconv.Itoa(s.Line)
}

// report makes the report of a failure.
func (t *task) report(f *failure) *Report {
	e := &explanation{task: t, failure: f, turned: -1}
	e.follow()
	f = e.failure
	r := &Report{
		Code: f.code, Title: f.code.rule().Title, Message: f.msg, Program: t.p.Name, Place: e.place(f.pc),
		Stats: t.stats,
	}
	r.Miss = e.miss()
	e.explain(r)
	return r
}

// place describes an instruction.
func (p *Program) place(slot int) Place {
	at := Place{Slot: slot}
	if slot >= 0 && slot < len(p.Insns) {
		at.Insn = p.Insns[slot].String()
	}
	if p.Source != nil {
		at.Source = p.Source(slot)
	}
	return at
}

// arithmetic tells by how much an access misses, nil if the failure is not
// about that.
func (f *failure) arithmetic() *Miss {
	if !f.bounds {
		return nil
	}
	m := &Miss{Begin: f.off, End: f.end, Have: f.have, Short: f.end - f.have}
	if f.off < 0 {
		m.Short = -f.off
	}
	if f.code == StackBounds {
		m.Short = max(f.end, -frameSize-f.off)
	}
	return m
}
