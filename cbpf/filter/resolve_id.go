package filter

import (
	"encoding/binary"
	"errors"
	"net/netip"
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

// host resolves "[proto] [dir] [host] id".
func (r resolution) host(p *Primitive) (Test, error) {
	switch link := p.Quals.Proto == ProtoLink; {
	case p.ID.Kind == IDMAC8 && link:
		return nil, notYet(p.ID.At, p, "ARCnet addresses")
	case p.ID.Kind == IDMAC && link:
		return linkAddrTest(p, parseMAC(p.ID.Text))
	case p.ID.Kind == IDMAC, p.ID.Kind == IDMAC8:
		return nil, macNeedsEther(p)
	case p.ID.Kind == IDName && link:
		addr, err := r.names.EtherHost(p.ID.Text)
		if err != nil {
			return nil, unknown(p, err)
		}
		return linkAddrTest(p, addr)
	case p.ID.Kind == IDName:
		return r.hostName(p)
	}
	return r.address(p)
}

func macNeedsEther(p *Primitive) error {
	e := errorAt(p.ID.At, "a MAC address needs \"ether host\", \"ether src\" or \"ether dst\" before it")
	if p.ID.Kind == IDMAC {
		e.Hint = write("ether host %s", p.ID)
	}
	return e
}

// linkAddrTest makes the test of a MAC address.
func linkAddrTest(p *Primitive, addr [6]byte) (Test, error) {
	if p.Quals.Dir > DirAnd {
		return nil, notYet(p.Quals.DirAt, p, "802.11 address fields (%q)", p.Quals.Dir)
	}
	return &TestLinkAddr{At: At(p.At), Dir: p.Quals.Dir, Addr: addr}, nil
}

// hostName resolves the name of a host. Addresses of a family that the
// protocol excludes do not count.
func (r resolution) hostName(p *Primitive) (Test, error) {
	addrs, err := r.hostAddrs(p.ID.Text)
	if err != nil {
		return nil, unknown(p, err)
	}
	var v4, v6 []Net
	for _, a := range addrs {
		switch {
		case a.Is4() && p.Quals.Proto != ProtoIP6:
			v4 = append(v4, net4(binary.BigEndian.Uint32(a.AsSlice()), 32))
		case !a.Is4() && p.Quals.Proto != ProtoIP:
			v6 = append(v6, net6(a, 128))
		}
	}
	if len(v4)+len(v6) == 0 {
		return nil, errorAt(p.ID.At, "host %q has no address that suits %q", excerptOf(p.ID.Text), p.Quals.Proto)
	}
	return netTest(p, append(v4, v6...)...)
}

// hostAddrs looks a host up. An address is its own name, as in "host \::1".
func (r resolution) hostAddrs(name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil && a.Zone() == "" {
		return []netip.Addr{a}, nil
	}
	addrs, err := r.names.Host(name)
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs, err
}

// net resolves "[proto] [dir] net id".
func (r resolution) net(p *Primitive) (Test, error) {
	switch p.ID.Kind {
	case IDMAC, IDMAC8:
		return nil, macNeedsEther(p)
	case IDName:
		n, err := r.names.Network(p.ID.Text)
		if err != nil {
			return nil, unknown(p, err)
		}
		if n == 0 {
			return nil, errorAt(p.ID.At, "network %q is 0.0.0.0, which libpcap takes for unknown", excerptOf(p.ID.Text))
		}
		return netTest(p, promote(n))
	case IDNumber:
		return netTest(p, promote(p.ID.Number))
	}
	return r.address(p)
}

// promote makes a network of a number: leading zero bytes are dropped and not
// part of the mask, so 10 and 0x0a0000 are 10.0.0.0/8 and 10.0.0.0/24. Networks
// that have names come with zero bytes at the end, and so are /32.
func promote(n uint32) Net {
	mask := ^uint32(0)
	for n != 0 && n>>24 == 0 {
		n <<= 8
		mask <<= 8
	}
	return Net{Addr: [4]uint32{n}, Mask: [4]uint32{mask}}
}

// address resolves an IP address after "host" or "net".
func (r resolution) address(p *Primitive) (Test, error) {
	id, isNet := p.ID, p.Quals.Type == TypeNet
	switch id.Kind {
	case IDNumber:
		return netTest(p, net4(id.Number, 32))
	case IDIPv6, IDIPv6Len:
		bits := uint32(128)
		if id.Kind == IDIPv6Len {
			bits = id.Number
		}
		return address6(p, bits, isNet)
	}
	n, bits, err := parseIPv4(id.Text)
	if err != nil {
		return nil, errorAt(id.At, "%q is not an IPv4 address", excerptOf(id.Text))
	}
	n <<= 32 - bits
	if id.Kind == IDIPv4 {
		return netTest(p, net4(n, bits))
	}
	mask, err := mask4(id)
	switch {
	case err != nil:
		return nil, err
	case n&^mask != 0:
		return nil, hostBits(p, netip.PrefixFrom(addr4(n), int(id.Number)), id.Kind == IDIPv4Len)
	case !isNet:
		return nil, onlyNet(p)
	}
	return netTest(p, Net{Addr: [4]uint32{n}, Mask: [4]uint32{mask}})
}

// onlyNet refuses a mask after anything but "net".
func onlyNet(p *Primitive) error {
	e := errorAt(p.ID.At, "a mask or a prefix length needs \"net\" before the address")
	e.Hint = write("net %s", p.ID)
	return e
}

// hostBits refuses an address with bits that its mask excludes.
func hostBits(p *Primitive, prefix netip.Prefix, haveLen bool) error {
	e := errorAt(p.ID.At, "the address has bits outside its mask")
	if haveLen {
		e.Hint = write("net %v", prefix.Masked())
	}
	return e
}

// mask4 returns the mask that an IPv4 id comes with.
func mask4(id ID) (uint32, error) {
	if id.Kind == IDIPv4Len {
		if id.Number > 32 {
			return 0, errorAt(id.At, "prefix length %d is greater than 32", id.Number)
		}
		return ^uint32(0) << (32 - id.Number), nil
	}
	mask, bits, err := parseIPv4(id.Mask)
	if err != nil {
		return 0, errorAt(id.At, "mask %q is not an IPv4 address", excerptOf(id.Mask))
	}
	return mask << (32 - bits), nil
}

// address6 resolves an IPv6 address with a prefix length.
func address6(p *Primitive, bits uint32, isNet bool) (Test, error) {
	addr, err := netip.ParseAddr(p.ID.Text)
	switch {
	case err != nil:
		return nil, errorAt(p.ID.At, "%q is not an IPv6 address", excerptOf(p.ID.Text))
	case bits > 128:
		return nil, errorAt(p.ID.At, "prefix length %d is greater than 128", bits)
	}
	prefix := netip.PrefixFrom(addr, int(bits))
	switch {
	case prefix.Masked().Addr() != addr:
		return nil, hostBits(p, prefix, true)
	case !isNet && bits != 128:
		return nil, onlyNet(p)
	}
	return netTest(p, net6(addr, int(bits)))
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

func addr6(words [4]uint32) netip.Addr {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return netip.AddrFrom16([16]byte(b))
}

// net4 returns an IPv4 address with a mask of the first bits.
func net4(addr uint32, bits int) Net {
	return Net{Addr: [4]uint32{addr}, Mask: [4]uint32{^uint32(0) << (32 - bits)}}
}

// net6 returns an IPv6 address with a mask of the first bits.
func net6(addr netip.Addr, bits int) Net {
	n := Net{IPv6: true}
	bytes := addr.As16()
	for i := range n.Addr {
		n.Addr[i] = binary.BigEndian.Uint32(bytes[4*i:])
		n.Mask[i] = ^uint32(0) << max(0, min(32, 32*(i+1)-bits))
	}
	return n
}

// netTest makes the test of IP addresses.
func netTest(p *Primitive, nets ...Net) (Test, error) {
	if p.Quals.Dir > DirAnd {
		return nil, errorAt(orID(p.Quals.DirAt, p), "%q is only for the MAC addresses of 802.11", p.Quals.Dir)
	}
	for _, n := range nets {
		switch proto := p.Quals.Proto; {
		case proto == ProtoNone:
		case n.IPv6 && proto != ProtoIP6:
			return nil, badProto(p, "an IPv6 address")
		case !n.IPv6 && proto != ProtoIP && proto != ProtoARP && proto != ProtoRARP:
			return nil, badProto(p, "an IPv4 address")
		}
	}
	return &TestNet{At: At(p.At), Proto: p.Quals.Proto, Dir: p.Quals.Dir, Nets: nets}, nil
}

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
	t := &TestPort{At: At(p.At), Dir: p.Quals.Dir, Range: p.Quals.Type == TypePortRange}
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
	if run(name, isDigit, len(name)) == len(name) && name != "" {
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
