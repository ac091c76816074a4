package kernel

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// counters reads the counters of a device over route netlink, by its index, so
// that neither the caller's namespace nor a new name matters.
type counters struct {
	fd    int
	index int
	start uint64 // dropped when the counters were opened
}

// openCounters opens counters in the thread's network namespace.
func openCounters(index int) (*counters, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	c := &counters{fd: fd, index: index}
	if c.start, err = c.read(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// dropped returns how many packets were lost since the counters were opened.
func (c *counters) dropped() (uint64, error) {
	n, err := c.read()
	return n - c.start, err
}

func (c *counters) close() error { return unix.Close(c.fd) }

// Sizes and offsets of <linux/if_link.h>. The answer is a struct if_stats_msg
// and behind it one attribute, a struct rtnl_link_stats64.
const (
	statsMessage    = 12     // sizeof(struct if_stats_msg)
	statsLink64     = 1      // IFLA_STATS_LINK_64
	statsRxDropped  = 6 * 8  // rx_dropped: by the kernel, above the driver
	statsRxMissed   = 15 * 8 // rx_missed_errors: by the device, for want of buffers
	statsAttributes = unix.SizeofNlMsghdr + statsMessage + unix.SizeofNlAttr
)

// read asks for the packets that came in and were lost (RTM_GETSTATS).
func (c *counters) read() (uint64, error) {
	var ask [unix.SizeofNlMsghdr + statsMessage]byte
	binary.NativeEndian.PutUint32(ask[0:], uint32(len(ask)))
	binary.NativeEndian.PutUint16(ask[4:], unix.RTM_GETSTATS)
	binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(ask[20:], uint32(c.index))
	binary.NativeEndian.PutUint32(ask[24:], 1<<(statsLink64-1))
	if err := unix.Sendto(c.fd, ask[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	var answer [4096]byte
	n, _, err := unix.Recvfrom(c.fd, answer[:], 0)
	if err != nil {
		return 0, err
	}
	if n >= unix.SizeofNlMsghdr+4 && binary.NativeEndian.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		return 0, unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])))
	}
	if n < statsAttributes+statsRxMissed+8 {
		return 0, errors.New("the answer about the interface's counters is too short")
	}
	stats := answer[statsAttributes:n]
	return binary.NativeEndian.Uint64(stats[statsRxDropped:]) + binary.NativeEndian.Uint64(stats[statsRxMissed:]), nil
}
