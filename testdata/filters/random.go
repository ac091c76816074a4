package filters

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/bpflab/bpflab/cbpf"
)

// Random returns n random expressions for a link type, the same ones for the
// same arguments. They are made after the grammar, of addresses, ports and
// numbers that the packets of package packets have, so that most of them match
// some packets and not others. Most of them compile; libpcap refuses some
// combinations, such as VLAN tags behind MPLS labels.
//
// An encapsulation whose offsets are known only when the filter runs (geneve,
// and vlan of live packets) stands at the front and is not negated: otherwise
// libpcap reads scratch memory that it has not written.
func Random(lt cbpf.LinkType, seed uint64, n int) []Case {
	g := generator{rand.New(rand.NewPCG(seed, uint64(lt))), lt}
	cases := make([]Case, n)
	for i := range cases {
		cases[i] = Case{lt, g.filter(), fmt.Sprintf("random:%d", i)}
	}
	return cases
}

type generator struct {
	*rand.Rand
	lt cbpf.LinkType
}

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

// oneIn is true once in n times.
func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g generator) filter() string {
	if g.oneIn(12) {
		inner := g
		inner.lt = cbpf.LinkEthernet
		return g.pick("geneve", "geneve 100") + " and (" + inner.expr(2) + ")"
	}
	return g.expr(3)
}

func (g generator) expr(depth int) string {
	terms := []string{g.term(depth)}
	for g.oneIn(2) && len(terms) < 4 {
		terms = append(terms, g.pick("and", "or"), g.term(depth))
	}
	return strings.Join(terms, " ")
}

func (g generator) term(depth int) string {
	switch {
	case g.oneIn(5):
		return "not " + g.term(depth)
	case depth > 0 && g.oneIn(4):
		return "(" + g.expr(depth-1) + ")"
	}
	leaves := []func() string{g.host, g.host, g.port, g.port, g.proto, g.proto, g.relation, g.relation, g.relation, g.other}
	switch g.lt {
	case cbpf.LinkEthernet:
		leaves = append(leaves, g.ether, g.encap)
	case cbpf.LinkPPP:
		leaves = append(leaves, g.encap)
	}
	return leaves[g.IntN(len(leaves))]()
}

func (g generator) dir() string {
	return g.pick("", "", "src ", "dst ", "src or dst ", "src and dst ")
}

func (g generator) host() string {
	switch g.IntN(6) {
	case 0:
		return g.dir() + "host " + g.pick("2001:db8::1", "2001:db8::2", "fe80::1", "ff02::1", "2001:db8:1::10")
	case 1:
		return g.dir() + "net " + g.pick("2001:db8::/32", "fe80::/10", "ff00::/8", "2001:db8:1::/48", "::/0", "2001:db8::/65")
	case 2, 3:
		return g.pick("", "", "ip ", "arp ", "rarp ") + g.dir() + "net " +
			g.pick("10.0.0.0/8", "192.168.1.0/24", "172.16.0.0/12", "10", "192.168", "0.0.0.0/0", "224.0.0.0/4", "10.0.0.0/31")
	}
	h := g.pick("", "", "ip ", "arp ", "rarp ") + g.dir() + "host " + g.address4()
	if g.oneIn(4) {
		h += g.pick(" or ", " and ", " or not ") + g.address4()
	}
	return h
}

func (g generator) address4() string {
	return g.pick("10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.1.1", "192.168.1.10", "172.16.0.5", "255.255.255.255", "0.0.0.0")
}

func (g generator) port() string {
	p := g.pick("", "", "tcp ", "udp ", "sctp ") + g.dir()
	if g.oneIn(3) {
		return p + "portrange " + g.pick("1-1023", "53-80", "1024-65535", "0-65535", "80-80", "443-22")
	}
	p += "port " + g.pick("80", "53", "443", "22", "123", "6081", "0", "65535", "http", "domain")
	if g.oneIn(3) {
		p += " or " + g.pick("80", "8080", "67")
	}
	return p
}

