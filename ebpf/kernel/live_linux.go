package kernel

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
)

// A Capture reads the packets of a device as they come. It must be closed.
//
// Next and Buffered are for one goroutine, Stats, Stop and Close for any.
type Capture struct {
	ring    ring
	link    link
	snapLen uint32
	packet  capture.Packet
	stop    sync.Once
	stopped atomic.Bool
	down    bool // the device went down, and nothing has come since
	last    int  // after Stop: blocks still to be delivered, -1 before that is known
	read    uint64
	closed  atomic.Bool

	device  string
	latency time.Duration
	file    *os.File        // the packet socket
	conn    syscall.RawConn // of file

	mu       sync.Mutex // guards what follows
	counters *counters  // nil for AnyDevice
	stats    CaptureStats
	ended    bool // stats are final
}

// OpenCapture begins a capture on a device, or on all with [AnyDevice]. From
// its return on no packet is missed but those that [Capture.Stats] counts, and
// none is seen that the filter does not match.
//
// The error is a [*DeviceError]; one of opening o.Netns is an [*fs.PathError].
func OpenCapture(device string, o CaptureOptions) (c *Capture, err error) {
	err = inNetns(o.Netns, func() error {
		c, err = openCapture(device, o)
		return err
	})
	return c, err
}

func openCapture(device string, o CaptureOptions) (*Capture, error) {
	s, err := openSocket(device)
	if err != nil {
		return nil, err
	}
	c := &Capture{link: s.link, snapLen: math.MaxInt32, last: -1, device: device, latency: o.Latency}
	if o.SnapLen > 0 {
		c.snapLen = uint32(min(o.SnapLen, math.MaxInt32))
	}
	if c.latency <= 0 {
		c.latency = defaultLatency
	}
	c.latency = min(c.latency, maxLatency)
	c.packet.LinkType = s.link.typ
	c.file = os.NewFile(uintptr(s.fd), device)
	if err := c.begin(s, o); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// begin prepares the socket. A socket of protocol 0 gets no packets: it is bound
// when all the rest is in place, so that none passes that has not met the filter.
func (c *Capture) begin(s *socket, o CaptureOptions) (err error) {
	if c.conn, err = c.file.SyscallConn(); err != nil {
		return s.fail("watching the socket", err)
	}
	if err := s.filter(o); err != nil {
		return err
	}
	if c.ring, err = newRing(s, o.RingSize, c.latency); err != nil {
		return err
	}
	runtime.AddCleanup(c, ring.unmap, c.ring)
	if s.index != 0 {
		if c.counters, err = openCounters(s.index); err != nil {
			return s.fail("asking for the interface's counters", err)
		}
	}
	return s.bind(o.Promiscuous)
}

// LinkType returns what the packets begin with. It follows from the device:
// Ethernet, bare IP packets, or a Linux cooked header for what has neither.
func (c *Capture) LinkType() cbpf.LinkType { return c.link.typ }

// Next returns the next packet and waits for it if there is none. The packet
// and its bytes, which lie in memory shared with the kernel, are valid until the
// following call; they read as zeros after Close. After Stop the error is
// [io.EOF] once everything captured until then has been returned, after Close it
// is [os.ErrClosed], and if the device disappears a [*DeviceError].
//
// A VLAN tag that the kernel has taken out stands in the bytes again, as it did
// on the wire. [capture.Packet.Metadata] knows the device and the direction.
func (c *Capture) Next() (*capture.Packet, error) {
	if c.ring.left == 0 {
		if err := c.nextBlock(); err != nil {
			return nil, err
		}
	}
	frame, h := c.ring.next()
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&frame[addressOffset]))
	first := uint32(h.Mac)
	start, end := first, first+h.Snaplen
	if c.closed.Load() { // else these three are not from the zeros that Close leaves
		return nil, c.errClosed()
	}
	if c.link.header > 0 {
		start = c.link.putHeader(frame, start, from)
	}
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 {
		start = c.link.putTag(frame, start, end, h)
	}
	p := &c.packet
	p.Time = int64(h.Sec)*int64(time.Second) + int64(h.Nsec)
	p.WireLen = h.Len + first - start
	p.Data = frame[start:min(end, start+c.snapLen):end]
	p.SetDevice(uint32(from.Ifindex), from.Pkttype)
	return p, nil
}

// Buffered reports whether Next would return without waiting and leave the
// bytes of earlier packets in place. Package vm/replay asks.
func (c *Capture) Buffered() bool { return c.ring.left > 0 }

// nextBlock gives the block that has been read back to the kernel and waits for
// the next one.
func (c *Capture) nextBlock() error {
	c.ring.release()
	for {
		if c.last < 0 && c.stopped.Load() {
			c.finish()
		}
		switch {
		case c.last == 0:
			return c.end()
		case c.ring.ready():
			if c.last > 0 {
				c.last--
			}
			c.ring.take()
			c.read += uint64(c.ring.left)
			if c.ring.left > 0 {
				return nil
			}
			c.ring.release()
		case c.last > 0 && c.ring.isEmpty():
			return c.end()
		default:
			switch err := c.wait(); {
			case err == io.EOF:
				return c.end()
			case err != nil:
				return err
			}
		}
	}
}

