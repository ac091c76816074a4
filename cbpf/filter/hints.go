package filter

import (
	"fmt"
	"strconv"
	"strings"
)

// A slip recognises one kind of mistake and says what to write instead.
type slip = func(p *parser, v *value) string

// slips recognise what people write instead of the language, the surest
// first. Each looks at the next token, those around it and the operand before
// it, and returns "" if it has nothing to say.
var slips = []slip{
	displaySlip, caseSlip, minusSlip, orderSlip, keywordSlip, comparisonSlip, rangeSlip,
	bitOperatorSlip, predicateSlip, addressSlip, wordSlip, missingOperatorSlip,
}

// write is the hint to write something.
func write(format string, args ...any) string {
	return "write \"" + fmt.Sprintf(format, args...) + "\""
}

// after returns the token that follows the next one.
func (p *parser) after() token {
	s := p.scan
	if p.tok.kind == tokBad || p.tok.kind == tokEOF {
		return token{}
	}
	return s.next()
}

// displayFields are fields of Wireshark's display filters and what says the
// same here, up to the value.
var displayFields = map[string]string{
	"ip.addr": "host", "ip.host": "host", "ip.src": "src host", "ip.dst": "dst host",
	"ip.src_host": "src host", "ip.dst_host": "dst host",
	"ipv6.addr": "host", "ipv6.src": "src host", "ipv6.dst": "dst host",
	"eth.addr": "ether host", "eth.src": "ether src", "eth.dst": "ether dst", "eth.type": "ether proto",
	"tcp.port": "tcp port", "tcp.srcport": "tcp src port", "tcp.dstport": "tcp dst port",
	"udp.port": "udp port", "udp.srcport": "udp src port", "udp.dstport": "udp dst port",
	"sctp.port": "sctp port", "sctp.srcport": "sctp src port", "sctp.dstport": "sctp dst port",
	"ip.proto": "ip proto", "ipv6.nxt": "ip6 proto", "vlan.id": "vlan", "mpls.label": "mpls",
	"frame.len": "len =", "ip.ttl": "ip[8] =", "ip.len": "ip[2:2] =", "ip.tos": "ip[1] =", "tcp.flags": "tcp[tcpflags] =",
	"icmp.type": "icmp[icmptype] =", "icmp.code": "icmp[icmpcode] =", "icmpv6.type": "icmp6[icmp6type] =",
	"arp.opcode": "arp[6:2] =", "tcp.flags.syn": "tcp[tcpflags] & tcp-syn !=", "tcp.flags.ack": "tcp[tcpflags] & tcp-ack !=",
	"tcp.flags.fin": "tcp[tcpflags] & tcp-fin !=", "tcp.flags.reset": "tcp[tcpflags] & tcp-rst !=",
	"tcp.flags.push": "tcp[tcpflags] & tcp-push !=",
}

// displaySlip sees the syntax of Wireshark's display filters: tcp.port == 80.
func displaySlip(p *parser, _ *value) string {
	for _, t := range [...]token{p.tok, p.last[1]} {
		field := strings.ToLower(t.text)
		proto, _, dotted := strings.Cut(field, ".")
		here, known := displayFields[field]
		_, noService := builtin().Service(proto)
		compared := scanner{src: p.scan.src, pos: t.at.End}
		switch {
		case t.kind != tokName || !dotted:
		case known:
			return displayHint + "says \"" + strings.TrimSpace(here+" "+p.displayValue(t, here)) + "\""
		case keywords[proto].kind == tokProto, noService == nil && isRelOp(compared.next().kind):
			return displayHint + "has no such fields, but it can compare bytes, as in tcp[13] = 2"
		}
	}
	return ""
}

const displayHint = "this looks like Wireshark's display filter syntax; a capture filter "

// displayValue is the value that the display field t is compared with, or "…".
func (p *parser) displayValue(t token, here string) string {
	s := scanner{src: p.scan.src, pos: t.at.End}
	if op := s.next(); op.kind != '=' {
		return "…"
	}
	v := s.next()
	if v.kind == tokBad || v.kind == tokEOF {
		return "…"
	}
	if strings.HasSuffix(here, "!=") {
		return "0"
	}
	return p.source(v.at)
}

// caseSlip sees a keyword in capitals.
func caseSlip(p *parser, _ *value) string {
	for _, t := range [...]token{p.tok, p.last[1]} {
		lower := strings.ToLower(t.text)
		if _, ok := keywords[lower]; ok && t.kind == tokName && lower != t.text {
			return "keywords are in lower case: \"" + lower + "\""
		}
	}
	return ""
}