func (g generator) proto() string {
	switch g.IntN(4) {
	case 0:
		return g.pick("ip ", "ip6 ", "") + "proto " + g.pick("6", "17", "1", "58", "44", "132", "\\tcp", "\\udp", "47", "0", "255")
	case 1:
		if g.lt != cbpf.LinkIPv4 && g.lt != cbpf.LinkIPv6 {
			return g.pick("ether proto ", "link proto ") +
				g.pick("0x800", "0x86dd", "0x806", "0x8100", "0x42", "0xe0", "0xf0", "0xfe", "6", "4", "0x8137", "\\arp", "1501")
		}
	case 2:
		return g.pick("igmp", "pim", "vrrp", "ah", "esp", "atalk", "aarp", "decnet", "iso", "esis", "isis", "clnp", "stp", "ipx",
			"netbeui", "l1", "l2", "iih", "lsp", "snp", "lat", "rarp", "iso proto 0x83", "isis proto 15")
	}
	return g.pick("ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "tcp", "udp", "ip")
}

func (g generator) ether() string {
	return g.pick("ether ", "link ") + g.pick(
		g.dir()+"host "+g.pick("02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"),
		"broadcast", "multicast")
}

func (g generator) encap() string {
	if g.lt == cbpf.LinkPPP {
		return g.pick("mpls", "mpls 100", "mpls 16")
	}
	return g.pick("vlan", "vlan", "vlan 10", "vlan 100", "vlan 200", "mpls", "mpls 100", "pppoes", "pppoes 1", "pppoed")
}

func (g generator) other() string {
	switch g.IntN(5) {
	case 0:
		return g.pick("less ", "greater ") + fmt.Sprint(g.IntN(200))
	case 1:
		return g.pick("ip multicast", "ip6 multicast", "ip broadcast")
	case 2:
		return fmt.Sprintf("byte %d %s %d", g.IntN(40), g.pick("=", "<", ">"), g.IntN(256))
	case 3:
		switch g.lt {
		case cbpf.LinkLinuxSLL:
			return g.pick("inbound", "outbound")
		case cbpf.LinkLinuxSLL2:
			return g.pick("inbound", "outbound", "ifindex 1", "ifindex 2")
		}
	}
	return g.pick("tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn", "icmp[icmptype] = icmp-echo",
		"ip[6:2] & 0x1fff = 0", "ip6[6] = 17", "udp[4:2] > 20", "ether[0] & 1 = 0", "len > 80")
}

func (g generator) relation() string {
	return g.arith(2) + " " + g.pick("=", "!=", "<", ">", "<=", ">=", "==") + " " + g.arith(1)
}

func (g generator) arith(depth int) string {
	if depth > 0 && g.oneIn(2) {
		x := g.arith(depth - 1)
		switch op := g.pick("+", "-", "*", "/", "%", "&", "&", "|", "^", "<<", ">>"); op {
		case "/", "%":
			// libpcap refuses a right operand that begins with the number 0,
			// also that of an index.
			return fmt.Sprintf("(%s %s %s)", x, op, g.pick("3", "8", "len", "(len & 7)", fmt.Sprintf("ip[%d]", 1+g.IntN(9))))
		case "<<", ">>":
			return fmt.Sprintf("(%s %s %s)", x, op, g.pick("1", "4", "31", "len", fmt.Sprintf("ip[%d]", 1+g.IntN(9))))
		default:
			return fmt.Sprintf("(%s %s %s)", x, op, g.arith(depth-1))
		}
	}
	switch g.IntN(8) {
	case 0:
		return "len"
	case 1, 2, 3:
		return g.pick("0", "1", "2", "4", "6", "20", "64", "255", "0x800", "0xffff", "0x0a000001", "0x80000000", "0xffffffff")
	case 4:
		return "-" + g.index(depth)
	}
	return g.index(depth)
}

func (g generator) index(depth int) string {
	off := fmt.Sprint(g.IntN(20))
	switch {
	case depth > 0 && g.oneIn(3):
		off = g.arith(depth - 1)
	case g.oneIn(12):
		off = g.pick("60", "100", "1500", "65535", "0x7ffffff0", "0x80000000", "0xfffffff0", "(0 - 4)")
	}
	return g.pick("ip", "ip", "ip6", "tcp", "tcp", "udp", "icmp", "icmp6", "ether", "ether", "arp", "sctp") +
		"[" + off + g.pick("", "", ":1", ":2", ":4") + "]"
}
