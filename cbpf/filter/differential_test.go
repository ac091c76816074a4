package filter_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/testdata/filters"
	"github.com/bpflab/bpflab/testdata/oracle"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
)

// The tests in this file compile filters with the real libpcap and with this
// package and run both programs over the same packets on libpcap's own
// interpreter. libpcap's program is the one without optimization: its
// optimizer changes answers for packets that were cut short.

const packetsEach = 5000 // for each link type

var netmask = uint32(0xffffff00)

func TestCorpusAgainstLibpcap(t *testing.T) {
	d := newDifferential(t, oracle.File)
	for _, lt := range cbpf.LinkTypes() {
		d.run(t, lt, corpus(lt), true)
	}
	d.report(t)
	if d.compared < 500 {
		t.Errorf("only %d filters compared", d.compared)
	}
	if 10*d.size[3] > 6*d.size[0] {
		t.Error("our optimized programs are longer than 60 % of libpcap's plain ones")
	}
}

// TestLiveLoopbackAgainstLibpcap: what libpcap compiles without a file has
// Linux's address family for IPv6, as ours for live packets.
func TestLiveLoopbackAgainstLibpcap(t *testing.T) {
	d := newDifferential(t, oracle.Dead)
	for _, lt := range []cbpf.LinkType{cbpf.LinkNull, cbpf.LinkLoop} {
		d.run(t, lt, corpus(lt)[:100], true)
	}
	d.report(t)
}

// corpus returns the cases for a link type.
func corpus(lt cbpf.LinkType) []filters.Case {
	return slices.DeleteFunc(filters.Load(), func(c filters.Case) bool { return c.LinkType != lt })
}

func TestRandomFiltersAgainstLibpcap(t *testing.T) {
	d := newDifferential(t, oracle.File)
	for _, lt := range cbpf.LinkTypes() {
		n := 60
		if lt == cbpf.LinkEthernet {
			n = 300
		}
		d.run(t, lt, filters.Random(lt, 1, n), false)
	}
	d.report(t)
	if d.compared < 500 {
		t.Errorf("only %d filters compared", d.compared)
	}
}

// TestLiveFiltersAgainstLibpcap compares filters for live packets. libpcap
// compiles them for the loopback interface. Its interpreter does not know the
// kernel's metadata, so both programs run on ours.
func TestLiveFiltersAgainstLibpcap(t *testing.T) {
	require.Root(t)
	d := newDifferential(t, oracle.Live)
	d.run(t, cbpf.LinkEthernet, filters.LoadLive(), true)
	d.report(t)
}

// boundaries are packets that chance seldom makes: type fields around the
// border between lengths and EtherTypes, of the frame and inside Geneve.
func boundaries(lt cbpf.LinkType) []packets.Packet {
	if lt != cbpf.LinkEthernet {
		return nil
	}
	var out []packets.Packet
	for _, s := range packets.Samples(lt) {
		at := 12
		if strings.Contains(s.Name, "geneve") && s.Data[12] == 8 {
			at = 14 + int(s.Data[14]&0xf)*4 + 8 + 2 // Ethernet, IPv4, UDP, the type in Geneve
		}
		for _, typ := range []uint16{0, 0x42, 1500, 1501, 1535, 1536} {
			data := slices.Clone(s.Data)
			binary.BigEndian.PutUint16(data[at:], typ)
			out = append(out, packets.Packet{Data: data, WireLen: uint32(len(data))})
		}
	}
	return out
}

// liveMetadata makes up what the kernel says of packets: half of them have a
// tag beside the bytes.
func liveMetadata(n int) []*cbpf.Metadata {
	r := rand.New(rand.NewPCG(1, 2))
	meta := make([]*cbpf.Metadata, n)
	for i := range meta {
		meta[i] = &cbpf.Metadata{HasDevice: true, IfIndex: uint32(1 + r.IntN(3)), PacketType: uint8(r.IntN(6))}
		if r.IntN(2) == 0 {
			meta[i].VLANPresent = true
			meta[i].VLANTCI = uint16(r.IntN(8)<<13) | []uint16{0, 10, 100, 200, 4095}[r.IntN(5)]
		}
	}
	return meta
}

// A differential compares programs and counts.
type differential struct {
	oracle  *oracle.Oracle
	mode    oracle.Mode
	packets []packets.Packet
	meta    []*cbpf.Metadata // of live packets

	compared, refused, undefined int
	size                         [4]int // instructions: libpcap plain and optimized, ours plain and optimized
}

func newDifferential(t *testing.T, mode oracle.Mode) *differential {
	return &differential{oracle: oracle.New(t), mode: mode}
}

