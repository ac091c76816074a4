package verifier

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Format implements fmt.Formatter: %v is one line, %+v the whole text.
func (r *Report) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('+') {
		r.Write(f, false)
		return
	}
	io.WriteString(f, r.Error())
}

// Write writes the whole report as text, with the colours of a terminal or
// without.
func (r *Report) Write(w io.Writer, color bool) error {
	var out bytes.Buffer
	t := reportText{&out, color}
	t.head(r)
	t.miss(r)
	t.chain(r)
	t.effort(r.Effort)
	if r.Nearest != nil {
		t.section("Nearest check")
		t.code(r.Nearest.Place, "")
		t.words(r.Nearest.Why)
	}
	if r.Remedy != "" {
		t.section("Remedy")
		t.block(r.Remedy)
	}
	t.witness(r.Witness)
	_, err := w.Write(out.Bytes())
	return err
}

// reportText writes the parts of a report.
type reportText struct {
	*bytes.Buffer
	color bool
}

// The colours of terminals.
const (
	bold  = "1"
	red   = "31"
	green = "32"
	cyan  = "36"
	dim   = "2"
)

func (t *reportText) paint(color, text string) string {
	if !t.color || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// printable replaces what is no character to be seen: names and source lines
// are from the object, and could write over the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func (t *reportText) section(title string) { fmt.Fprintf(t, "\n%s\n", t.paint(bold, title+":")) }

// textWidth is where running text is broken.
const textWidth = 96

// words writes running text, indented and broken into lines.
func (t *reportText) words(text string) { t.indented("  ", text) }

func (t *reportText) indented(indent, text string) {
	line := ""
	for _, word := range strings.Fields(printable(text)) {
		if line != "" && utf8.RuneCountInString(indent)+utf8.RuneCountInString(line)+utf8.RuneCountInString(word) >= textWidth {
			fmt.Fprintln(t, indent+line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		fmt.Fprintln(t, indent+line)
	}
}

// block writes text in which indented lines are code, to be kept as they are.
func (t *reportText) block(text string) {
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "\t") {
			fmt.Fprintf(t, "      %s\n", t.paint(green, strings.ReplaceAll(line[1:], "\t", "    ")))
		} else {
			t.words(line)
		}
	}
}

func (t *reportText) head(r *Report) {
	fmt.Fprintf(t, "%s %s: %s\n", t.paint(bold+";"+red, r.Code.String()), t.paint(bold, r.Title), printable(r.Message))
	where := r.Program
	if where != "" {
		where = "program " + where
	}
	if r.Source.File != "" {
		where = strings.TrimPrefix(where+", "+r.Source.Where(), ", ")
	}
	if where != "" {
		fmt.Fprintf(t, "  in %s\n", printable(where))
	}
	t.source(r.Source)
	t.code(r.Place, "")
}

// source writes a line of source as the kernel's tools do.
func (t *reportText) source(s Source) {
	switch {
	case s == Source{}:
	case s.File == "":
		fmt.Fprintf(t, "      %s\n", t.paint(cyan, printable("; "+s.Text)))
	default:
		fmt.Fprintf(t, "      %s %s\n", t.paint(cyan, printable("; "+s.short().Where()+":")), t.paint(cyan, printable(strings.TrimSpace(s.Text))))
	}
}

// codeWidth is the width that instructions are given before what is said
// about them.
const codeWidth = 34

func (t *reportText) code(p Place, says string) {
	if p.Insn == "" {
		return
	}
	line := fmt.Sprintf("%4d: %-*s  %s", p.Slot, codeWidth, p.Insn, says)
	fmt.Fprintln(t, strings.TrimRight(printable(line), " "))
}

func (t *reportText) miss(r *Report) {
	m := r.Miss
	if m == nil {
		return
	}
	t.section("Arithmetic")
	row := func(name string, value int64) { fmt.Fprintf(t, "  %-24s %6d\n", name, value) }
	first, end := int64(0), m.Have
	if r.Code == StackBounds {
		first, end = -frameSize, 0
	}
	if m.Begin < first {
		row("the access begins at", m.Begin)
		row("the first byte is", first)
	} else {
		row("the access ends at", m.End)
		row("known to be there up to", end)
	}
	fmt.Fprintf(t, "  %-24s %6s\n", "short", t.paint(red, fmt.Sprintf("%6d", m.Short)))
}

func (t *reportText) chain(r *Report) {
	if len(r.Chain) == 0 {
		return
	}
	t.section("How it came about")
	if r.Omitted > 0 {
		fmt.Fprintf(t, "      (%d earlier steps are left out)\n", r.Omitted)
	}
	var line Source
	for _, e := range r.Chain {
		if e.Source != line {
			line = e.Source
			t.source(line)
		}
		t.code(e.Place, e.says())
	}
}

// says tells what the step did.
func (e *Event) says() string {
	var b strings.Builder
	if e.Branch != "" {
		fmt.Fprintf(&b, "%s: ", e.Branch)
	}
	fmt.Fprintf(&b, "%s: ", e.What)
	if e.Before != "" && e.Before != e.After {
		fmt.Fprintf(&b, "%s → ", e.Before)
	}
	b.WriteString(e.After)
	if e.Times > 1 {
		fmt.Fprintf(&b, " (the last of %d times)", e.Times)
	}
	return b.String()
}

func (t *reportText) effort(e *Effort) {
	if e == nil {
		return
	}
	t.section("Where the steps went")
	t.source(e.From.Source)
	t.code(e.From, "")
	if e.To.Slot > e.From.Slot+1 {
		fmt.Fprintln(t, "   …")
	}
	if e.To.Slot != e.From.Slot {
		t.code(e.To, "")
	}
	t.words(fmt.Sprintf("%d %% of the steps were from %d to %d. At %d were at least %d different states.", e.Share, e.From.Slot, e.To.Slot, e.At.Slot, e.States))
	if len(e.Apart) == 0 {
		return
	}
	t.section("What keeps the states apart")
	for _, d := range e.Apart {
		fmt.Fprintf(t, "  %-8s %d values: %s", d.What, d.Values, printable(strings.Join(d.Examples, ", ")))
		if d.Values > len(d.Examples) {
			t.WriteString(", …")
		}
		fmt.Fprintln(t)
		t.indented("           ", d.Why)
	}
}

func (t *reportText) witness(w *Witness) {
	if w == nil {
		return
	}
	t.section("Witness")
	if !w.Found {
		t.words(w.Note)
		return
	}
	t.words(fmt.Sprintf("run %d, a packet of %s: at %d, %s", w.Runs, bytesText(len(w.Packet)), w.Slot, w.Fault))
	if w.Setup != "" {
		t.words(w.Setup)
	}
	t.dump(w.Packet)
}

// dump writes bytes by lines; "*" stands for lines that are as the one above.
func (t *reportText) dump(data []byte) {
	var above []byte
	starred := false
	for at := 0; at < len(data); at += 16 {
		line := data[at:min(at+16, len(data))]
		again := bytes.Equal(line, above) && at+16 < len(data)
		switch {
		case !again:
			fmt.Fprintf(t, "  %04x  % x\n", at, line)
		case !starred:
			t.WriteString("  *\n")
		}
		starred, above = again, line
	}
}
