package kernel

import (
	"fmt"
	"time"

	"golang.org/x/net/bpf"
)

// CaptureOptions say what [OpenCapture] captures and how. The zero value is
// for every packet in full, other hosts' unicast packets excepted.
type CaptureOptions struct {
	// Filter is a classic program that runs in the kernel on each packet. What
	// it returns is how many bytes of the packet to keep, 0 for no match. It is
	// compiled for the link type of the device (see [DeviceLinkType]) and for
	// live packets, in which the kernel has taken out the VLAN tag: package
	// filter calls that Live. Nil lets every packet through.
	Filter []bpf.RawInstruction

	// Program is an eBPF program of type socket_filter in the place of Filter.
	// It is attached as it is: see [SocketFilter] for what it must do without.
	// The capture does not own it: it may be closed after OpenCapture.
	Program *Program

	// SnapLen is the most bytes to keep of a packet, the link header included;
	// 0 for all. With Filter or Program their return value comes on top of it.
	SnapLen int

	// RingSize is the memory in bytes for packets that have not been read yet,
	// rounded up to what the kernel hands over at a time; 0 for 32 MiB.
	RingSize int

	// Latency is how long the kernel may keep a packet to gather more of them,
	// rounded up to a millisecond, at most 65.535 s; 0 for 10 ms. It delays
	// packets only where there are few. A reader that stops for a time needs
	// either a long one or a large ring: each time, a piece of the ring is used
	// up, for however few packets.
	Latency time.Duration

	// Promiscuous asks the device also for packets to other hosts.
	Promiscuous bool

	// Netns is the path of the network namespace that the device is in, such
	// as /run/netns/NAME or /proc/PID/ns/net. Empty is the one of the calling
	// thread.
	Netns string
}

// AnyDevice stands for all devices of a network namespace at once.
const AnyDevice = "any"

// Defaults of CaptureOptions.
const (
	defaultRingSize = 32 << 20
	defaultLatency  = 10 * time.Millisecond
)

// CaptureStats count packets since a capture was opened.
type CaptureStats struct {
	// Received is how many the filter let through, those in Dropped included.
	Received uint64 `json:"received"`
	// Dropped is how many of them found the ring full.
	Dropped uint64 `json:"dropped"`
	// Freezes is how often the ring has become full.
	Freezes uint64 `json:"freezes"`
	// InterfaceMissed is how many the device lost for want of buffers, before
	// the filter could see them.
	InterfaceMissed uint64 `json:"interface_missed"`
	// InterfaceDropped is how many the kernel dropped on the way in from the
	// device: before the filter, or behind it for want of a protocol, as it does
	// with a VLAN tag that has no device of its own.
	//
	// Both are 0 for [AnyDevice], where the kernel does not tell.
	InterfaceDropped uint64 `json:"interface_dropped"`
}

// A DeviceError says what went wrong with a device or a capture on it. In its
// chain is the error of the system call: unix.ENODEV for a device that does not
// exist, fs.ErrPermission for a user who may not capture; or a
// [*cbpf.CheckError] for a filter that the kernel would not take.
type DeviceError struct {
	Device string
	Op     string // what failed, such as "opening a packet socket"
	Err    error
	Hint   string // what to do about it; may be empty
}

// Unwrap returns the cause.
func (e *DeviceError) Unwrap() error { return e.Err }

func (e *DeviceError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s: %s: %v", e.Device, e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v; %s", e.Device, e.Op, e.Err, e.Hint)
}
