package jit

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/verifier"
)

// A textPiece is a piece of code and what stands above it.
type textPiece struct {
	Piece
	program *ListedProgram // nil for a part
	insn    int            // its index in the program
	heading string         // of what is not the first piece of an instruction
}

// Write writes the listing as text: instructions with their code below them, in
// the order of the code, which is that of the program but for what is done
// rarely. Numbers at the left of machine code are offsets; behind a jump stands
// the instruction that it goes to.
func (l *Listing) Write(w io.Writer) error {
	t := listingText{Listing: l, shown: make([]int, len(l.Programs))}
	t.gather()
	fmt.Fprintf(&t.out, "; %d bytes of machine code for amd64, %s\n", l.Size, formText[l.Form])
	var holds []string
	for _, r := range l.Registers {
		holds = append(holds, r.Name+" "+r.Holds)
	}
	fmt.Fprintf(&t.out, "; %s\n", strings.Join(holds, ", "))
	for i := range t.pieces {
		t.piece(&t.pieces[i])
	}
	t.finish()
	_, err := w.Write(t.out.Bytes())
	return err
}

var formText = map[Form]string{
	Batch:  "for batches of packets",
	Single: "for one packet at a time",
}

type listingText struct {
	*Listing
	out    bytes.Buffer
	pieces []textPiece
	shown  []int // by program: how many of its instructions
	source verifier.Source
}

// gather lists all code in its order.
func (t *listingText) gather() {
	for _, part := range t.Parts {
		t.pieces = append(t.pieces, textPiece{Piece: part.Piece, heading: part.What})
	}
	for i := range t.Programs {
		p := &t.Programs[i]
		for j := range p.Insns {
			heading := ""
			for _, piece := range p.Insns[j].Code {
				t.pieces = append(t.pieces, textPiece{piece, p, j, heading})
				heading = fmt.Sprintf("%d, what is rare", p.Insns[j].Slot)
			}
		}
	}
	slices.SortFunc(t.pieces, func(a, b textPiece) int { return cmp.Compare(a.Start, b.Start) })
}

func (t *listingText) piece(p *textPiece) {
	if p.heading != "" {
		t.finish()
		fmt.Fprintf(&t.out, "; %s:\n", p.heading)
	} else {
		t.insns(p.program, p.insn+1+len(p.program.Insns[p.insn].Also))
	}
	for _, line := range p.Lines {
		text := fmt.Sprintf("    %6x  %-22x %s", line.Offset, []byte(line.Bytes), line.Text)
		if target := t.target(p, line); target != "" {
			text = fmt.Sprintf("%-70s ; %s", text, target)
		}
		t.out.WriteString(text + "\n")
	}
}

// insns writes the instructions of a program before one of them that have not
// been written yet.
func (t *listingText) insns(p *ListedProgram, before int) {
	i := slices.IndexFunc(t.Programs, func(o ListedProgram) bool { return &o.Insns[0] == &p.Insns[0] })
	if t.shown[i] == 0 {
		fmt.Fprintf(&t.out, "; program %s, type %s, %d instructions\n", p.Name, p.Type, len(p.Insns))
	}
	for ; t.shown[i] < before; t.shown[i]++ {
		insn := &p.Insns[t.shown[i]]
		if insn.Source != t.source && insn.Source.Text != "" {
			fmt.Fprintf(&t.out, "; %s\n", oneLine(insn.Source.Text))
		}
		t.source = insn.Source
		text := fmt.Sprintf("%4d: (%02x) %s", insn.Slot, uint8(insn.Op), insn.Insn)
		if insn.Note != "" {
			text = fmt.Sprintf("%-44s ; %s", text, insn.Note)
		}
		t.out.WriteString(text + "\n")
	}
}

// oneLine replaces what would move the cursor, as objects can have anything for
// source.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// finish writes the last instructions of programs that have begun.
func (t *listingText) finish() {
	for i := range t.Programs {
		if p := &t.Programs[i]; t.shown[i] > 0 {
			t.insns(p, len(p.Insns))
		}
	}
}

// target says which instruction or part a line of a piece refers to, if that is
// another one.
func (t *listingText) target(from *textPiece, line Line) string {
	target, ok := amd64.Line{Text: line.Text}.Target()
	i := sort.Search(len(t.pieces), func(i int) bool { return t.pieces[i].End > target })
	if !ok || i == len(t.pieces) || &t.pieces[i] == from {
		return ""
	}
	to := &t.pieces[i]
	what := to.heading
	if what == "" {
		what = strconv.Itoa(to.program.Insns[to.insn].Slot)
	}
	if to.Start != target {
		return "in " + what
	}
	return what
}
