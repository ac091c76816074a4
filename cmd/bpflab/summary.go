package main

import (
	"fmt"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
)

// summarise describes a packet's layers for people, outermost first:
// "10.0.0.1 > 10.0.0.2 TCP 40000 > 80 [S] len 0". The decoding is gopacket's,
// which serves for reading and has no say in what matches.
func summarise(p *capture.Packet) string {
	first, data := firstLayer(p)
	if first == nil {
		return p.LinkType.Description()
	}
	packet := gopacket.NewPacket(data, first, gopacket.DecodeOptions{NoCopy: true})
	var parts []string
	for _, layer := range packet.Layers() {
		if text := layerText(layer); text != "" {
			parts = append(parts, text)
		}
	}
	if packet.ErrorLayer() != nil {
		parts = append(parts, "[cut short or malformed]")
	}
	return strings.Join(parts, " ")
}

// firstLayer picks gopacket's decoder for a packet and the bytes to begin
// with, nil if it has none. It knows LINUX_SLL2 by the network layer only.
func firstLayer(p *capture.Packet) (gopacket.Decoder, []byte) {
	switch p.LinkType {
	case cbpf.LinkEthernet:
		return layers.LayerTypeEthernet, p.Data
	case cbpf.LinkIPv4:
		return layers.LayerTypeIPv4, p.Data
	case cbpf.LinkIPv6:
		return layers.LayerTypeIPv6, p.Data
	case cbpf.LinkLinuxSLL:
		return layers.LayerTypeLinuxSLL, p.Data
	case cbpf.LinkNull, cbpf.LinkLoop:
		return layers.LayerTypeLoopback, p.Data
	case cbpf.LinkPPP:
		return layers.LayerTypePPP, p.Data
	case cbpf.LinkRaw, cbpf.LinkLinuxSLL2:
		meta := p.Metadata()
		if from := int(meta.NetworkOffset); from <= len(p.Data) {
			return layers.EthernetType(meta.Protocol), p.Data[from:]
		}
	}
	return nil, nil
}

// layerText gives a few words for the layers that people look for; a payload
// is named by its length, any other layer by its name.
func layerText(layer gopacket.Layer) string {
	switch l := layer.(type) {
	case *layers.Ethernet:
		if l.EthernetType == layers.EthernetTypeIPv4 || l.EthernetType == layers.EthernetTypeIPv6 {
			return "" // the network addresses say more
		}
		return fmt.Sprintf("%v > %v", l.SrcMAC, l.DstMAC)
	case *layers.LinuxSLL, *layers.Loopback, *layers.PPP:
		return ""
	case *layers.Dot1Q:
		return fmt.Sprintf("vlan %d", l.VLANIdentifier)
	case *layers.MPLS:
		return fmt.Sprintf("mpls %d", l.Label)
	case *layers.PPPoE:
		return fmt.Sprintf("pppoe %d", l.SessionId)
	case *layers.Geneve:
		return fmt.Sprintf("geneve %d", l.VNI)
	case *layers.ARP:
		return arpText(l)
	case *layers.IPv4:
		return ipv4Text(l)
	case *layers.IPv6:
		return fmt.Sprintf("%v > %v", l.SrcIP, l.DstIP)
	case *layers.TCP:
		return fmt.Sprintf("TCP %d > %d [%s]", l.SrcPort, l.DstPort, tcpFlags(l))
	case *layers.UDP:
		return fmt.Sprintf("UDP %d > %d", l.SrcPort, l.DstPort)
	case *layers.SCTP:
		return fmt.Sprintf("SCTP %d > %d", l.SrcPort, l.DstPort)
	case *layers.ICMPv4:
		return fmt.Sprintf("ICMP %v", l.TypeCode)
	case *layers.ICMPv6:
		return fmt.Sprintf("ICMPv6 %v", l.TypeCode)
	case *gopacket.Payload:
		return fmt.Sprintf("len %d", len(l.LayerContents()))
	case *gopacket.DecodeFailure:
		return ""
	}
	return layer.LayerType().String()
}

func arpText(l *layers.ARP) string {
	if len(l.SourceProtAddress) != 4 || len(l.DstProtAddress) != 4 {
		return "ARP"
	}
	from, to := dotted(l.SourceProtAddress), dotted(l.DstProtAddress)
	switch l.Operation {
	case layers.ARPRequest:
		return fmt.Sprintf("ARP who-has %s tell %s", to, from)
	case layers.ARPReply:
		return fmt.Sprintf("ARP %s is-at % x", from, l.SourceHwAddress)
	}
	return fmt.Sprintf("ARP operation %d %s > %s", l.Operation, from, to)
}

func dotted(b []byte) string { return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3]) }

func ipv4Text(l *layers.IPv4) string {
	text := fmt.Sprintf("%v > %v", l.SrcIP, l.DstIP)
	if l.FragOffset > 0 || l.Flags&layers.IPv4MoreFragments != 0 {
		text += fmt.Sprintf(" frag %d@%d %v", l.Id, int(l.FragOffset)*8, l.Protocol)
	}
	return text
}

// tcpFlags writes the flags as tcpdump does: S, F, R, P, "." for ACK, U, E, W.
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
