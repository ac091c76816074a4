package kernel

import (
	"fmt"

	"github.com/bpflab/bpflab/vm/engine"
)

// A PacketError says that the kernel does not run programs on such a packet,
// or would show them another one: which of the limits in the package
// documentation it is about.
type PacketError struct {
	Length int    // bytes of the packet
	Limit  string // what the kernel takes, or shows, and what the packet is
	Cause  error  // the system call's error; nil if it was not asked
}

func (e *PacketError) Unwrap() error { return e.Cause }

// Is makes the error an [engine.ErrPacket].
func (e *PacketError) Is(target error) bool { return target == engine.ErrPacket }

func (e *PacketError) Error() string {
	text := fmt.Sprintf("the kernel does not run programs on this packet of %d bytes: %s", e.Length, e.Limit)
	if e.Cause != nil {
		text += fmt.Sprintf(" (%v)", e.Cause)
	}
	return text
}