// run compares the filters for one link type. Filters that only one compiler
// accepts are errors; those that both refuse as well if mustCompile.
func (d *differential) run(t *testing.T, lt cbpf.LinkType, cases []filters.Case, mustCompile bool) {
	t.Helper()
	d.packets = append(packets.Generate(lt, 1, packetsEach), boundaries(lt)...)
	d.oracle.Packets(d.packets)
	if d.mode == oracle.Live {
		d.meta = liveMetadata(len(d.packets))
	}
	for _, c := range cases {
		name := fmt.Sprintf("%s: %v: %s", c.Where, lt, c.Expr)
		theirs, ours, err := d.compile(c)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case theirs[0] == nil && mustCompile:
			t.Errorf("%s: refused by libpcap and by us", name)
		case theirs[0] == nil:
			d.refused++
		case !runnable(theirs[0]):
			d.undefined++
			if !runnable(ours[0].Insns) || !runnable(ours[1].Insns) {
				t.Errorf("%s: our program reads scratch memory that was not written", name)
			}
		default:
			d.compared++
			for i := range 2 {
				d.size[i] += len(theirs[i])
				d.size[2+i] += len(ours[i].Insns)
			}
			d.compare(t, name, theirs[0], ours)
		}
	}
}

// compile returns the plain and the optimized program of both compilers, nil
// if both refuse the filter.
func (d *differential) compile(c filters.Case) (theirs [2][]bpf.RawInstruction, ours [2]*filter.Program, err error) {
	for i, optimize := range []bool{false, true} {
		var err1, err2 error
		theirs[i], _, err1 = d.oracle.Compile(c.Expr, oracle.Options{
			Mode: d.mode, LinkType: c.LinkType, Optimize: optimize, Netmask: netmask})
		if optimize && err1 != nil && strings.Contains(err1.Error(), "expression rejects all packets") {
			theirs[i], err1 = []bpf.RawInstruction{{Op: 6}}, nil // ret #0
		}
		ours[i], err2 = filter.Compile(c.Expr, filter.Options{
			LinkType: c.LinkType, NoOptimize: !optimize, Live: d.mode != oracle.File,
			Netmask: netmask, NetmaskKnown: true})
		if (err1 == nil) != (err2 == nil) {
			return theirs, ours, fmt.Errorf("libpcap says %v, we say %v", err1, err2)
		}
	}
	return theirs, ours, nil
}

// runnable reports whether what a program of libpcap's answers is defined: it
// does not read scratch memory that was not written.
func runnable(prog []bpf.RawInstruction) bool {
	_, err := cbpf.New(prog)
	return err == nil
}

// compare runs libpcap's plain program and our two.
func (d *differential) compare(t *testing.T, name string, reference []bpf.RawInstruction, ours [2]*filter.Program) {
	t.Helper()
	var want []uint32
	if d.mode == oracle.Live {
		want = d.kernel(t, reference)
	} else {
		want = d.oracle.Run(reference)
	}
	for i, p := range ours {
		how := name + []string{": plain", ": optimized"}[i]
		if err := cbpf.Check(p.Insns); err != nil && len(p.Insns) <= 4096 {
			t.Errorf("%s: %v", how, err)
			continue
		}
		if d.mode == oracle.Live || i == 1 {
			d.same(t, how+" on the kernel's machine", want, d.kernel(t, p.Insns), p)
		}
		if d.mode != oracle.Live {
			d.same(t, how, want, d.oracle.Run(p.Insns), p)
		}
		if p.RejectsAll && slices.Max(want) != 0 {
			t.Errorf("%s: RejectsAll, but libpcap matches packets", how)
		}
	}
}

// kernel runs a program with the kernel's semantics.
func (d *differential) kernel(t *testing.T, prog []bpf.RawInstruction) []uint32 {
	t.Helper()
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	verdicts := make([]uint32, len(d.packets))
	for i, p := range d.packets {
		var meta *cbpf.Metadata
		if d.meta != nil {
			meta = d.meta[i]
		}
		if verdicts[i], err = m.Run(p.Data, p.WireLen, meta); err != nil {
			t.Fatal(err)
		}
	}
	return verdicts
}

func (d *differential) same(t *testing.T, name string, want, got []uint32, p *filter.Program) {
	t.Helper()
	for i := range want {
		if want[i] != got[i] {
			var b strings.Builder
			cbpf.Write(&b, "d", p.Insns, cbpf.WriteOptions{})
			t.Errorf("%s: packet %d of %d bytes, %d on the wire, %x: got %d, want %d\n%s",
				name, i, len(d.packets[i].Data), d.packets[i].WireLen, d.packets[i].Data, got[i], want[i], b.String())
			return
		}
	}
}

func (d *differential) report(t *testing.T) {
	t.Logf("%d filters compared on %d packets for each link type; %d refused by both; "+
		"%d where libpcap's program reads scratch memory that was not written",
		d.compared, packetsEach, d.refused, d.undefined)
	t.Logf("instructions: libpcap %d, optimized %d; we %d, optimized %d", d.size[0], d.size[1], d.size[2], d.size[3])
}
