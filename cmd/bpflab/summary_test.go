package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/vm/capture"
)

// TestSummaryAgainstGopacket compares the numbers in the summaries with what
// gopacket decodes, of Ethernet packets whose layers both know.
func TestSummaryAgainstGopacket(t *testing.T) {
	compared := 0
	for _, p := range append(packets.Samples(cbpf.LinkEthernet), traffic()...) {
		want, ok := decoded(p.Data)
		if !ok {
			continue
		}
		compared++
		got := summarise(&capture.Packet{Data: p.Data, WireLen: uint32(len(p.Data)), LinkType: cbpf.LinkEthernet})
		if got != want {
			t.Errorf("%s: %q, by gopacket %q", p.Name, got, want)
		}
	}
	if compared < 300 {
		t.Errorf("only %d packets compared", compared)
	}
}

func traffic() (all []packets.Sample) {
	for i, p := range packets.Traffic(cbpf.LinkEthernet) {
		all = append(all, packets.Sample{Name: fmt.Sprintf("traffic %d", i+1), Data: p.Data})
	}
	return all
}

// decoded is what the summary should be; false where gopacket fails or has
// other words.
func decoded(data []byte) (text string, ok bool) {
	packet := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
	if packet.ErrorLayer() != nil {
		return "", false
	}
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	for _, layer := range packet.Layers() {
		switch l := layer.(type) {
		case *layers.Ethernet:
			if l.EthernetType != layers.EthernetTypeIPv4 && l.EthernetType != layers.EthernetTypeIPv6 {
				add("%v > %v", l.SrcMAC, l.DstMAC)
			}
		case *layers.Dot1Q:
			add("vlan %d", l.VLANIdentifier)
		case *layers.MPLS:
			add("mpls %d", l.Label)
		case *layers.PPPoE:
			add("pppoe %d", l.SessionId)
		case *layers.Geneve:
			if l.OptionsLength > 127 {
				return "", false // gopacket reckons with 8 bits
			}
			add("geneve %d", l.VNI)
		case *layers.VXLAN:
			add("vxlan %d", l.VNI)
		case *layers.GRE:
			add("GRE")
		case *layers.PPP:
		case *layers.IPv4:
			if l.FragOffset > 0 || l.Flags&layers.IPv4MoreFragments != 0 {
				return "", false
			}
			add("%v > %v", l.SrcIP, l.DstIP)
		case *layers.IPv6:
			add("%v > %v", l.SrcIP, l.DstIP)
		case *layers.IPv6HopByHop:
			add("hop-by-hop")
		case *layers.IPv6Destination:
			add("dst-opts")
		case *layers.IPSecAH:
			add("AH")
		case *layers.TCP:
			add("TCP %d > %d [%s]", l.SrcPort, l.DstPort, tcpFlags(l))
			if n := len(l.Payload); n > 0 {
				add("len %d", n)
			}
		case *layers.UDP:
			add("UDP %d > %d", l.SrcPort, l.DstPort)
			if n := len(l.Payload); n > 0 && l.NextLayerType() != layers.LayerTypeGeneve && l.NextLayerType() != layers.LayerTypeVXLAN {
				add("len %d", n)
			}
		case *gopacket.Payload, *layers.DNS, *layers.NTP, *layers.DHCPv4, *layers.DHCPv6:
		default:
			return "", false
		}
	}
	switch all := packet.Layers(); all[len(all)-1].(type) {
	case *layers.TCP, *layers.UDP, *gopacket.Payload, *layers.DNS, *layers.NTP, *layers.DHCPv4, *layers.DHCPv6:
		return strings.Join(parts, " "), true
	}
	return "", false // it has stopped early
}

