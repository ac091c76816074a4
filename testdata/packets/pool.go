package packets

import (
	"encoding/binary"
	"net/netip"
)

// The pool: every address that a good packet carries is one of these. Machines
// lie in 10.0.0.0/8, 192.168.1.0/24, 172.16.0.0/12, 2001:db8::/32 and fe80::/10;
// their Ethernet addresses are 02:00:00:00:00:01 and up.
var (
	hosts4 = addresses("10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.1.1", "192.168.1.10",
		"192.168.1.77", "172.16.0.5", "172.31.255.254")
	special4 = addresses("192.168.1.255", "255.255.255.255", "224.0.0.1", "224.0.0.18", "239.1.2.3", "0.0.0.0")
	hosts6   = addresses("2001:db8::1", "2001:db8::2", "2001:db8:1::10", "2001:db8:ffff::53",
		"fe80::1", "fe80::ff:fe00:2")
	special6 = addresses("ff02::1", "ff02::2", "ff02::1:ff00:1", "::")

	ports  = []uint16{22, 25, 53, 67, 68, 80, 123, 161, 443, 500, 1024, 4789, 6081, 8080, 33434, 40000, 65535}
	vlans  = []uint16{1, 10, 100, 200, 4094}
	labels = []uint32{0, 2, 16, 100, 1024, 100000, 1048575}
)

func addresses(text ...string) []netip.Addr {
	out := make([]netip.Addr, len(text))
	for i, t := range text {
		out[i] = netip.MustParseAddr(t)
	}
	return out
}

// A mac is an Ethernet address.
type mac [6]byte

var (
	broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	stpGroup  = mac{0x01, 0x80, 0xc2, 0, 0, 0}
	isisGroup = mac{0x01, 0x80, 0xc2, 0, 0, 0x14}
	cdpGroup  = mac{0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc}
)

// station returns the Ethernet address of the pool's machine number n.
func station(n byte) mac { return mac{2, 0, 0, 0, 0, n} }

// macOf returns the Ethernet address under which a packet to or from a is
// sent: derived from a group address as RFC 1112 and RFC 2464 say.
func macOf(a netip.Addr) mac {
	b := a.AsSlice()
	switch {
	case a.Is4() && a.IsMulticast():
		return mac{0x01, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
	case a.Is4() && b[3] == 255:
		return broadcast
	case a.Is6() && a.IsMulticast():
		return mac{0x33, 0x33, b[12], b[13], b[14], b[15]}
	}
	return station(b[len(b)-1])
}

// Shorthands for writing headers.

func be16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func be32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// zeros returns n zero bytes.
func zeros(n int) []byte { return make([]byte, n) }

// join concatenates into one new slice.
func join(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make([]byte, 0, n)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