// finish begins the end that Stop asks for: the blocks that the kernel has handed
// over and the one that it is filling are still to be delivered. It hands that
// over the second time that its timer finds packets there, or a tick later.
func (c *Capture) finish() {
	c.last = c.ring.filled() + 1
	// The only error is that of a closed socket, which wait will report.
	_ = c.file.SetReadDeadline(time.Now().Add(2*c.latency + 20*time.Millisecond))
}

// end is the end after Stop. The kernel goes on to receive, and to count, what is
// no part of the capture any more.
func (c *Capture) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() || c.ended {
		return io.EOF
	}
	if err := c.count(); err != nil {
		return err
	}
	c.stats.Received = c.read + c.stats.Dropped
	c.ended = true
	return io.EOF
}

// wait returns when the kernel has filled a block, and at times before.
func (c *Capture) wait() error {
	if c.down {
		time.Sleep(downPoll)
	}
	var failed error
	err := c.conn.Read(func(fd uintptr) bool {
		if c.ring.ready() {
			c.down = false
			return true
		}
		failed = c.socketError(int(fd))
		return failed != nil || c.down
	})
	switch {
	case failed != nil:
		return &DeviceError{Device: c.device, Op: "waiting for packets", Err: failed}
	case c.closed.Load():
		return c.errClosed()
	case err == nil || c.ring.ready():
		return nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return &DeviceError{Device: c.device, Op: "waiting for packets", Err: err}
	case c.last > 0: // the deadline is that of finish
		return io.EOF
	}
	return nil
}

// downPoll is how often to look after a device that is down. The kernel reports
// that it goes down, but neither that it comes up nor that it is removed then.
const downPoll = 20 * time.Millisecond

// socketError returns the error that the kernel reports by the socket. That the
// device went down is none: it may come up again, which libpcap waits for, too.
func (c *Capture) socketError(fd int) error {
	err := pendingError(fd)
	if err == unix.ENETDOWN {
		c.down, err = true, nil
	}
	if err != nil || !c.down {
		return err
	}
	name, err := unix.Getsockname(fd)
	if address, ok := name.(*unix.SockaddrLinklayer); ok && address.Ifindex == -1 {
		return fmt.Errorf("the interface has been removed: %w", unix.ENODEV)
	}
	return err
}

func (c *Capture) errClosed() error {
	return fmt.Errorf("capture on %s: %w", c.device, os.ErrClosed)
}

// Stop ends the capture in order: Next returns what has come so far and then
// [io.EOF], also where it is waiting. To stop with a context, use
// context.AfterFunc(ctx, c.Stop).
func (c *Capture) Stop() {
	c.stop.Do(func() {
		// A Next that waits wakes up. The deadline comes first, because finish
		// sets another one. A closed socket has none to set.
		_ = c.file.SetReadDeadline(time.Now())
		c.stopped.Store(true)
	})
}

// Stats returns what the kernel has counted; up to the end of the packets if
// Stop has brought that about, and up to Close.
func (c *Capture) Stats() (CaptureStats, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.closed.Load() {
		return c.stats, nil
	}
	return c.stats, c.count()
}

// count brings c.stats up to date. The kernel starts anew with each question.
func (c *Capture) count() (err error) {
	var since *unix.TpacketStatsV3
	if ctl := c.conn.Control(func(fd uintptr) {
		since, err = unix.GetsockoptTpacketStatsV3(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	}); ctl != nil {
		err = ctl
	}
	lost := losses{c.stats.InterfaceMissed, c.stats.InterfaceDropped}
	if err == nil && c.counters != nil {
		now, failed := c.counters.since()
		if failed == nil {
			lost = now
		} else if failed != unix.ENODEV { // a device that is gone counts no more
			err = failed
		}
	}
	if err != nil {
		return &DeviceError{Device: c.device, Op: "reading the counters", Err: err}
	}
	c.stats.Received += uint64(since.Packets)
	c.stats.Dropped += uint64(since.Drops)
	c.stats.Freezes += uint64(since.Freeze_q_cnt)
	c.stats.InterfaceMissed, c.stats.InterfaceDropped = lost.missed, lost.dropped
	return nil
}

// Close ends the capture at once and frees the ring and the sockets. A Next that
// waits returns; closing twice is no error.
func (c *Capture) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return nil
	}
	var err error
	if c.ring.mem != nil && !c.ended {
		err = c.count()
	}
	c.closed.Store(true)
	err = errors.Join(err, c.ring.detach(), c.file.Close())
	if c.counters != nil {
		err = errors.Join(err, c.counters.close())
	}
	return err
}
