package filter

// The words of the language, all case-sensitive. One table serves the scanner
// (word to token), the printer (token to word) and the error messages.

// kind says what a token is. Punctuation of one character is its own kind.
type kind uint8

const (
	tokEOF    kind = 0
	tokNumber kind = 128 + iota // value: the number; also icmp-echo and its like
	tokName                     // an identifier, or a word after a backslash
	tokIPv4                     // 10.1, 10.1.2, 10.1.2.3
	tokIPv6
	tokMAC
	tokMAC8
	tokProto      // value: Proto
	tokDir        // value: Dir
	tokType       // value: Type, one that may follow a direction
	tokUndirected // value: Type, one that may not: proto, protochain, gateway
	tokMask
	tokAnd
	tokOr
	tokGE
	tokLE
	tokNE
	tokLsh
	tokRsh
	tokCast      // value: 1 for multicast
	tokLen       // len
	tokLenTest   // less; value 1: greater
	tokByte      // byte
	tokDirection // inbound; value 1: outbound
	tokIfIndex   // ifindex
	tokEncap     // value: EncapKind
	tokMissing   // value: index of missingFeatures
	tokBad       // cannot be scanned; the scanner holds the error
)

// A word is what a keyword means to the parser.
type word struct {
	kind  kind
	value uint32
}

// missingFeatures are parts of the language that are recognised in order to be
// refused by name.
var missingFeatures = [...]string{"802.11 frame types", "LLC frame types", "ATM fields", "pf log fields", "SS7 fields"}

const (
	missing80211 = iota
	missingLLC
	missingATM
	missingPF
	missingSS7
)

// protoWords names the protocols, several words for one protocol first and
// the preferred one (which the printer uses) last.
var protoWords = []struct {
	word  string
	proto Proto
}{
	{"link", ProtoLink}, {"ppp", ProtoLink}, {"slip", ProtoLink}, {"fddi", ProtoLink},
	{"tr", ProtoLink}, {"wlan", ProtoLink}, {"ether", ProtoLink},
	{"ip", ProtoIP}, {"ip6", ProtoIP6}, {"arp", ProtoARP}, {"rarp", ProtoRARP},
	{"tcp", ProtoTCP}, {"udp", ProtoUDP}, {"sctp", ProtoSCTP},
	{"icmp", ProtoICMP}, {"icmp6", ProtoICMP6}, {"igmp", ProtoIGMP}, {"igrp", ProtoIGRP},
	{"pim", ProtoPIM}, {"vrrp", ProtoVRRP}, {"carp", ProtoCARP}, {"ah", ProtoAH}, {"esp", ProtoESP},
	{"atalk", ProtoATalk}, {"aarp", ProtoAARP}, {"decnet", ProtoDECnet}, {"lat", ProtoLAT},
	{"sca", ProtoSCA}, {"moprc", ProtoMOPRC}, {"mopdl", ProtoMOPDL},
	{"iso", ProtoISO}, {"es-is", ProtoESIS}, {"esis", ProtoESIS}, {"is-is", ProtoISIS}, {"isis", ProtoISIS},
	{"clnp", ProtoCLNP}, {"stp", ProtoSTP}, {"ipx", ProtoIPX}, {"netbeui", ProtoNetBEUI},
	{"l1", ProtoISISL1}, {"l2", ProtoISISL2}, {"iih", ProtoISISIIH}, {"lsp", ProtoISISLSP},
	{"snp", ProtoISISSNP}, {"csnp", ProtoISISCSNP}, {"psnp", ProtoISISPSNP}, {"radio", ProtoRadio},
}

var dirWords = []struct {
	word string
	dir  Dir
}{
	{"src", DirSrc}, {"dst", DirDst}, {"src or dst", DirOr}, {"src and dst", DirAnd},
	{"address1", DirAddr1}, {"addr1", DirAddr1}, {"address2", DirAddr2}, {"addr2", DirAddr2},
	{"address3", DirAddr3}, {"addr3", DirAddr3}, {"address4", DirAddr4}, {"addr4", DirAddr4},
	{"ra", DirRA}, {"ta", DirTA},
}

