package verifier

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteListing writes [Proof.Listing] as text, with the colours of a terminal
// or without: lines of source, and below them their instructions with what is
// known before each one. "from 4, 11:" above an instruction names those from
// which runs come here; behind a jump stands where it goes to in <>.
func (p *Proof) WriteListing(w io.Writer, color bool) error {
	var out bytes.Buffer
	t := reportText{&out, color}
	var source Source
	for _, l := range p.Listing() {
		if t.place(l) {
			source = Source{}
		}
		if l.Source != source && l.Source != (Source{}) {
			source = l.Source
			t.source(source.short())
		}
		t.listed(l)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// short leaves out the directories, which would be the same in most lines.
func (s Source) short() Source {
	if s.File != "" {
		s.File = path.Base(s.File)
	}
	return s
}

// place says what begins here and where runs come from, if there is something
// to say.
func (t *reportText) place(l ListedInsn) bool {
	if l.Function == "" && l.From == nil {
		return false
	}
	head := l.Function
	if l.From != nil {
		head = strings.TrimSpace(head + " from " + listText(l.From))
	}
	fmt.Fprintf(t, "\n%s\n", t.paint(bold, printable(head+":")))
	return true
}

// listText lists slots, and of many the first.
func listText(slots []int) string {
	const most = 12
	var texts []string
	for _, slot := range slots[:min(most, len(slots))] {
		texts = append(texts, strconv.Itoa(slot))
	}
	text := strings.Join(texts, ", ")
	if more := len(slots) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// listed writes an instruction and what is known beside it.
func (t *reportText) listed(l ListedInsn) {
	text := printable(l.Insn)
	if l.Target > 0 {
		text += fmt.Sprintf(" <%d>", l.Target)
	}
	left := fmt.Sprintf("%4d: %-*s", l.Slot, codeWidth, text)
	if !l.Reached {
		fmt.Fprintln(t, t.paint(dim, left+"  not reached"))
		return
	}
	for _, right := range l.beside() {
		fmt.Fprintln(t, strings.TrimRight(left+"  "+t.paint(green, printable(right)), " "))
		left = strings.Repeat(" ", len("   0: ")+codeWidth)
	}
}

// factsWidth is where facts are broken into lines.
const factsWidth = 78

// beside is what stands beside an instruction, by lines.
func (l *ListedInsn) beside() []string {
	var parts []string
	if l.Branch != "" {
		parts = append(parts, l.Branch)
	}
	for _, f := range l.Facts {
		parts = append(parts, f.Where+" = "+f.Value)
	}
	lines := []string{""}
	for i, part := range parts {
		if i < len(parts)-1 {
			part += ";"
		}
		last := &lines[len(lines)-1]
		switch width := utf8.RuneCountInString(*last) + 1 + utf8.RuneCountInString(part); {
		case *last == "":
			*last = part
		case width > factsWidth:
			lines = append(lines, part)
		default:
			*last += " " + part
		}
	}
	return lines
}
