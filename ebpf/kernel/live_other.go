//go:build !linux

package kernel

import (
	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
)

// A Capture is a live capture; there is none on this system.
type Capture struct{}

// OpenCapture returns ErrNotSupported.
func OpenCapture(device string, o CaptureOptions) (*Capture, error) { return nil, ErrNotSupported }

// DeviceLinkType returns ErrNotSupported.
func DeviceLinkType(device, netns string) (cbpf.LinkType, error) { return 0, ErrNotSupported }

// LinkType returns 0.
func (c *Capture) LinkType() cbpf.LinkType { return 0 }

// Next returns ErrNotSupported.
func (c *Capture) Next() (*capture.Packet, error) { return nil, ErrNotSupported }

// Buffered returns true: there is nothing to wait for.
func (c *Capture) Buffered() bool { return true }

// Stats returns ErrNotSupported.
func (c *Capture) Stats() (CaptureStats, error) { return CaptureStats{}, ErrNotSupported }

// Stop does nothing.
func (c *Capture) Stop() {}

// Close returns ErrNotSupported.
func (c *Capture) Close() error { return ErrNotSupported }