// minusSlip sees a subtraction that the scanner took for a name: 10-1.
func minusSlip(p *parser, v *value) string {
	if v != nil || p.tok.kind != tokName || p.want&wantArith == 0 {
		return ""
	}
	left, right, ok := strings.Cut(p.tok.text, "-")
	if !ok || !isDigits(left) && left != "len" && left != "length" {
		return ""
	}
	return fmt.Sprintf("%q is one word; to subtract, put blanks around the minus: %s - %s", p.tok.text, left, right)
}

// orderSlip sees qualifiers in the wrong order: src tcp port 80, and more
// parentheses than libpcap's grammar has for ids.
func orderSlip(p *parser, v *value) string {
	q, next := p.quals, p.after().kind
	switch {
	case v != nil || q == nil:
		return ""
	case p.want == 0:
		return "one pair of parentheses is enough around the first of a list"
	case p.want&(wantTerm|atID) != atID:
		return ""
	case p.tok.kind == tokDir && q.Type != TypeNone:
		return fmt.Sprintf("the direction goes before %q", q.Type)
	case p.tok.kind == tokProto && q.Proto == ProtoNone && (q.Type == TypePort || q.Type == TypePortRange || next == tokType || next == tokDir):
		return "the protocol goes first: " + write("%s …", words(p.tok.text, q.Dir.String(), q.Type.String()))
	}
	return ""
}

// keywordSlip sees a keyword where an id should be: ip proto udp.
func keywordSlip(p *parser, v *value) string {
	word := p.source(p.tok.at)
	if _, ok := keywords[word]; v != nil || p.want&(wantTerm|atID) != atID || !ok || p.tok.kind == '!' {
		return ""
	}
	if p.quals != nil && p.quals.Type == TypeProto && p.tok.kind == tokProto {
		return fmt.Sprintf("%q is a keyword: write %s \\%s, or just %q", word, words(p.quals.Proto.String(), "proto"), word, word)
	}
	return fmt.Sprintf("%q is a keyword; if it is meant as a name, write \\%s", word, word)
}

// comparisonSlip sees a comparison after a qualifier: port = 80.
func comparisonSlip(p *parser, v *value) string {
	if !isRelOp(p.tok.kind) || p.quals == nil {
		return ""
	}
	q, n := words(p.quals.Proto.String(), p.quals.Dir.String(), p.quals.Type.String()), p.after()
	port := p.quals.Type == TypePort && n.kind == tokNumber && n.value <= 65535
	switch {
	case v != nil && v.class != classNumber && v.class != classID, v == nil && p.want&atID == 0:
		return ""
	case p.tok.kind == '=' && v == nil && n.kind != tokBad && n.kind != tokEOF:
		return "the value follows without a sign: \"" + q + " " + p.source(n.at) + "\""
	case p.tok.kind == tokNE && v == nil && n.kind != tokBad && n.kind != tokEOF:
		return write("not %s %s", q, p.source(n.at))
	case port && p.tok.kind == '>' && n.value < 65535:
		return write("%srange %d-65535", q, n.value+1)
	case port && p.tok.kind == tokGE:
		return write("%srange %d-65535", q, n.value)
	case port && p.tok.kind == '<' && n.value > 0:
		return write("%srange 0-%d", q, n.value-1)
	case port && p.tok.kind == tokLE:
		return write("%srange 0-%d", q, n.value)
	}
	return "only arithmetic can be compared; after \"" + q + "\" comes the value alone"
}

// rangeSlip sees 80:90, 10.0.0.1:80 and 10/8 after a qualifier.
func rangeSlip(p *parser, v *value) string {
	before, n := p.last[1], p.after()
	switch {
	case v != nil && p.tok.kind == tokMask && before.kind == tokNumber:
		return write("net %d.0.0.0 mask …", before.value)
	case v == nil || v.class == classArith || n.kind != tokNumber:
		return ""
	case (p.tok.kind == ':' || p.tok.kind == '-') && before.kind == tokNumber && p.quals != nil && (p.quals.Type == TypePort || p.quals.Type == TypePortRange):
		return write("%s %d-%d", words(p.quals.Proto.String(), p.quals.Dir.String(), "portrange"), before.value, n.value)
	case p.tok.kind == ':' && (before.kind == tokIPv4 || before.kind == tokIPv6):
		return write("host %s and port %d", p.source(before.at), n.value)
	case p.tok.kind == '/' && before.kind == tokNumber:
		return write("net %d.0.0.0/%d", before.value, n.value)
	}
	return ""
}

// bitOperatorSlip sees & and | for "and" and "or".
func bitOperatorSlip(p *parser, v *value) string {
	if v == nil || v.class == classArith {
		return ""
	}
	switch p.tok.kind {
	case '&':
		return "tests are joined by \"and\" or \"&&\""
	case '|':
		return "tests are joined by \"or\" or \"||\""
	case '=', tokNE, '<', '>', tokLE, tokGE:
		return "only arithmetic such as tcp[13] can be compared, not a test"
	}
	return ""
}

