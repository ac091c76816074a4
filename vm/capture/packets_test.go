package capture_test

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
)

// The tests of testdata/packets are here because the go tool leaves out
// directories named testdata when it is asked for "./...".

// decode decodes a packet with gopacket, whose link types do not include
// LINUX_SLL2 (its type for them has 8 bits) and the IP-only ones.
func decode(lt cbpf.LinkType, data []byte) gopacket.Packet {
	if lt == cbpf.LinkLinuxSLL2 {
		proto := layers.EthernetType(binary.BigEndian.Uint16(data))
		return gopacket.NewPacket(data[20:], proto, gopacket.Default)
	}
	return gopacket.NewPacket(data, firstLayer(lt, data), gopacket.Default)
}

func firstLayer(lt cbpf.LinkType, data []byte) gopacket.Decoder {
	switch lt {
	case cbpf.LinkIPv4:
		return layers.LayerTypeIPv4
	case cbpf.LinkIPv6:
		return layers.LayerTypeIPv6
	case cbpf.LinkRaw:
		if data[0]>>4 == 6 {
			return layers.LayerTypeIPv6
		}
		return layers.LayerTypeIPv4
	}
	return layers.LinkType(lt)
}

// notDecoded tells gopacket's words for a protocol that it does not know from
// those for a packet that it finds wrong.
func notDecoded(message string) bool {
	for _, m := range []string{
		"Layer type not currently supported",
		"Unable to decode EthernetType", "Unable to decode PPPType", "Unable to decode PPPoECode", "Unable to decode ProtocolFamily",
		"Unable to guess protocol of packet data", // MPLS with an Ethernet frame inside
		"Unknown IPv6 routing header type 4",      // segment routing
		"IPv6 length 0, but next header is",       // no payload is fine without a jumbo option
		"Unable to decode LinkType 276",           // LINUX_SLL2
	} {
		if strings.HasPrefix(message, m) {
			return true
		}
	}
	return false
}

func TestSamplesDecode(t *testing.T) {
	for _, lt := range cbpf.LinkTypes() {
		for _, s := range packets.Samples(lt) {
			p := decode(lt, s.Data)
			if e := p.ErrorLayer(); e != nil && !notDecoded(e.Error().Error()) {
				t.Errorf("%v, %s: %v\n%x", lt, s.Name, e.Error(), s.Data)
			}
		}
	}
}
func TestSampleNamesAreUnique(t *testing.T) {
	for _, lt := range cbpf.LinkTypes() {
		seen := map[string]bool{}
		for _, s := range packets.Samples(lt) {
			if seen[s.Name] {
				t.Errorf("%v: two samples are named %q", lt, s.Name)
			}
			seen[s.Name] = true
		}
	}
}

func TestGenerate(t *testing.T) {
	for _, lt := range cbpf.LinkTypes() {
		a, b := packets.Generate(lt, 7, 2000), packets.Generate(lt, 7, 2000)
		cut, shortest, longest := 0, 1<<30, 0
		for i := range a {
			if !bytes.Equal(a[i].Data, b[i].Data) || a[i].WireLen != b[i].WireLen {
				t.Fatalf("%v: packet %d differs between two runs with the same seed", lt, i)
			}
			if int(a[i].WireLen) < len(a[i].Data) {
				t.Fatalf("%v: packet %d is longer than on the wire", lt, i)
			}
			if int(a[i].WireLen) > len(a[i].Data) {
				cut++
			}
			shortest, longest = min(shortest, len(a[i].Data)), max(longest, len(a[i].Data))
		}
		if len(a) != 2000 || cut < 200 || shortest != 0 || longest < 600 {
			t.Errorf("%v: %d packets, %d cut, lengths %d to %d", lt, len(a), cut, shortest, longest)
		}
		if got := len(packets.Generate(lt, 7, 3)); got != 3 {
			t.Errorf("%v: asked for 3 packets, got %d", lt, got)
		}
	}
	if packets.Generate(147, 1, 10) != nil {
		t.Error("packets of an unknown link type")
	}
}

func hashOf(ps []packets.Packet) uint64 {
	h := fnv.New64a()
	for _, p := range ps {
		h.Write(p.Data)
	}
	return h.Sum64()
}

func TestSeedsDiffer(t *testing.T) {
	if hashOf(packets.Generate(1, 1, 1000)) == hashOf(packets.Generate(1, 2, 1000)) {
		t.Error("seeds 1 and 2 give the same packets")
	}
}

func BenchmarkGenerate5000(b *testing.B) {
	for b.Loop() {
		packets.Generate(cbpf.LinkEthernet, 1, 5000)
	}
}
