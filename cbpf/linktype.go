package cbpf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A LinkType says what a packet's first byte belongs to. The values are the
// LINKTYPE_ numbers of the pcap and pcapng file formats; libpcap's DLT_
// numbers differ from them for raw IP only (see [LinkTypeFromFile]).
type LinkType uint16

// The link types whose headers the filter compiler knows.
const (
	LinkNull      LinkType = 0   // BSD loopback: address family, host byte order
	LinkEthernet  LinkType = 1   // Ethernet without preamble and check sequence
	LinkPPP       LinkType = 9   // PPP in HDLC-like framing or bare
	LinkRaw       LinkType = 101 // IPv4 or IPv6, told apart by the version nibble
	LinkLoop      LinkType = 108 // OpenBSD loopback: address family, network byte order
	LinkLinuxSLL  LinkType = 113 // Linux "cooked" capture, 16-byte header
	LinkIPv4      LinkType = 228
	LinkIPv6      LinkType = 229
	LinkLinuxSLL2 LinkType = 276 // Linux "cooked" capture v2, 20-byte header
)

// A linkTypeName is one row of linkTypes.
type linkTypeName struct {
	value       LinkType
	name        string
	description string
}

// linkTypes names the link types as tcpdump -y and tcpdump -L do.
var linkTypes = []linkTypeName{
	{LinkEthernet, "EN10MB", "Ethernet"},
	{LinkRaw, "RAW", "Raw IP"},
	{LinkIPv4, "IPV4", "Raw IPv4"},
	{LinkIPv6, "IPV6", "Raw IPv6"},
	{LinkLinuxSLL, "LINUX_SLL", "Linux cooked v1"},
	{LinkLinuxSLL2, "LINUX_SLL2", "Linux cooked v2"},
	{LinkNull, "NULL", "BSD loopback"},
	{LinkLoop, "LOOP", "OpenBSD loopback"},
	{LinkPPP, "PPP", "PPP"},
}

// LinkTypes returns the known link types in the order in which help texts
// list them.
func LinkTypes() []LinkType {
	out := make([]LinkType, len(linkTypes))
	for i, t := range linkTypes {
		out[i] = t.value
	}
	return out
}

// LinkTypeFromFile maps the number in a capture file's header to a link type:
// the identity but for DLT_RAW, which some writers store as 12 or 14 although
// those numbers mean something else on other systems; libpcap reads them alike.
func LinkTypeFromFile(n uint16) LinkType {
	if n == 12 || n == 14 {
		return LinkRaw
	}
	return LinkType(n)
}

// ParseLinkType finds a link type by its name, in any case and with or
// without "DLT_" or "LINKTYPE_", or by its number.
func ParseLinkType(s string) (LinkType, error) {
	name := strings.TrimPrefix(strings.TrimPrefix(strings.ToUpper(s), "DLT_"), "LINKTYPE_")
	for _, t := range linkTypes {
		if t.name == name {
			return t.value, nil
		}
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return LinkTypeFromFile(uint16(n)), nil
	}
	return 0, fmt.Errorf("unknown link type %q", s)
}

// String returns the name that tcpdump -y takes, or the number.
func (t LinkType) String() string {
	if i := t.index(); i >= 0 {
		return linkTypes[i].name
	}
	return strconv.Itoa(int(t))
}

// Description returns a few words for people, such as "Linux cooked v1".
func (t LinkType) Description() string {
	if i := t.index(); i >= 0 {
		return linkTypes[i].description
	}
	return "link type " + strconv.Itoa(int(t))
}

func (t LinkType) index() int {
	return slices.IndexFunc(linkTypes, func(e linkTypeName) bool { return e.value == t })
}