var typeWords = []struct {
	word string
	typ  Type
}{
	{"host", TypeHost}, {"net", TypeNet}, {"port", TypePort}, {"portrange", TypePortRange},
	{"proto", TypeProto}, {"protochain", TypeProtoChain}, {"gateway", TypeGateway},
}

// encapWords names the encapsulations in the order of EncapKind.
var encapWords = [...]string{"vlan", "mpls", "pppoed", "pppoes", "geneve"}

// constants are the words that stand for a number.
var constants = map[string]uint32{
	"tcpflags": 13,
	"tcp-fin":  0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08,
	"tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,

	"icmptype": 0, "icmpcode": 1,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5,
	"icmp-echo": 8, "icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11,
	"icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15,
	"icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,

	"icmp6type": 0, "icmp6code": 1,
	"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3,
	"icmp6-parameterproblem": 4, "icmp6-echo": 128, "icmp6-echoreply": 129,
	"icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131,
	"icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134,
	"icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
	"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139,
	"icmp6-nodeinformationresponse": 140, "icmp6-ineighbordiscoverysolicit": 141,
	"icmp6-ineighbordiscoveryadvert": 142, "icmp6-multicastlistenerreportv2": 143,
	"icmp6-homeagentdiscoveryrequest": 144, "icmp6-homeagentdiscoveryreply": 145,
	"icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147,
	"icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149,
	"icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152,
	"icmp6-multicastrouterterm": 153,
}

// missingWords are the keywords of each of the missingFeatures.
var missingWords = [len(missingFeatures)][]string{
	missing80211: {"type", "subtype", "direction", "dir"},
	missingLLC:   {"llc"},
	missingATM: {"lane", "metac", "bcc", "oam", "oamf4", "oamf4ec", "oamf4sc", "sc", "ilmic",
		"vpi", "vci", "connectmsg", "metaconnect"},
	missingPF: {"on", "ifname", "rset", "ruleset", "rnr", "rulenum", "srnr", "subrulenum", "reason", "action"},
	missingSS7: {"fisu", "lssu", "lsu", "msu", "hfisu", "hlssu", "hmsu",
		"sio", "opc", "dpc", "sls", "hsio", "hopc", "hdpc", "hsls"},
}

// keywords is every word that the scanner does not take for a name.
var keywords = func() map[string]word {
	m := map[string]word{
		"mask": {kind: tokMask}, "and": {kind: tokAnd}, "or": {kind: tokOr}, "not": {kind: '!'},
		"broadcast": {tokCast, 0}, "multicast": {tokCast, 1},
		"len": {kind: tokLen}, "length": {kind: tokLen},
		"less": {tokLenTest, 0}, "greater": {tokLenTest, 1}, "byte": {kind: tokByte},
		"inbound": {tokDirection, 0}, "outbound": {tokDirection, 1}, "ifindex": {kind: tokIfIndex},
	}
	for _, p := range protoWords {
		m[p.word] = word{tokProto, uint32(p.proto)}
	}
	for _, d := range dirWords {
		if d.dir != DirOr && d.dir != DirAnd {
			m[d.word] = word{tokDir, uint32(d.dir)}
		}
	}
	for _, t := range typeWords {
		m[t.word] = word{tokType, uint32(t.typ)}
		if t.typ >= TypeProto {
			m[t.word] = word{tokUndirected, uint32(t.typ)}
		}
	}
	for i, w := range encapWords {
		m[w] = word{tokEncap, uint32(i)}
	}
	for w, n := range constants {
		m[w] = word{tokNumber, n}
	}
	for feature, words := range missingWords {
		for _, w := range words {
			m[w] = word{tokMissing, uint32(feature)}
		}
	}
	return m
}()

// String returns the word for p, or "" for ProtoNone.
func (p Proto) String() (s string) {
	for _, w := range protoWords {
		if w.proto == p {
			s = w.word
		}
	}
	return s
}

// String returns the words for d, or "" for DirNone.
func (d Dir) String() (s string) {
	for _, w := range dirWords {
		if w.dir == d {
			s = w.word
		}
	}
	return s
}

// String returns the word for t, or "" for TypeNone.
func (t Type) String() (s string) {
	for _, w := range typeWords {
		if w.typ == t {
			s = w.word
		}
	}
	return s
}

// String returns the keyword for e.
func (e EncapKind) String() string { return encapWords[e] }
