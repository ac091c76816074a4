package kernel

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What an interface runs at XDP the bpf system call does not tell: that is
// asked, and changed where the program has no link, by routing messages
// (rtnetlink(7)). They are a header, a struct ifinfomsg and attributes, each a
// length, a type and a value, padded to four bytes; IFLA_XDP holds attributes
// in turn.

// An xdpProgram is a program that an interface runs.
type xdpProgram struct {
	program uint32 // its id
	flags   uint32 // XDP_FLAGS_*: the mode
}

// xdpPrograms lists the programs that an interface runs.
func xdpPrograms(index int) ([]xdpProgram, error) {
	reply, err := syscall.NetlinkRIB(syscall.RTM_GETLINK, syscall.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("asking for interfaces: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(reply)
	if err != nil {
		return nil, fmt.Errorf("asking for interfaces: %w", err)
	}
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != syscall.RTM_NEWLINK || len(m.Data) < syscall.SizeofIfInfomsg ||
			int32(binary.NativeEndian.Uint32(m.Data[4:])) != int32(index) {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, fmt.Errorf("asking for interfaces: %w", err)
		}
		for _, a := range attributes {
			if a.Attr.Type&^unix.NLA_F_NESTED == unix.IFLA_XDP {
				return xdpIn(a.Value), nil
			}
		}
	}
	return nil, nil
}

// xdpIn reads the attributes inside of IFLA_XDP.
func xdpIn(nested []byte) (all []xdpProgram) {
	modes := map[uint16]uint32{
		unix.IFLA_XDP_DRV_PROG_ID: unix.XDP_FLAGS_DRV_MODE,
		unix.IFLA_XDP_SKB_PROG_ID: unix.XDP_FLAGS_SKB_MODE,
		unix.IFLA_XDP_HW_PROG_ID:  unix.XDP_FLAGS_HW_MODE,
	}
	for len(nested) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(nested))
		if length < unix.SizeofRtAttr || length > len(nested) {
			return all
		}
		mode, ok := modes[binary.NativeEndian.Uint16(nested[2:])]
		if ok && length >= unix.SizeofRtAttr+4 {
			all = append(all, xdpProgram{binary.NativeEndian.Uint32(nested[unix.SizeofRtAttr:]), mode})
		}
		nested = nested[min((length+3)&^3, len(nested)):]
	}
	return all
}

// clearXDP takes the program of a mode away that is attached without a link.
func clearXDP(index int, flags uint32) error {
	order := binary.NativeEndian
	none := attribute(nil, unix.IFLA_XDP_FD, order.AppendUint32(nil, ^uint32(0))) // -1
	mode := attribute(nil, unix.IFLA_XDP_FLAGS, order.AppendUint32(nil, flags))
	return linkRequest(unix.RTM_SETLINK, 0, index, attribute(nil, unix.IFLA_XDP|unix.NLA_F_NESTED, append(none, mode...)))
}

// addVeth makes a pair of virtual Ethernet devices, of which one gets the name.
func addVeth(name string) error {
	kind := attribute(nil, unix.IFLA_INFO_KIND, []byte("veth"))
	attributes := attribute(nil, unix.IFLA_IFNAME, append([]byte(name), 0))
	attributes = attribute(attributes, unix.IFLA_LINKINFO|unix.NLA_F_NESTED, kind)
	return linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, 0, attributes)
}

// attribute appends an attribute.
func attribute(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

// linkRequest asks for something to be done with an interface.
func linkRequest(typ, flags uint16, index int, attributes []byte) error {
	order := binary.NativeEndian
	message := order.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+unix.SizeofIfInfomsg+len(attributes)))
	message = order.AppendUint16(message, typ)
	message = order.AppendUint16(message, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	message = order.AppendUint64(message, 0) // sequence number and port: one request, one answer
	info := make([]byte, unix.SizeofIfInfomsg)
	order.PutUint32(info[4:], uint32(index))
	return routeRequest(append(append(message, info...), attributes...))
}

// routeRequest sends a message and returns the error in the answer.
func routeRequest(message []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	reply := make([]byte, os.Getpagesize())
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return os.NewSyscallError("recvfrom", err)
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("an answer of %d bytes to a routing message that is no acknowledgement", n)
	}
	if code := int32(binary.NativeEndian.Uint32(reply[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
