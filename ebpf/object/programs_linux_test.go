package object_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	cilium "github.com/cilium/ebpf"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
)

// loadCollection loads an object into the kernel by the library alone.
func loadCollection(t *testing.T, name string) *cilium.Collection {
	t.Helper()
	require.Root(t)
	spec, err := cilium.LoadCollectionSpec("../../testdata/programs/" + name + ".o")
	if err != nil {
		t.Fatal(err)
	}
	c, err := cilium.NewCollection(spec)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func put(t *testing.T, c *cilium.Collection, name string, key, value any) {
	t.Helper()
	if err := c.Maps[name].Put(key, value); err != nil {
		t.Fatalf("map %s: %v", name, err)
	}
}

func run(t *testing.T, p *cilium.Program, packet []byte) (uint32, gopacket.Packet) {
	t.Helper()
	ret, out, err := p.Test(packet)
	if err != nil {
		t.Fatal(err)
	}
	return ret, gopacket.NewPacket(out, layers.LayerTypeEthernet, gopacket.Default)
}

// packetOf makes a frame with a UDP or TCP packet in it, with checksums.
func packetOf(t *testing.T, source, dest string, transport gopacket.SerializableLayer) []byte {
	t.Helper()
	from, to := netip.MustParseAddrPort(source), netip.MustParseAddrPort(dest)
	ip := &layers.IPv4{Version: 4, TTL: 64, Id: 7, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	switch l := transport.(type) {
	case *layers.UDP:
		ip.Protocol = layers.IPProtocolUDP
		l.SrcPort, l.DstPort = layers.UDPPort(from.Port()), layers.UDPPort(to.Port())
		l.SetNetworkLayerForChecksum(ip)
	case *layers.TCP:
		ip.Protocol = layers.IPProtocolTCP
		l.SrcPort, l.DstPort = layers.TCPPort(from.Port()), layers.TCPPort(to.Port())
		l.SetNetworkLayerForChecksum(ip)
	}
	eth := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	b := gopacket.NewSerializeBuffer()
	o := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, o, eth, ip, transport, gopacket.Payload("some payload")); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// endpoint is the C structure of an address, a port and a protocol.
func endpoint(addrPort string, protocol byte) []byte {
	ap := netip.MustParseAddrPort(addrPort)
	b := append(ap.Addr().AsSlice(), 0, 0, protocol, 0)
	binary.BigEndian.PutUint16(b[4:], ap.Port())
	return b
}

// sum16 is the sum that is 0xffff over anything with a right checksum in it.
func sum16(data []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	if len(data)%2 == 1 {
		sum += uint32(data[len(data)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// TestBalancer has the kernel send a flow to a backend.
func TestBalancer(t *testing.T) {
	c := loadCollection(t, "xdp_balancer")
	put(t, c, "services", endpoint("192.0.2.1:443", 6), []byte{1, 0, 0, 0, 1, 0, 0, 0})
	for i := range uint32(251) {
		put(t, c, "ring_b", i, i%2)
	}
	for i := range uint32(2) {
		put(t, c, "backends", i, []byte{10, 0, 0, 10 + byte(i), 2, 0, 0, 0, 0, 10 + byte(i), 1, 0})
	}
	inner := packetOf(t, "198.51.100.7:1234", "192.0.2.1:443", &layers.TCP{SYN: true})
	ret, out := run(t, c.Programs["balance"], inner)
	if ret != 3 {
		t.Fatalf("verdict %d, want XDP_TX", ret)
	}
	outer := out.Layers()[1].(*layers.IPv4)
	if outer.Protocol != layers.IPProtocolIPv4 || int(outer.Length) != len(inner)-14+20 || sum16(outer.Contents) != 0xffff {
		t.Errorf("outer header %+v", outer)
	}
	if last := outer.DstIP[3]; out.Layers()[0].(*layers.Ethernet).DstMAC[5] != last || last != 10 && last != 11 {
		t.Errorf("backend %v", outer.DstIP)
	}
	if string(outer.Payload) != string(inner[14:]) {
		t.Error("the inner packet has changed")
	}
	if ret, _ := run(t, c.Programs["balance"], packetOf(t, "198.51.100.7:1234", "192.0.2.2:443", &layers.TCP{})); ret != 2 {
		t.Errorf("verdict %d for another address, want XDP_PASS", ret)
	}
}

// TestNAT has the kernel translate a packet and its answer.
func TestNAT(t *testing.T) {
	c := loadCollection(t, "tc_nat")
	put(t, c, "published", endpoint("192.0.2.1:53", 17), endpoint("10.0.0.5:5353", 17))
	put(t, c, "published", endpoint("192.0.2.1:80", 6), endpoint("10.0.0.5:8080", 6))
	tests := []struct {
		program, source, dest, wantSource, wantDest string
		transport                                   gopacket.SerializableLayer
	}{
		{"nat_in", "198.51.100.7:999", "192.0.2.1:53", "198.51.100.7:999", "10.0.0.5:5353", &layers.UDP{}},
		{"nat_out", "10.0.0.5:5353", "198.51.100.7:999", "192.0.2.1:53", "198.51.100.7:999", &layers.UDP{}},
		{"nat_in", "198.51.100.7:999", "192.0.2.1:80", "198.51.100.7:999", "10.0.0.5:8080", &layers.TCP{SYN: true}},
		{"nat_out", "10.0.0.5:8080", "198.51.100.7:999", "192.0.2.1:80", "198.51.100.7:999", &layers.TCP{ACK: true}},
		{"nat_out", "10.0.0.6:8080", "198.51.100.7:999", "10.0.0.6:8080", "198.51.100.7:999", &layers.TCP{ACK: true}},
	}
	for _, tt := range tests {
		ret, out := run(t, c.Programs[tt.program], packetOf(t, tt.source, tt.dest, tt.transport))
		if ret != 0 {
			t.Errorf("%s: verdict %d", tt.program, ret)
		}
		ip := out.Layers()[1].(*layers.IPv4)
		flow := out.TransportLayer().TransportFlow()
		if got := ip.SrcIP.String() + ":" + flow.Src().String(); got != tt.wantSource {
			t.Errorf("%s: source %s, want %s", tt.program, got, tt.wantSource)
		}
		if got := ip.DstIP.String() + ":" + flow.Dst().String(); got != tt.wantDest {
			t.Errorf("%s: destination %s, want %s", tt.program, got, tt.wantDest)
		}
		pseudo := append(ip.Contents[12:20:20], 0, byte(ip.Protocol), 0, byte(len(ip.Payload)))
		if sum16(ip.Contents) != 0xffff || sum16(append(pseudo, ip.Payload...)) != 0xffff {
			t.Errorf("%s: wrong checksums in %v", tt.program, out)
		}
	}
}

// TestCounters has the kernel run the programs that count over all sample
// packets, and checks that each packet was counted once.
func TestCounters(t *testing.T) {
	tests := []struct {
		object, program, counters string
		from                      uint32 // the first key that counts
		only                      layers.EthernetType
	}{
		{"xdp_firewall", "firewall", "counters", 0, 0},
		// The first four count headers, the others how packets end.
		{"tail_parser", "parse_ethernet", "found", 4, 0},
		{"ext_headers", "walk_headers", "stops", 0, layers.EthernetTypeIPv6},
		{"sampler", "sample", "counts", 0, 0},
		{"flow_tracker", "track", "flows", 0, layers.EthernetTypeIPv4},
	}
	for _, tt := range tests {
		t.Run(tt.object, func(t *testing.T) {
			c := loadCollection(t, tt.object)
			runs := uint64(0)
			for _, s := range packets.Samples(cbpf.LinkEthernet) {
				kind := layers.EthernetType(binary.BigEndian.Uint16(s.Data[12:]))
				if len(s.Data) < 64 || len(s.Data) > 3000 || tt.only != 0 && kind != tt.only {
					continue
				}
				if _, _, err := c.Programs[tt.program].Test(s.Data); err != nil {
					t.Fatal(s.Name, err)
				}
				runs++
			}
			got := total(t, c.Maps[tt.counters], tt.from)
			if got != runs || runs == 0 {
				t.Errorf("%d packets counted, %d were run", got, runs)
			}
		})
	}
}

// total adds up the counters that values start with, one or for flows two, of
// the keys from the first on.
func total(t *testing.T, m *cilium.Map, first uint32) uint64 {
	t.Helper()
	fields := 1
	if m.Type() == cilium.LRUHash {
		fields = 2
	}
	var sum uint64
	var key []byte
	values := make([][]byte, 1)
	var out any = &values[0]
	if m.Type() == cilium.PerCPUArray { // one value a CPU
		out = &values
	}
	entries := m.Iterate()
	for entries.Next(&key, out) {
		for _, v := range values {
			for i := range fields {
				if binary.NativeEndian.Uint32(key) >= first {
					sum += binary.NativeEndian.Uint64(v[8*i:])
				}
			}
		}
	}
	if err := entries.Err(); err != nil {
		t.Fatal(err)
	}
	return sum
}
