package filter

import (
	"errors"
	"strconv"
	"strings"
)

// Numbers of the transport protocols.
const (
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
)

// transports are the protocols that have ports.
var transports = map[uint8]Proto{protoTCP: ProtoTCP, protoUDP: ProtoUDP, protoSCTP: ProtoSCTP}

// port resolves "[proto] [dir] port id" and "portrange".
func (r resolution) port(p *Primitive) (Test, error) {
	want, err := transport(p)
	if err != nil {
		return nil, err
	}
	var lo, hi portNumber
	switch {
	case p.ID.Kind == IDNumber:
		lo = portNumber{p.ID.Number, 0}
		hi = lo
	case p.ID.Kind != IDName:
		return nil, errorAt(p.ID.At, "an address is no %s", p.Quals.Type)
	case p.Quals.Type == TypePort:
		lo, err = r.portName(p.ID.Text)
		hi = lo
	default:
		lo, hi, err = r.portRange(p.ID.Text)
	}
	if err != nil {
		return nil, unknown(p, err)
	}
	if n := max(lo.port, hi.port); n > 65535 {
		return nil, errorAt(p.ID.At, "port %d is greater than 65535", n)
	}
	listed := lo.proto
	if hi.proto != lo.proto {
		listed = 0
	}
	if want != 0 && listed != 0 && want != listed {
		return nil, errorAt(p.ID.At, "%s %q is %s", p.Quals.Type, excerptOf(p.ID.Text), transports[listed])
	}
	if p.Quals.Dir > DirAnd {
		return nil, errorAt(orID(p.Quals.DirAt, p), "%q is only for the MAC addresses of 802.11", p.Quals.Dir)
	}
	t := &TestPort{At: At(p.At), Parts: partsOf(p), Dir: p.Quals.Dir, Range: p.Quals.Type == TypePortRange}
	t.Lo, t.Hi = uint16(min(lo.port, hi.port)), uint16(max(lo.port, hi.port))
	t.IPProtos = []uint8{max(want, listed)}
	if want == 0 && listed == 0 {
		// The order in which libpcap tests them.
		t.IPProtos = []uint8{protoSCTP, protoTCP, protoUDP}
	}
	return t, nil
}

// transport returns the protocol that qualifies a port, 0 for none.
func transport(p *Primitive) (uint8, error) {
	if p.Quals.Proto == ProtoNone {
		return 0, nil
	}
	for number, proto := range transports {
		if proto == p.Quals.Proto {
			return number, nil
		}
	}
	return 0, badProto(p, "\""+p.Quals.Type.String()+"\"")
}

// A portNumber is a port and the only protocol that its name is listed for, 0
// if it has no name or is listed for both TCP and UDP.
type portNumber struct {
	port  uint32
	proto uint8
}

// portName looks a service up as libpcap does: for TCP and for UDP only. If
// they differ in their numbers, TCP's is taken, silently. Digits, which can be
// a name after a backslash or in a range, are the number.
func (r resolution) portName(name string) (portNumber, error) {
	if isDigits(name) {
		n, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return portNumber{}, errors.New("port " + excerptOf(name) + " is greater than 65535")
		}
		return portNumber{uint32(n), 0}, nil
	}
	services, err := r.names.Service(name)
	if err != nil {
		return portNumber{}, err
	}
	var found []portNumber
	for _, proto := range []uint8{protoTCP, protoUDP} {
		for _, s := range services {
			if s.Proto == proto {
				found = append(found, portNumber{uint32(s.Port), proto})
			}
		}
	}
	switch {
	case len(found) == 0:
		return portNumber{}, errors.New("service \"" + excerptOf(name) + "\" is neither tcp nor udp")
	case len(found) > 1 && found[0].port == found[1].port:
		found[0].proto = 0
	}
	return found[0], nil
}

// portRange looks up "low-high". Names of services with "-" in them cannot be
// used here.
func (r resolution) portRange(text string) (lo, hi portNumber, err error) {
	first, second, ok := strings.Cut(text, "-")
	if !ok {
		return lo, hi, errors.New("a port range is two ports with \"-\" between")
	}
	if isDigits(first) && second != "" && isDigit(second[0]) {
		// libpcap reads no further than the digits: 80-90x is 80-90.
		second = second[:run(second, isDigit, len(second))]
	}
	if lo, err = r.portName(first); err != nil {
		return lo, hi, err
	}
	hi, err = r.portName(second)
	return lo, hi, err
}

func isDigits(s string) bool { return s != "" && run(s, isDigit, len(s)) == len(s) }

// proto resolves "[proto] proto id".
func (r resolution) proto(p *Primitive) (Test, error) {
	switch p.Quals.Proto {
	case ProtoNone, ProtoIP, ProtoIP6, ProtoLink, ProtoISO, ProtoISIS:
	default:
		return nil, badProto(p, "\"proto\"")
	}
	t := &TestProto{At: At(p.At), Proto: p.Quals.Proto, Number: p.ID.Number}
	switch p.ID.Kind {
	case IDNumber:
		return t, nil
	case IDName:
		n, err := r.protoName(p.Quals.Proto, p.ID.Text)
		if err != nil {
			return nil, unknown(p, err)
		}
		t.Number = n
		return t, nil
	}
	return nil, errorAt(p.ID.At, "an address is no protocol")
}

// protoName looks up a protocol in the table that its qualifier chooses.
func (r resolution) protoName(in Proto, name string) (uint32, error) {
	var names map[string]uint32
	switch in {
	case ProtoLink:
		names = etherProtos
	case ProtoISO:
		names = map[string]uint32{"esis": 0x82, "isis": 0x83, "clnp": 0x81}
	case ProtoISIS:
		// libpcap knows PDU types by number only.
	default:
		n, err := r.names.Protocol(name)
		return uint32(n), err
	}
	return lookup([]table[uint32]{{"the built-in table", func() map[string]uint32 { return names }}}, in.String()+" protocol", name)
}

// etherProtos are the names after "ether proto": EtherTypes, and LLC SAPs,
// which are below 256.
var etherProtos = map[string]uint32{
	"aarp": 0x80f3, "arp": 0x0806, "atalk": 0x809b, "decnet": 0x6003, "ip": 0x0800, "ip6": 0x86dd,
	"lat": 0x6004, "loopback": 0x9000, "mopdl": 0x6001, "moprc": 0x6002, "rarp": 0x8035, "sca": 0x6007,
	"iso": 0xfe, "stp": 0x42, "ipx": 0xe0, "netbeui": 0xf0,
}