func tcpFlags(l *layers.TCP) string {
	var b strings.Builder
	for _, f := range []struct {
		set  bool
		text string
	}{{l.SYN, "S"}, {l.FIN, "F"}, {l.RST, "R"}, {l.PSH, "P"}, {l.ACK, "."}, {l.URG, "U"}, {l.ECE, "E"}, {l.CWR, "W"}} {
		if f.set {
			b.WriteString(f.text)
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// TestSummaries has what gopacket has no part in: other link types, fragments,
// messages, and packets that are cut.
func TestSummaries(t *testing.T) {
	for _, c := range []struct {
		link         cbpf.LinkType
		sample, want string
	}{
		{cbpf.LinkEthernet, "vlan 100 arp", "02:00:00:00:00:01 > 02:00:00:00:00:02 vlan 100 ARP who-has 192.168.1.10 tell 192.168.1.1"},
		{cbpf.LinkEthernet, "vlan 100 llc stp", "02:00:00:00:00:01 > 02:00:00:00:00:02 vlan 100 STP"},
		{cbpf.LinkEthernet, "802.3 is-is 26", "02:00:00:00:00:01 > 01:80:c2:00:00:14 LLC 0xfe > 0xfe len 43"},
		{cbpf.LinkEthernet, "mpls pseudowire", "02:00:00:00:00:01 > 02:00:00:00:00:02 mpls 100 mpls 16 len 58"},
		{cbpf.LinkEthernet, "pppoed padi", "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff pppoe 0 len 12"},
		{cbpf.LinkEthernet, "pppoes 7 lcp", "02:00:00:00:00:01 > 02:00:00:00:00:02 pppoe 7 ppp 0xc021 len 10"},
		{cbpf.LinkEthernet, "pppoes 7 mpls ipv4", "02:00:00:00:00:01 > 02:00:00:00:00:02 pppoe 7 mpls 100 10.0.0.1 > 192.168.1.10 TCP 40000 > 80 [S]"},
		{cbpf.LinkEthernet, "ipv4 geneve most options", "10.0.0.1 > 192.168.1.10 UDP 50000 > 6081 geneve 100 172.16.0.5 > 10.1.2.3 TCP 1024 > 80 [S]"},
		{cbpf.LinkIPv4, "ipv4 last fragment", "10.0.0.1 > 192.168.1.10 frag 4660@48 TCP len 29"},
		{cbpf.LinkIPv4, "ipv4 first fragment options", "10.0.0.1 > 192.168.1.10 frag 4660@0 TCP 40000 > 80 [P.] len 20"},
		{cbpf.LinkIPv4, "ipv4 header only", "10.0.0.1 > 192.168.1.10 TCP [cut short or malformed]"},
		{cbpf.LinkIPv6, "ipv6 ah icmp6", "2001:db8::1 > 2001:db8:ffff::53 AH ICMPv6 echo request"},
		{cbpf.LinkIPv6, "ipv6 no next header", "2001:db8::1 > 2001:db8:ffff::53 no next header"},
		{cbpf.LinkIPv6, "ipv6 mobility", "2001:db8::1 > 2001:db8:ffff::53 protocol 135 len 8"},
		{cbpf.LinkLinuxSLL, "802.3 novell ipx", "LLC 0xff > 0xff len 27"},
		{cbpf.LinkLinuxSLL2, "ipv4 tcp to 22 rst", "10.0.0.1 > 192.168.1.10 TCP 40000 > 22 [R]"},
		{cbpf.LinkNull, "family 28 little-endian", "2001:db8::1 > fe80::1 UDP 1024 > 53 len 29"},
		{cbpf.LinkNull, "family 7 little-endian", "BSD loopback"},
		{cbpf.LinkPPP, "ipv4 tcp to 22 psh+ack", "10.0.0.1 > 192.168.1.10 TCP 40000 > 22 [P.] len 37"},
		{cbpf.LinkPPP, "cisco hdlc ipv4", "PPP"},
	} {
		var data []byte
		for _, s := range packets.Samples(c.link) {
			if s.Name == c.sample {
				data = s.Data
			}
		}
		if got := summarise(&capture.Packet{Data: data, LinkType: c.link}); got != c.want {
			t.Errorf("%v, %s: %q, want %q", c.link, c.sample, got, c.want)
		}
	}
}

// TestSummaryOfAnything: packets of every link type cut everywhere, and bytes
// that make no sense.
func TestSummaryOfAnything(t *testing.T) {
	for _, link := range cbpf.LinkTypes() {
		for _, s := range packets.Samples(link) {
			for n := range s.Data {
				if text := summarise(&capture.Packet{Data: s.Data[:n], LinkType: link}); text == "" {
					t.Fatalf("%v, %s: %d bytes have no summary", link, s.Name, n)
				}
			}
			for i := range min(len(s.Data), 60) {
				for _, b := range []byte{0, 0xff, s.Data[i] ^ 1, s.Data[i] ^ 0x80} {
					data := append([]byte(nil), s.Data...)
					data[i] = b
					summarise(&capture.Packet{Data: data, LinkType: link})
				}
			}
		}
	}
}
