package capture

import (
	"fmt"
	"io"
)

// An Error says why reading a capture stopped. Everything before it has been
// delivered; the reader gives the same error from then on.
type Error struct {
	Offset int64 // where the faulty header or record begins, in bytes of the uncompressed input
	Packet int   // number of the packet that would have come next, from 1; 0 before the first record
	Msg    string
	Err    error // what reading the input returned, if that was the reason; nil if the content was
}

func (e *Error) Error() string {
	s := fmt.Sprintf("at byte %d: %s", e.Offset, e.Msg)
	if e.Packet > 0 {
		s = fmt.Sprintf("packet %d %s", e.Packet, s)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the reason from the input; for a file that ends within a
// record it is [io.ErrUnexpectedEOF].
func (e *Error) Unwrap() error { return e.Err }

// fail makes the error at the current position and keeps it.
func (r *Reader) fail(format string, args ...any) error {
	r.err = &Error{Offset: r.offset(), Packet: r.count + 1, Msg: fmt.Sprintf(format, args...)}
	return r.err
}

// failShort is fail for input that ended or broke within a record of which n
// bytes were wanted.
func (r *Reader) failShort(what string, n int, cause error) error {
	msg := "cannot read the " + what
	if cause == io.EOF || cause == io.ErrUnexpectedEOF {
		msg, cause = fmt.Sprintf("truncated %s (%d of %d bytes)", what, len(r.rest), n), io.ErrUnexpectedEOF
	}
	r.err = &Error{Offset: r.offset(), Packet: r.count + 1, Msg: msg, Err: cause}
	return r.err
}
