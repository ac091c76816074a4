package capture_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/vm/capture"
)

// sample finds a packet of testdata/packets by its name.
func sample(t *testing.T, lt cbpf.LinkType, name string) []byte {
	t.Helper()
	for _, s := range packets.Samples(lt) {
		if s.Name == name {
			return s.Data
		}
	}
	t.Fatalf("no sample %q on %v", name, lt)
	return nil
}

func TestMetadata(t *testing.T) {
	ether := cbpf.Metadata{HasLink: true, NetworkOffset: 14, HWType: 1}
	of := func(m cbpf.Metadata, protocol uint16, pktType uint8) cbpf.Metadata {
		m.Protocol, m.PacketType = protocol, pktType
		return m
	}
	sll := cbpf.Metadata{HasLink: true, NetworkOffset: 16, HWType: 1}
	sll2 := cbpf.Metadata{HasLink: true, NetworkOffset: 20, HWType: 1, HasDevice: true, IfIndex: 3}
	sll2Net := sll2
	sll2Net.IfIndex, sll2Net.IngressIfIndex = 2, 2
	loop := cbpf.Metadata{HasLink: true, NetworkOffset: 4}
	for _, c := range []struct {
		lt   cbpf.LinkType
		name string
		want cbpf.Metadata
	}{
		{cbpf.LinkEthernet, "ipv4 tcp to 80 syn", of(ether, 0x0800, 0)},
		{cbpf.LinkEthernet, "ipv6 tcp to 80 syn", of(ether, 0x86dd, 0)},
		{cbpf.LinkEthernet, "arp request", of(ether, 0x0806, 1)},
		{cbpf.LinkEthernet, "ipv6 icmp6 135", of(ether, 0x86dd, 2)},
		{cbpf.LinkEthernet, "vlan 100 ipv4", of(ether, 0x8100, 0)},
		{cbpf.LinkEthernet, "802.3 stp", of(ether, 4, 2)},
		{cbpf.LinkEthernet, "802.3 ipx raw", of(ether, 1, 1)},
		{cbpf.LinkRaw, "ipv4 tcp to 80 syn", of(cbpf.Metadata{}, 0x0800, 0)},
		{cbpf.LinkRaw, "ipv6 tcp to 80 syn", of(cbpf.Metadata{}, 0x86dd, 0)},
		{cbpf.LinkIPv4, "ipv4 tcp to 80 syn", of(cbpf.Metadata{}, 0x0800, 0)},
		{cbpf.LinkIPv6, "ipv6 tcp to 80 syn", of(cbpf.Metadata{}, 0x86dd, 0)},
		{cbpf.LinkLinuxSLL, "ipv4 tcp to 80 syn", of(sll, 0x0800, 0)},
		{cbpf.LinkLinuxSLL, "outgoing ipv4", of(sll, 0x0800, 4)},
		{cbpf.LinkLinuxSLL, "802.2 stp", of(sll, 4, 2)},
		{cbpf.LinkLinuxSLL2, "outgoing ipv4", of(sll2, 0x0800, 4)},
		{cbpf.LinkLinuxSLL2, "ipv6 tcp to 80 syn", of(sll2Net, 0x86dd, 0)},
		{cbpf.LinkNull, "family 2 little-endian", of(loop, 0x0800, 0)},
		{cbpf.LinkNull, "family 24 big-endian", of(loop, 0x86dd, 0)},
		{cbpf.LinkNull, "family 7 big-endian", of(loop, 0, 0)},
		{cbpf.LinkLoop, "family 30 big-endian", of(loop, 0x86dd, 0)},
		{cbpf.LinkPPP, "ipv4 tcp to 80 syn", of(loop, 0x0800, 0)},
		{cbpf.LinkPPP, "mpls 100 1024 ipv6", of(loop, 0x8847, 0)},
		{cbpf.LinkPPP, "lcp", of(loop, 0, 0)},
	} {
		p := capture.Packet{Data: sample(t, c.lt, c.name), LinkType: c.lt}
		if diff := cmp.Diff(c.want, p.Metadata()); diff != "" {
			t.Errorf("%v, %s (-want +got):\n%s", c.lt, c.name, diff)
		}
	}
}

func TestMetadataOfModifiedPcap(t *testing.T) {
	all, _, err := readAll(bytes.NewReader(committed(t, "modified.pcap")))
	if err != nil {
		t.Fatal(err)
	}
	if m := all[0].Metadata(); !m.HasDevice || m.IfIndex != 2 || m.PacketType != 4 {
		t.Errorf("%+v", m)
	}
}

func TestMetadataOfPcapNG(t *testing.T) {
	all, _, err := readAll(bytes.NewReader(committed(t, "mixed.pcapng")))
	if err != nil {
		t.Fatal(err)
	}
	// Packets 1 and 2 have options: inbound, outbound; queue i%4; hash 1 2 3 i.
	second := cbpf.Metadata{Protocol: 0x0806, PacketType: 4, HasDevice: true, IfIndex: 1, HWType: 1,
		Queue: 2, RxHash: 0x01030201, HasLink: true, NetworkOffset: 14}
	if diff := cmp.Diff(second, all[1].Metadata()); diff != "" {
		t.Errorf("packet 2 (-want +got):\n%s", diff)
	}
	if m := all[0].Metadata(); m.PacketType == 4 || m.Queue != 1 || m.IngressIfIndex != 1 {
		t.Errorf("packet 1: %+v", m)
	}
	if m := all[3].Metadata(); m.IfIndex != 3 || m.HasLink || m.NetworkOffset != 0 {
		t.Errorf("packet 4, on the third interface: %+v", m)
	}
}

// TestMetadataOfAnything: no packet, however short, makes it fail, and the
// engine's packet is the same one.
func TestMetadataOfAnything(t *testing.T) {
	for _, lt := range append(cbpf.LinkTypes(), 147) {
		for _, g := range append(packets.Generate(lt, 9, 1000), packets.Packet{}) {
			p := capture.Packet{Data: g.Data, WireLen: g.WireLen, LinkType: lt}
			e := p.Engine()
			if e.WireLen != g.WireLen || e.Meta != p.Metadata() || !bytes.Equal(e.Data, g.Data) {
				t.Fatalf("%v: %+v", lt, e)
			}
		}
	}
}
