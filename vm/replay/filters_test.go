package replay_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// everyday are filters whose answer does not depend on the length on the wire,
// which XDP and the kernel's test runs do not know of a truncated packet.
var everyday = []string{
	"", "tcp port 80", "udp", "ip6", "arp or icmp", "vlan", "not ip", "ip[6:2] & 0x1fff != 0",
	"tcp[tcpflags] & tcp-syn != 0", "net 10.0.0.0/8", "ether broadcast", "ip6 and udp port 53",
	"src host 10.0.0.1 and not dst port 22", "ip proto 47 or pppoes or mpls",
}

// variants are the ways in which a filter can run.
var variants = []struct {
	hook   abi.Hook
	access lift.Access
	kernel bool
}{
	{abi.HookXDP, lift.Direct, false},
	{abi.HookXDP, lift.LoadBytes, false},
	{abi.HookTC, lift.Direct, false},
	{abi.HookTC, lift.LoadBytes, false},
	{abi.HookTC, lift.Abs, false},
	{abi.HookSocket, lift.Abs, false},
	{abi.HookXDP, lift.Direct, true},
	{abi.HookTC, lift.Direct, true},
}

// TestEnginesAgreeOnCaptures runs filters over the captures of Ethernet
// packets, on the classic engine and in all variants on the eBPF engines.
func TestEnginesAgreeOnCaptures(t *testing.T) {
	t.Run("machine", func(t *testing.T) { agree(t, false) })
	t.Run("kernel", func(t *testing.T) {
		if err := kernel.Available(); err != nil {
			require.Skip(t, "needs eBPF in the kernel: %v", err)
		}
		agree(t, true)
	})
}

func agree(t *testing.T, inKernel bool) {
	for _, name := range []string{"mixed.pcap", "encap.pcap", "snaplen.pcap", "ipv6.pcap"} {
		for _, expr := range everyday {
			sides := sidesOf(t, expr, inKernel)
			matches, total := 0, 0
			d, err := replay.Compare(open(t, name), always(sides), func(n int, _ *capture.Packet, r []engine.Result) error {
				total = n
				matches += int(replay.NonZero(r[0].Return))
				return nil
			})
			if err != nil || d != nil {
				t.Errorf("%s, %q: %v, %+v", name, expr, err, d)
			}
			if total == 0 || expr == "" && matches != total || expr == "tcp port 80" && name == "mixed.pcap" && matches == 0 {
				t.Errorf("%s, %q: %d matches in %d packets", name, expr, matches, total)
			}
			for _, s := range sides {
				s.Engine.Close()
			}
		}
	}
}

func sidesOf(t testing.TB, expr string, inKernel bool) []replay.Side {
	t.Helper()
	p, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	classic, err := vm.NewClassic(p.Insns, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sides := []replay.Side{{Engine: classic, Verdict: replay.NonZero}}
	for _, v := range variants {
		if v.kernel != inKernel {
			continue
		}
		l, err := lift.Lift(p.Insns, lift.Options{Hook: v.hook, Access: v.access})
		if err != nil {
			t.Fatal(err)
		}
		var e engine.Engine
		if inKernel {
			e, err = kernel.NewEngine("agree", l.Type, l.Insns)
		} else {
			e, err = vm.New(l.Type, l.Insns, vm.Options{})
		}
		if err != nil {
			t.Fatal(err)
		}
		side := replay.Side{Engine: named{e, fmt.Sprintf("%s-%v-%v", e.Name(), v.hook, v.access)}, Verdict: replay.NonZero}
		if info := v.hook.Info(); !info.Length {
			side.Verdict = replay.Equals(info.Match)
		}
		sides = append(sides, side)
	}
	return sides
}

// named gives an engine a name that tells the variants apart.
type named struct {
	engine.Engine
	name string
}

func (n named) Name() string { return n.name }

func open(t *testing.T, name string) *capture.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join("../../testdata/captures", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPacketsOutlastTheReader checks that what a visitor gets of a packet is
// what the reader gave, although the reader has gone on.
func TestPacketsOutlastTheReader(t *testing.T) {
	for _, name := range []string{"mixed.pcapng", "sections.pcapng", "modified.pcap"} {
		direct := open(t, name)
		err := replay.Run(open(t, name), replay.Always(&sum{}), func(n int, p *capture.Packet, _ []engine.Result) error {
			want, err := direct.Next()
			if err != nil {
				return err
			}
			if got, want := fmt.Sprintf("%+v %+v", *p, p.Metadata()), fmt.Sprintf("%+v %+v", *want, want.Metadata()); got != want {
				t.Errorf("%s, packet %d:\n%s\nwant\n%s", name, n, got, want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkRun replays a capture through "tcp port 80" and reports the time of
// one packet, from the file's bytes in memory to the visitor.
func BenchmarkRun(b *testing.B) {
	file, err := os.ReadFile("../../testdata/captures/mixed.pcap")
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"none", "cbpf", "interp"} {
		b.Run(name, func(b *testing.B) {
			var engines []engine.Engine
			sides := sidesOf(b, "tcp port 80", false)
			switch name {
			case "cbpf":
				engines = append(engines, sides[0].Engine)
			case "interp":
				engines = append(engines, sides[1].Engine)
			}
			packets := 0
			for b.Loop() {
				r, err := capture.NewReader(bytes.NewReader(file))
				if err != nil {
					b.Fatal(err)
				}
				err = replay.Run(&repeated{r: r, left: 100}, replay.Always(engines...), func(n int, _ *capture.Packet, _ []engine.Result) error {
					packets = n
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(packets), "ns/packet")
		})
	}
}