// predicateSlip sees arithmetic that is not compared: tcp[tcpflags] & tcp-syn.
func predicateSlip(p *parser, v *value) string {
	switch {
	case v == nil || v.class > classArith || p.openParen() != nil && p.openParen().kind == frameIndex:
		return ""
	case v.class == classArith:
		return "a number is no test; compare it: \"" + excerptOf(p.source(v.at)) + " != 0\""
	case p.want&atID == 0:
		n := p.source(v.at)
		return fmt.Sprintf("a number alone is no test; \"port %s\" or \"host %s\"?", n, n)
	}
	return ""
}

// addressSlip sees an address, or a number after a protocol, that lacks a type.
func addressSlip(p *parser, v *value) string {
	proto := ""
	if p.last[1].kind == tokProto && v != nil {
		proto = p.last[1].text + " "
	}
	t := p.source(p.tok.at)
	switch {
	case v != nil && proto == "", v == nil && p.want&wantTerm == 0:
		return ""
	case p.tok.kind == tokIPv4 || p.tok.kind == tokIPv6:
		if slash := p.after(); slash.kind == '/' {
			length := scanner{src: p.scan.src, pos: slash.at.End}
			return write("%snet %s/%s", proto, t, length.next().text)
		}
		return write("%shost %s", proto, t)
	case p.tok.kind == tokMAC:
		return write("ether host %s", t)
	case p.tok.kind == tokNumber && v != nil:
		return write("%sport %s", proto, t)
	}
	return ""
}

// wordSlip sees a name where a test should be that is a service or a protocol
// elsewhere.
func wordSlip(p *parser, v *value) string {
	if v != nil || p.tok.kind != tokName || p.want&wantTerm == 0 {
		return ""
	}
	name := strings.ToLower(p.tok.text)
	switch name {
	case "dns":
		name = "domain"
	case "dhcp", "bootp":
		return write("port 67 or port 68")
	case "ipv4":
		return write("ip")
	case "ipv6":
		return write("ip6")
	case "icmpv6":
		return write("icmp6")
	case "eth", "ethernet":
		return "\"ether\" before \"host\", \"proto\", \"broadcast\" or \"[…]\""
	}
	if s, err := builtin().Service(name); err == nil {
		proto := ""
		if len(s) == 1 {
			proto = transports[s[0].Proto].String()
		}
		return "an application is known by its port: " + write("%s", words(proto, "port", strconv.Itoa(int(s[0].Port))))
	}
	if _, err := builtin().Protocol(name); err == nil {
		return write("proto %s", name)
	}
	if near := nearKeyword(name); near != "" {
		return "did you mean \"" + near + "\"?"
	}
	return write("host %s", excerptOf(p.tok.text))
}

// nearKeyword returns the keyword that differs from name by one letter.
func nearKeyword(name string) string {
	best := ""
	for w := range keywords {
		if len(w) > 2 && distance(w, name) == 1 && (best == "" || w < best) {
			best = w
		}
	}
	return best
}

// missingOperatorSlip sees two tests side by side.
func missingOperatorSlip(p *parser, v *value) string {
	if v == nil || v.class < classID {
		return ""
	}
	switch k := p.tok.kind; {
	case k == tokName && nearKeyword(p.tok.text) != "":
		return "did you mean \"" + nearKeyword(p.tok.text) + "\"?"
	case p.last[1].kind == tokName && nearKeyword(p.last[1].text) != "":
		return fmt.Sprintf("%q is taken for a name; did you mean %q?", p.last[1].text, nearKeyword(p.last[1].text))
	case isID(k) || k == tokNumber:
		return fmt.Sprintf("\"and\" or \"or\" is missing: \"… %s or %s\"", excerptOf(p.source(p.last[1].at)), excerptOf(p.source(p.tok.at)))
	case k == '(' || k == '!' || k == tokProto || k == tokDir || k == tokType || k == tokUndirected || k >= tokCast && k < tokBad:
		return fmt.Sprintf("\"and\" or \"or\" is missing before %q", excerptOf(p.source(p.tok.at)))
	}
	return ""
}

// bareSlip says what an id without qualifiers may be.
func (p *parser) bareSlip(id ID) string {
	switch id.Kind {
	case IDIPv4, IDIPv6:
		return write("host %s", id)
	case IDIPv4Len, IDIPv4Mask, IDIPv6Len:
		return write("net %s", id)
	case IDMAC:
		return write("ether host %s", id)
	case IDNumber:
		return write("port %s", id)
	}
	// A name may be any of the slips of a name: look again from before it.
	before := *p
	before.tok, before.scan.pos = token{kind: tokName, text: id.Text, at: id.At}, id.At.End
	before.last = [2]token{}
	for _, hint := range slips {
		if h := hint(&before, nil); h != "" {
			return h
		}
	}
	return ""
}
