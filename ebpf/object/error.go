package object

import (
	"fmt"
	"strings"
)

// An Error says what is wrong with a program of an object.
type Error struct {
	Program string
	Slot    int   // of the instruction, -1 if it is not about one
	Line    *Line // its source, nil if unknown
	Err     error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "program %q", e.Program)
	if e.Slot >= 0 {
		fmt.Fprintf(&b, ", instruction %d", e.Slot)
	}
	if e.Line != nil {
		fmt.Fprintf(&b, " (%v)", e.Line)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// String returns "file:number: text".
func (l *Line) String() string {
	if l.Text == "" {
		return fmt.Sprintf("%s:%d", l.File, l.Number)
	}
	return fmt.Sprintf("%s:%d: %s", l.File, l.Number, l.Text)
}
