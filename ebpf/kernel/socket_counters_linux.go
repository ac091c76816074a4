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
	start losses // when the counters were opened
}

// losses are packets that came in and were lost.
type losses struct{ missed, dropped uint64 }

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

// since returns what was lost since the counters were opened.
func (c *counters) since() (losses, error) {
	now, err := c.read()
	return losses{now.missed - c.start.missed, now.dropped - c.start.dropped}, err
}

func (c *counters) close() error { return unix.Close(c.fd) }

// Sizes and offsets of <linux/if_link.h>. The answer is a struct if_stats_msg
// and behind it one attribute, a struct rtnl_link_stats64.
const (
	statsMessage    = 12     // sizeof(struct if_stats_msg)
	statsLink64     = 1      // IFLA_STATS_LINK_64
	statsRxDropped  = 6 * 8  // rx_dropped
	statsRxMissed   = 15 * 8 // rx_missed_errors
	statsAttributes = unix.SizeofNlMsghdr + statsMessage + unix.SizeofNlAttr
)

// read asks the kernel (RTM_GETSTATS).
func (c *counters) read() (losses, error) {
	var ask [unix.SizeofNlMsghdr + statsMessage]byte
	binary.NativeEndian.PutUint32(ask[0:], uint32(len(ask)))
	binary.NativeEndian.PutUint16(ask[4:], unix.RTM_GETSTATS)
	binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(ask[20:], uint32(c.index))
	binary.NativeEndian.PutUint32(ask[24:], 1<<(statsLink64-1))
	if err := unix.Sendto(c.fd, ask[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return losses{}, err
	}
	var answer [4096]byte
	n, _, err := unix.Recvfrom(c.fd, answer[:], 0)
	if err != nil {
		return losses{}, err
	}
	if n >= unix.SizeofNlMsghdr+4 && binary.NativeEndian.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		return losses{}, unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])))
	}
	if n < statsAttributes+statsRxMissed+8 {
		return losses{}, errors.New("the answer about the interface's counters is too short")
	}
	stats := answer[statsAttributes:n]
	return losses{
		missed:  binary.NativeEndian.Uint64(stats[statsRxMissed:]),
		dropped: binary.NativeEndian.Uint64(stats[statsRxDropped:]),
	}, nil
}
