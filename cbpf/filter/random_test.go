package filter

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A generator makes random expressions after the grammar, and slips into some.
type generator struct{ *rand.Rand }

// randomExpressions returns n expressions, about half of them with a slip.
func randomExpressions(seed uint64, n int) []string {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	exprs := make([]string, n)
	for i := range exprs {
		words := g.expr(3)
		for slips := g.IntN(5) - 2; slips > 0; slips-- {
			words = g.slip(words)
		}
		exprs[i] = g.join(words)
	}
	return exprs
}

func (g generator) pick(words ...string) []string { return []string{words[g.IntN(len(words))]} }

func cat(parts ...[]string) []string {
	var out []string
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// join puts blanks between words, now and then none.
func (g generator) join(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 && g.IntN(12) > 0 {
			b.WriteString(strings.Repeat(" ", 1+g.IntN(12)/11))
		}
		b.WriteString(w)
	}
	return b.String()
}

// slip drops, doubles, swaps or replaces a word.
func (g generator) slip(words []string) []string {
	if len(words) == 0 {
		return g.anyWord()
	}
	i := g.IntN(len(words))
	out := append([]string(nil), words...)
	switch g.IntN(5) {
	case 0:
		return append(out[:i], out[i+1:]...)
	case 1:
		return cat(out[:i+1], out[i:])
	case 2:
		j := g.IntN(len(words))
		out[i], out[j] = out[j], out[i]
	case 3:
		out[i] = g.anyWord()[0]
	case 4:
		return cat(out[:i:i], g.anyWord(), out[i:])
	}
	return out
}

func (g generator) anyWord() []string {
	switch g.IntN(4) {
	case 0:
		return g.pick("(", ")", "[", "]", ":", "!", "not", "and", "or", "&&", "||", "&", "|", "-", "+", "*", "/", "%", "^",
			"<", ">", "<=", ">=", "=", "==", "!=", "<<", ">>", "@", "$12", "mask", "\\tcp", "_", ",", ".", "::")
	case 1:
		return g.pick("10.0.0.1", "::1", "1:2:3:4:5:6", "foo", "1.2.3.4.5", "0x", "08", "4294967296", "10-1", "tcp.port",
			"1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "a:b:", "1::2::3", "::ffff:1.2.3.4", "1.2.3.256", "0x1.2", "1-2-3-4-5-6", "00112233445566",
			"001122334455", "0011.2233.4455", "fe80::1%lo", "10.", "tcp-synx", "TCP", "icmptype", "tcp-ack")
	}
	return g.pick(keywordList...)
}

