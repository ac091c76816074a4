package cbpf_test

import (
	"encoding/hex"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
)

// benchmarks are filters as libpcap 1.10.3 compiles them (tcpdump -ddd), each
// with a packet that goes a long way through it.
var benchmarks = []struct {
	name, filter, packet string
}{
	{"tcp_port_80_match", tcpPort80, ipv4Header + "c3500050" + tcpRest},
	{"tcp_port_80_miss", tcpPort80, ipv4Header + "c35001bb" + tcpRest},
	{
		"ip_arp", // the shortest: "ip" over an ARP frame
		"4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0",
		"ffffffffffff0200000000010806" + tcpRest + tcpRest,
	},
	{
		// tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)
		"http_payload",
		"30,40 0 0 12,21 27 0 34525,21 0 26 2048,48 0 0 23,21 0 24 6,40 0 0 20,69 22 0 8191,177 0 0 14,72 0 0 14,21 2 0 80," +
			"72 0 0 16,21 0 17 80,40 0 0 16,2 0 0 1,48 0 0 14,84 0 0 15,100 0 0 2,7 0 0 5,96 0 0 1,28 0 0 0,2 0 0 5,177 0 0 14," +
			"80 0 0 26,84 0 0 240,116 0 0 2,7 0 0 9,96 0 0 5,29 1 0 0,6 0 0 262144,6 0 0 0",
		ipv4Header + "c3500050" + tcpRest,
	},
}

const tcpPort80 = "20,40 0 0 12,21 0 6 34525,48 0 0 20,21 0 15 6,40 0 0 54,21 12 0 80,40 0 0 56,21 10 11 80,21 0 10 2048," +
	"48 0 0 23,21 0 8 6,40 0 0 20,69 6 0 8191,177 0 0 14,72 0 0 14,21 2 0 80,72 0 0 16,21 0 1 80,6 0 0 262144,6 0 0 0"

// An IPv4 header behind an Ethernet header, and TCP behind the ports.
const (
	ipv4Header = "020000000002020000000001" + "0800" + "4500003c1c4640004006b1e60a0000010a000002"
	tcpRest    = "0000000100000000a002faf0000000000204056402080a00000000000000000000"
)

// The machine beside golang.org/x/net/bpf's on the same filters and packets.
func BenchmarkRun(b *testing.B) {
	for _, c := range benchmarks {
		prog, err := cbpf.Parse([]byte(c.filter), cbpf.FormatXTBPF)
		if err != nil {
			b.Fatal(err)
		}
		packet, err := hex.DecodeString(c.packet)
		if err != nil {
			b.Fatal(err)
		}
		m, err := cbpf.New(prog)
		if err != nil {
			b.Fatal(err)
		}
		vm := newXNetVM(b, prog)
		want, err := vm.Run(packet)
		if err != nil {
			b.Fatal(err)
		}
		meta := &cbpf.Metadata{}
		b.Run(c.name+"/cbpf", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ret, err := m.Run(packet, uint32(len(packet)), meta); err != nil || ret != uint32(want) {
					b.Fatal(ret, err)
				}
			}
			b.ReportMetric(float64(m.Executed()), "insns")
		})
		b.Run(c.name+"/xnet", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := vm.Run(packet); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func newXNetVM(t testing.TB, prog []bpf.RawInstruction) *bpf.VM {
	insns, ok := bpf.Disassemble(prog)
	if !ok {
		t.Fatal("x/net/bpf does not know all instructions")
	}
	vm, err := bpf.NewVM(insns)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}
