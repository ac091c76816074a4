package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"unsafe"

	cilium "github.com/cilium/ebpf"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A socket is a packet socket on its way to a capture.
type socket struct {
	fd     int
	device string
	index  int  // of the device, 0 for all
	loops  bool // what goes out of the device comes in again
	link   link
}

// openSocket opens a packet socket for a device in the thread's network
// namespace. It gets no packets before bind.
func openSocket(device string) (*socket, error) {
	s := &socket{fd: -1, device: device}
	var err error
	if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, s.fail("opening a packet socket", err)
	}
	if err := s.lookUp(); err != nil {
		unix.Close(s.fd)
		return nil, err
	}
	if s.link.header == 0 {
		return s, nil
	}
	unix.Close(s.fd)
	if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, s.fail("opening a packet socket", err)
	}
	return s, nil
}

// lookUp finds out the device's index and what its packets begin with.
func (s *socket) lookUp() error {
	if s.device == AnyDevice {
		s.link = anyLink
		return nil
	}
	request, err := unix.NewIfreq(s.device)
	if err != nil {
		return s.fail("looking for the interface", unix.ENODEV) // the name is too long for one
	}
	if err := unix.IoctlIfreq(s.fd, unix.SIOCGIFINDEX, request); err != nil {
		return s.fail("looking for the interface", err)
	}
	s.index = int(request.Uint32())
	if err := unix.IoctlIfreq(s.fd, unix.SIOCGIFHWADDR, request); err != nil {
		return s.fail("asking for the interface's type", err)
	}
	arphrd := request.Uint16() // sa_family of ifr_hwaddr
	s.link, s.loops = linkOf(arphrd), arphrd == unix.ARPHRD_LOOPBACK
	return nil
}

// DeviceLinkType returns the link type that a capture on a device has, which is
// what its filter must be compiled for. Netns is as in [CaptureOptions]; the
// errors are those of [OpenCapture].
func DeviceLinkType(device, netns string) (t cbpf.LinkType, err error) {
	err = inNetns(netns, func() error {
		s := &socket{device: device}
		// Any socket answers the questions about devices, also to users who
		// may not capture.
		if s.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return s.fail("looking for the interface", err)
		}
		defer unix.Close(s.fd)
		err := s.lookUp()
		t = s.link.typ
		return err
	})
	return t, err
}

// filter attaches what selects the packets, for good: SO_LOCK_FILTER makes it
// impossible to take it off for whoever gets hold of the socket.
func (s *socket) filter(o CaptureOptions) error {
	prog := o.Filter
	if prog == nil && o.Program == nil && (o.SnapLen > 0 || s.device == AnyDevice) {
		prog = keep(o.SnapLen)
	}
	switch {
	case o.Program != nil && o.Filter != nil:
		return s.fail("attaching the filter", errors.New("there are two, a classic and an extended program"))
	case o.Program != nil:
		op := fmt.Sprintf("attaching program %q", o.Program.name)
		if t := o.Program.prog.Type(); t != cilium.SocketFilter {
			return s.fail(op, fmt.Errorf("it is of type %v, which does not go to sockets", abi.ProgType(t)))
		}
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, o.Program.prog.FD()); err != nil {
			return s.fail(op, err)
		}
	case prog == nil:
		return nil
	default:
		if err := s.attach(prog); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1); err != nil {
		return s.fail("locking the filter", err)
	}
	return nil
}

// keep is the program that keeps n bytes of every packet, or all for 0.
func keep(n int) []bpf.RawInstruction {
	if n <= 0 || n > math.MaxInt32 {
		n = math.MaxInt32
	}
	return []bpf.RawInstruction{{Op: cbpf.ClassRET | cbpf.SrcK, K: uint32(n)}}
}

func (s *socket) attach(prog []bpf.RawInstruction) error {
	const op = "attaching the filter"
	if err := cbpf.Check(prog); err != nil {
		return s.fail(op, err)
	}
	prog, err := SocketFilter(prog, s.link.typ)
	if err != nil {
		return s.fail(op, err)
	}
	code := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		code[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	p := unix.SockFprog{Len: uint16(len(code)), Filter: unsafe.SliceData(code)}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p); err != nil {
		return s.fail(op, err)
	}
	return nil
}

// bind lets the packets in.
func (s *socket) bind(promiscuous bool) error {
	if promiscuous && s.index != 0 {
		request := unix.PacketMreq{Ifindex: int32(s.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(s.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &request); err != nil {
			return s.fail("making the interface promiscuous", err)
		}
	}
	if s.loops {
		// A loopback device shows each packet twice. libpcap skips the first
		// one as well, when it reads.
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return s.fail("ignoring outgoing packets", err)
		}
	}
	address := unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: s.index}
	if err := unix.Bind(s.fd, &address); err != nil {
		return s.fail("binding the socket", err)
	}
	if err := pendingError(s.fd); err != nil {
		return s.fail("binding the socket", err) // the device is down
	}
	return nil
}

// pendingError returns the error that a socket holds ready, and clears it.
func pendingError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// bigEndian16 returns a number as the kernel's __be16 fields hold it.
func bigEndian16(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

func (s *socket) fail(op string, err error) error {
	e := &DeviceError{Device: s.device, Op: op, Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "it takes CAP_NET_RAW: run with sudo, or setcap cap_net_raw+ep FILE, " +
			"or capture in a network namespace of your own (unshare --user --map-root-user --net)"
	case errors.Is(err, unix.ENOMEM) && op == "attaching the filter":
		e.Hint = "its translation takes more memory than the limit for a socket: sysctl net.core.optmem_max"
	case errors.Is(err, unix.ENETDOWN):
		e.Hint = "ip link set dev " + s.device + " up"
	}
	return e
}