var keywordList = func() []string {
	var all []string
	for w := range keywords {
		all = append(all, w)
	}
	// Maps have no order, the test wants one.
	for i := range all {
		for j := i; j > 0 && all[j] < all[j-1]; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
	return all
}()

func (g generator) expr(depth int) []string {
	out := g.term(depth)
	for g.IntN(3) == 0 {
		out = cat(out, g.pick("and", "or", "&&", "||"))
		if g.IntN(3) == 0 {
			out = cat(out, g.anyID(depth))
		} else {
			out = cat(out, g.term(depth))
		}
	}
	return out
}

func (g generator) term(depth int) []string {
	switch n := g.IntN(12); {
	case n < 5:
		return g.primitive(depth)
	case n < 7:
		return g.other()
	case n < 9:
		return g.relation()
	case n == 9:
		return cat(g.pick("not", "!"), g.term(depth))
	case depth > 0:
		return cat([]string{"("}, g.expr(depth-1), []string{")"})
	}
	return g.proto()
}

func (g generator) proto() []string {
	if g.IntN(3) > 0 {
		return g.pick("ip", "ip6", "tcp", "udp", "icmp", "arp", "ether")
	}
	return g.pick("ip", "ip6", "tcp", "udp", "icmp", "arp", "ether", "link", "sctp", "rarp", "icmp6", "igmp", "igrp", "pim", "vrrp",
		"carp", "ah", "esp", "atalk", "aarp", "decnet", "lat", "sca", "moprc", "mopdl", "iso", "esis", "isis", "clnp", "stp",
		"ipx", "netbeui", "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp", "radio", "es-is", "is-is", "wlan", "fddi", "tr", "ppp", "slip")
}

// primitive makes qualifiers and an id that mostly fit together.
func (g generator) primitive(depth int) []string {
	dir := [][]string{nil, {"src"}, {"dst"}, {"src", "or", "dst"}, {"dst", "and", "src"}, {"src", "&&", "dst"}}[g.IntN(6)]
	if g.IntN(60) == 0 {
		dir = g.pick("addr1", "address2", "ra", "ta")
	}
	wild := g.IntN(5) == 0
	proto := func(fitting ...string) []string {
		if wild {
			return g.proto()
		}
		if g.IntN(2) == 0 {
			return nil
		}
		return g.pick(fitting...)
	}
	id := func(of func() []string) []string {
		if wild && g.IntN(2) == 0 {
			return g.ids(depth, func() []string { return g.anyID(0) })
		}
		return g.ids(depth, of)
	}
	switch g.IntN(7) {
	case 0:
		return cat(proto("ip", "arp", "rarp"), dir, g.pick("host", "host", "net"), id(g.ipv4))
	case 1:
		return cat(proto("ip6"), dir, g.pick("host", "net"), id(g.ipv6))
	case 2:
		return cat(g.pick("ether", "link"), dir, []string{"host"}, id(g.mac))
	case 3:
		return cat(proto("tcp", "udp", "sctp"), dir, []string{"port"}, id(g.portID))
	case 4:
		return cat(proto("tcp", "udp", "sctp"), dir, []string{"portrange"}, id(g.rangeID))
	case 5:
		return cat(proto("ip", "ip6", "ether", "iso", "isis"), g.pick("proto", "proto", "proto", "protochain", "gateway"), id(g.protoID))
	}
	if dir == nil {
		dir = []string{"net"}
	}
	return cat(proto("ip", "arp"), dir, id(g.net4))
}

// ids makes an id, a negated one, or a list of them.
func (g generator) ids(depth int, of func() []string) []string {
	switch n := g.IntN(12); {
	case n == 0:
		return cat(g.pick("not", "!"), g.ids(depth, of))
	case n == 1 && depth > 0:
		out := cat([]string{"("}, of())
		for g.IntN(2) == 0 {
			out = cat(out, g.pick("and", "or"), g.ids(depth-1, of))
		}
		return append(out, ")")
	}
	return of()
}

func (g generator) anyID(int) []string {
	return []func() []string{g.ipv4, g.ipv6, g.mac, g.portID, g.rangeID, g.protoID, g.net4}[g.IntN(7)]()
}

func (g generator) ipv4() []string {
	return g.pick("10.0.0.1", "192.168.1.255", "10.1", "10.1.2", "1.2.3.4", "224.0.0.1", "localhost", "5", "0x0a000001", "1.2.3.256", "010.0.0.1")
}

func (g generator) net4() []string {
	switch g.IntN(4) {
	case 0:
		return cat(g.pick("10.0.0.0", "10.1", "192.168.0.0", "10.0.0.1"), []string{"/"}, g.pick("8", "16", "0", "24", "32", "33"))
	case 1:
		return cat(g.pick("10.0.0.0", "10.1"), []string{"mask"}, g.pick("255.0.0.0", "255.255", "255.0.255.0", "0.0.0.0"))
	}
	return g.pick("10", "10.1", "10.1.2", "10.1.2.3", "0", "0x0a01", "loopback", "link-local", "default", "127.0.0.0/8")
}

func (g generator) ipv6() []string {
	if g.IntN(3) == 0 {
		return cat(g.pick("2001:db8::", "::", "fe80::1"), []string{"/"}, g.pick("32", "64", "0", "128", "129"))
	}
	return g.pick("::1", "2001:db8::1", "::", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1::2:3", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2::01.2.3.4")
}

func (g generator) mac() []string {
	return g.pick("00:11:22:33:44:55", "0:1:2:3:4:5", "00-11-22-33-44-55", "0011.2233.4455", "001122334455", "0.1.2.3.4.5", "ff:ff:ff:ff:ff:ff", "$12")
}

func (g generator) portID() []string {
	return g.pick("80", "443", "http", "domain", "ssh", "0", "65535", "65536", "0x50", "syslog", "ntp", "shell", "\\80", "ftp-data", "nosuchport")
}

func (g generator) rangeID() []string {
	return g.pick("1-1024", "80-80", "90-80", "80", "http-https", "ssh-domain", "22-domain", "syslog-1000", "0-65535", "1-65536", "80-90x",
		"80--90", "1-2-3", "-80", "x-y", "80-", "http", "domain-ntp", "ntp-snmp", "0x10-20", "shell-syslog", "http-80")
}

func (g generator) protoID() []string {
	return g.pick("6", "17", "0x800", "2048", "\\tcp", "\\udp", "\\icmp", "\\ip", "\\arp", "\\ip6", "ospf", "gre", "300", "\\esis", "\\isis", "\\clnp",
		"stp", "\\stp", "loopback", "eigrp", "nosuch", "TCP", "ipv6-icmp")
}

func (g generator) other() []string {
	number := g.pick("0", "5", "100", "4095", "4096", "65535", "65536", "0xfffff", "1048576", "16777215", "16777216", "4294967295")
	switch g.IntN(12) {
	case 0:
		return cat(g.pick("broadcast", "multicast"))
	case 1:
		return cat(g.proto(), g.pick("broadcast", "multicast"))
	case 2:
		return cat(g.pick("less", "greater"), number)
	case 3:
		return cat([]string{"byte"}, g.pick("0", "12"), g.pick("=", "<", ">", "&", "|", "=="), number)
	case 4:
		return g.pick("inbound", "outbound", "tcp", "udp", "ip", "ip6", "arp")
	case 5:
		return cat([]string{"ifindex"}, number)
	case 6, 7:
		return g.pick("vlan", "mpls", "pppoed", "pppoes", "geneve")
	case 8:
		return cat(g.pick("vlan", "mpls", "pppoes", "geneve"), number)
	case 9:
		return cat(g.pick("vlan", "mpls", "pppoes", "geneve"), []string{"("}, number, []string{")"})
	}
	return g.proto()
}

func (g generator) relation() []string {
	return cat(g.arith(3), g.pick(">", ">=", "=", "==", "<", "<=", "!="), g.arith(2))
}

func (g generator) arith(depth int) []string {
	n := g.IntN(8)
	if depth == 0 {
		n = g.IntN(4)
	}
	switch n {
	case 0, 1:
		return []string{fmt.Sprint(1 + g.IntN(31))}
	case 2:
		return g.pick("len", "length", "0", "0x10", "tcpflags", "tcp-syn", "icmp-echo", "icmp6type", "017")
	case 3:
		return cat(g.indexed(), g.pick("[0]", "[12]", "[tcpflags]", "[2:2]", "[ 16 : 4 ]", "[0:3]", "[13:1]"))
	case 4:
		return cat(g.indexed(), []string{"["}, g.arith(depth-1), []string{"]"})
	case 5:
		return cat([]string{"-"}, g.arith(depth-1))
	case 6:
		return cat([]string{"("}, g.arith(depth-1), []string{")"})
	}
	return cat(g.arith(depth-1), g.pick("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"), g.arith(depth-1))
}

func (g generator) indexed() []string {
	if g.IntN(8) == 0 {
		return g.proto()
	}
	return g.pick("ip", "ip6", "tcp", "udp", "ether", "icmp", "icmp6", "arp", "link")
}
