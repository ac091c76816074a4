package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/engine"
)

// A Classic runs a classic program in the kernel, which takes no privilege: it
// is the engine "kernel" for filters. The program is attached to one end of a
// pair of UNIX datagram sockets (SO_ATTACH_FILTER), packets are sent into the
// other, and what arrives has been cut to the length that the program
// returned.
//
// So Return is the smaller of the program's value and the packet's length, and
// 1 for an empty packet that was kept. The packets have no device and no link
// header: where that makes a difference to the program, as by an extension
// such as VLAN or mark, the fault is a [*PacketError]. (What is not noticed is an
// X so large that a load relative to it wraps around to the offsets from which
// Linux counts in headers.)
type Classic struct {
	send, receive int
	buf           []byte
	senses        []sense
}

// A sense is something that a program asks for and that a packet on a socket
// pair has not.
type sense struct {
	name string
	lost func(p *engine.Packet) bool // the packet has it, and it is not 0
}

var _ engine.Engine = (*Classic)(nil)

// NewClassic attaches a program to a socket pair. The error is a
// [*cbpf.CheckError] for a program that is not valid; another one says what
// the kernel has against it. The processor's number and random numbers are
// refused by name: they cannot be repeated.
func NewClassic(prog []bpf.RawInstruction) (*Classic, error) {
	if err := cbpf.Check(prog); err != nil {
		return nil, err
	}
	senses, err := sensesOf(prog)
	if err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket pair: %w", err)
	}
	c := &Classic{fds[0], fds[1], make([]byte, 1<<16), senses}
	if err := attachClassic(c.receive, prog); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func attachClassic(fd int, prog []bpf.RawInstruction) error {
	// The two types have the same fields in the same places.
	filter := unix.SockFprog{Len: uint16(len(prog)), Filter: (*unix.SockFilter)(unsafe.Pointer(&prog[0]))}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter)
	runtime.KeepAlive(prog)
	switch {
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("attaching the filter of %d instructions: it takes more memory than a socket may have (net.core.optmem_max): %w", len(prog), err)
	case err != nil:
		return fmt.Errorf("attaching the filter: %w", err)
	}
	return nil
}

// extensionSenses are the extensions that read what a socket pair has not;
// those left out look at the packet's bytes alone.
var extensionSenses = map[uint32]sense{
	cbpf.AdProtocol:       {"the extension proto", func(p *engine.Packet) bool { return p.Meta.Protocol != 0 }},
	cbpf.AdPayOffset:      {"the extension poff", func(p *engine.Packet) bool { return p.Meta.Protocol != 0 }},
	cbpf.AdPacketType:     {"the extension type", func(p *engine.Packet) bool { return p.Meta.PacketType != 0 }},
	cbpf.AdIfIndex:        {"the extension ifidx", func(p *engine.Packet) bool { return p.Meta.HasDevice }},
	cbpf.AdHWType:         {"the extension hatype", func(p *engine.Packet) bool { return p.Meta.HasDevice }},
	cbpf.AdMark:           {"the extension mark", func(p *engine.Packet) bool { return p.Meta.Mark != 0 }},
	cbpf.AdQueue:          {"the extension queue", func(p *engine.Packet) bool { return p.Meta.Queue != 0 }},
	cbpf.AdRxHash:         {"the extension rxhash", func(p *engine.Packet) bool { return p.Meta.RxHash != 0 }},
	cbpf.AdVLANTag:        {"the extension vlan_tci", hasTag},
	cbpf.AdVLANTagPresent: {"the extension vlan_avail", hasTag},
	cbpf.AdVLANTPID:       {"the extension vlan_tpid", hasTag},
}

var (
	networkSense = sense{"a load from the network header", func(p *engine.Packet) bool { return p.Meta.NetworkOffset != 0 }}
	linkSense    = sense{"a load from the link header", func(p *engine.Packet) bool { return p.Meta.HasLink }}
)

func hasTag(p *engine.Packet) bool { return p.Meta.VLANPresent }

const (
	classicMode = 0xe0 // the bits of an opcode that are the addressing mode
	classicAbs  = 0x20
	classicInd  = 0x40
	classicLen  = 0x80
)

// sensesOf lists what a program asks for beside the bytes of the packet.
func sensesOf(prog []bpf.RawInstruction) (senses []sense, err error) {
	for i, ins := range prog {
		class, mode := ins.Op&7, ins.Op&classicMode
		switch {
		case class > 1: // no load
		case mode == classicLen:
			senses = append(senses, sense{"the length on the wire", func(p *engine.Packet) bool { return int64(p.WireLen) != int64(len(p.Data)) }})
		case class == 1 || ins.K < cbpf.LLOff:
		case mode == classicInd:
			senses = append(senses, networkSense, linkSense)
		case mode != classicAbs:
		case ins.K >= cbpf.AdOff:
			extension := ins.K - cbpf.AdOff
			if extension == cbpf.AdCPU || extension == cbpf.AdRandom {
				return nil, fmt.Errorf("instruction %d: the kernel engine has no processor numbers and random numbers that could be repeated", i)
			}
			if s := extensionSenses[extension]; s.name != "" {
				senses = append(senses, s)
			}
		case ins.K >= cbpf.NetOff:
			senses = append(senses, networkSense)
		default:
			senses = append(senses, linkSense)
		}
	}
	return senses, nil
}

// Name returns "kernel".
func (c *Classic) Name() string { return "kernel" }

// Run implements [engine.Engine].
func (c *Classic) Run(in []engine.Packet, out []engine.Result) error {
	for i := range in {
		ret, err := c.runOne(&in[i])
		var limit *PacketError
		switch {
		case errors.As(err, &limit):
			out[i] = engine.Result{Fault: limit}
		case err != nil:
			return fmt.Errorf("packet %d of the batch: %w", i+1, err)
		default:
			out[i] = engine.Result{Return: ret}
		}
	}
	return nil
}

func (c *Classic) runOne(p *engine.Packet) (uint32, error) {
	for i := range c.senses {
		if s := &c.senses[i]; s.lost(p) {
			return 0, &PacketError{Length: len(p.Data), Limit: "the program uses " + s.name + ", which a socket pair does not have"}
		}
	}
	_, err := unix.Write(c.send, p.Data)
	switch {
	case errors.Is(err, unix.EMSGSIZE), errors.Is(err, unix.ENOBUFS):
		return 0, &PacketError{Length: len(p.Data), Limit: "it is longer than a datagram may be (net.core.wmem_default)", Cause: err}
	case err != nil:
		return 0, fmt.Errorf("sending the packet to the filter: %w", err)
	}
	if len(p.Data) > len(c.buf) {
		c.buf = make([]byte, 2*len(p.Data))
	}
	n, err := unix.Read(c.receive, c.buf)
	switch {
	case errors.Is(err, unix.EAGAIN): // a packet that is not kept does not arrive
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("receiving the packet from the filter: %w", err)
	}
	return uint32(max(n, 1)), nil
}

// Close closes the sockets. A second call does nothing.
func (c *Classic) Close() error {
	if c.send < 0 {
		return nil
	}
	err := errors.Join(unix.Close(c.send), unix.Close(c.receive))
	c.send, c.receive = -1, -1
	return err
}
