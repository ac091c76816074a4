package filter

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// An Error says what is wrong with an expression and where. With %v it is one
// line, "column 10: …"; with %+v it is followed by the expression with a caret
// under the place, what would have been right there, and a hint.
type Error struct {
	Expr     string // the whole expression
	At       Span   // the bytes of Expr at fault; empty at a place where something is missing
	Msg      string
	Expected []string // what could have stood there; for a syntax error
	Hint     string   // what the writer may have meant; may be empty
	Err      error    // the cause, such as an [*UnknownNameError]; may be nil
}

// errorAt returns an Error without its expression, which the outermost
// function that knows it fills in with inExpr.
func errorAt(at Span, format string, args ...any) *Error {
	return &Error{At: at, Msg: fmt.Sprintf(format, args...)}
}

// inExpr fills in the expression of an *Error.
func inExpr(err error, expr string) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Expr == "" {
		e.Expr = expr
	}
	return err
}

// Error returns "column N: message", with the line as well if the expression
// has several. Columns count characters from 1.
func (e *Error) Error() string {
	start := min(max(e.At.Start, 0), len(e.Expr))
	before := e.Expr[:start]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	if strings.Contains(e.Expr, "\n") {
		return fmt.Sprintf("line %d, column %d: %s", line, column, e.Msg)
	}
	return fmt.Sprintf("column %d: %s", column, e.Msg)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Format implements fmt.Formatter: %+v gives several lines.
func (e *Error) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('+'):
		fmt.Fprint(f, e.detail())
	case verb == 'q':
		fmt.Fprintf(f, "%q", e.Error())
	default:
		fmt.Fprint(f, e.Error())
	}
}

// detail is the text of %+v.
func (e *Error) detail() string {
	var b strings.Builder
	b.WriteString(e.Error())
	if e.Expr != "" {
		text, caret := e.excerpt()
		fmt.Fprintf(&b, "\n    %s\n    %s", text, caret)
	}
	if len(e.Expected) > 0 {
		fmt.Fprintf(&b, "\nexpected %s", list(e.Expected))
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "\nhint: %s", e.Hint)
	}
	return b.String()
}

// list joins words as in "a, b or c".
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return strings.Join(words, "")
}

// excerptWidth is how many columns of an expression an error shows.
const excerptWidth = 76

// excerpt returns one line of text around the place of the error and the line
// of carets that goes under it. Every control character is shown as a blank.
func (e *Error) excerpt() (text, caret string) {
	start := min(max(e.At.Start, 0), len(e.Expr))
	end := min(max(e.At.End, start), len(e.Expr))
	// Enough bytes on both sides for the width, cut at characters.
	from, to := max(0, start-2*excerptWidth), min(len(e.Expr), end+2*excerptWidth)
	before := cells(e.Expr[from:start])
	marked := cells(e.Expr[start:min(end, start+4*excerptWidth)])
	after := cells(e.Expr[end:to])

	marked = clip(marked, excerptWidth/2, false)
	before = clip(before, (excerptWidth-width(marked))/2, true)
	after = clip(after, excerptWidth-width(marked)-width(before), false)
	text = strings.Join(before, "") + strings.Join(marked, "") + strings.Join(after, "")
	caret = strings.Repeat(" ", width(before)) + strings.Repeat("^", max(1, width(marked)))
	return strings.TrimRight(text, " "), caret
}

// cells cuts s into characters as a terminal shows them.
func cells(s string) []string {
	var out []string
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f:
			out = append(out, " ")
		case r == utf8.RuneError:
			out = append(out, "?")
		default:
			out = append(out, string(r))
		}
	}
	return out
}

// width returns the columns that characters take on a terminal: two for the
// East Asian wide ones and emoji, none for combining marks.
func width(cells []string) int {
	n := 0
	for _, c := range cells {
		r, _ := utf8.DecodeRuneInString(c)
		switch {
		case 0x300 <= r && r < 0x370, 0x200b <= r && r < 0x2010, 0xfe00 <= r && r < 0xfe10:
		case 0x1100 <= r && r < 0x1160, 0x2e80 <= r && r < 0xa4d0, 0xac00 <= r && r < 0xd7a4,
			0xf900 <= r && r < 0xfb00, 0xfe30 <= r && r < 0xfe70, 0xff00 <= r && r < 0xff61,
			0x1f300 <= r && r < 0x1fb00, 0x20000 <= r && r < 0x40000:
			n += 2
		default:
			n++
		}
	}
	return n
}

// clip shortens characters to limit columns, dropping the first ones or the
// last ones in favour of "…".
func clip(cells []string, limit int, dropFirst bool) []string {
	if width(cells) <= limit {
		return cells
	}
	for len(cells) > 0 && width(cells) > limit-1 {
		if dropFirst {
			cells = cells[1:]
		} else {
			cells = cells[:len(cells)-1]
		}
	}
	if dropFirst {
		return append([]string{"…"}, cells...)
	}
	return append(cells[:len(cells):len(cells)], "…")
}

// excerptOf shortens what an error message quotes from the expression.
func excerptOf(s string) string {
	if c := cells(s[:min(len(s), 200)]); len(c) < len(s) || len(c) > 40 {
		return strings.Join(clip(c, 40, false), "")
	}
	return s
}
