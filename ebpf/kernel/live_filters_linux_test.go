package kernel_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/filters"
	"github.com/bpflab/bpflab/testdata/oracle"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// liveCases are filters for a live Ethernet device: those made for it, and a
// choice of the others.
func liveCases() (cases []filters.Case) {
	cases = filters.LoadLive()
	for i, c := range filters.Load() {
		if c.LinkType == cbpf.LinkEthernet && i%17 == 0 {
			cases = append(cases, c)
		}
	}
	return slices.DeleteFunc(cases, func(c filters.Case) bool { return c.LinkType != cbpf.LinkEthernet })
}

// A liveFilter is a filter on both ends of a wire.
type liveFilter struct {
	filters.Case
	prog []bpf.RawInstruction
	ends [2]*kernel.Capture
	have [2][]*capture.Packet
}

// attach opens captures for a filter. Their rings hold all that is sent before it
// is read, and are not handed over too early.
func (f *liveFilter) attach(t *testing.T, w *wire, o kernel.CaptureOptions) {
	f.prog = o.Filter
	o.RingSize, o.Latency = 4<<20, 100*time.Millisecond
	for i, device := range []string{w.there, w.here} {
		f.ends[i] = open(t, device, o)
	}
}

func (f *liveFilter) drain(t *testing.T) {
	for i, c := range f.ends {
		f.have[i] = drain(t, c)
		c.Close()
	}
}

// samePackets reports how two captures of the same frames differ, or "". Each
// socket takes the time by itself.
func samePackets(a, b []*capture.Packet) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d packets and %d", len(a), len(b))
	}
	for i := range a {
		if !bytes.Equal(a[i].Data, b[i].Data) || a[i].WireLen != b[i].WireLen || a[i].Metadata() != b[i].Metadata() {
			return fmt.Sprintf("packet %d:\n%d %x\n%d %x", i, a[i].WireLen, a[i].Data, b[i].WireLen, b[i].Data)
		}
	}
	return ""
}

// liveDifferent are filters that go beyond the packet's start, where the kernel's
// machine wraps around and libpcap's own faults. Ours do as the latter on both.
var liveDifferent = []string{"ip[-1] = 0"}

// Our programs and libpcap's, for a live device, let the same packets through on
// both ends of a wire: incoming with the tag taken out, outgoing with the tag in
// the bytes.
func TestLiveFiltersLikeLibpcap(t *testing.T) {
	require.Root(t)
	o := oracle.New(t)
	w := newWire(t)
	all := frames()
	for cases := range slices.Chunk(liveCases(), 12) {
		var ours, theirs []*liveFilter
		for _, c := range cases {
			prog, _, err := o.Compile(c.Expr, oracle.Options{Mode: oracle.Live, LinkType: c.LinkType, NoMask: true})
			if err != nil {
				t.Fatalf("%s: %s: %v", c.Where, c.Expr, err)
			}
			if cbpf.Check(prog) != nil || slices.Contains(liveDifferent, c.Expr) {
				continue // the former read scratch memory before it was written
			}
			a, b := &liveFilter{Case: c}, &liveFilter{Case: c}
			a.attach(t, w, kernel.CaptureOptions{Filter: liveProgram(t, c)})
			b.attach(t, w, kernel.CaptureOptions{Filter: prog})
			ours, theirs = append(ours, a), append(theirs, b)
		}
		w.send(t, all...)
		drainAll(t, ours, theirs)
		for i := range ours {
			for end := range 2 {
				if d := samePackets(ours[i].have[end], theirs[i].have[end]); d != "" {
					t.Errorf("%s: %s: on end %d ours and libpcap's: %s", ours[i].Where, ours[i].Expr, end, d)
				}
			}
		}
	}
}

// A filter's translation, attached as an eBPF program, lets the same packets
// through as the kernel's own of the classic program.
func TestLiveExtended(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	all := frames()
	for cases := range slices.Chunk(liveCases(), 15) {
		var classic, extended []*liveFilter
		for _, c := range cases {
			prog := liveProgram(t, c)
			a, b := &liveFilter{Case: c}, &liveFilter{Case: c}
			a.attach(t, w, kernel.CaptureOptions{Filter: prog})
			b.attach(t, w, kernel.CaptureOptions{Program: lifted(t, prog, c.LinkType)})
			classic, extended = append(classic, a), append(extended, b)
		}
		w.send(t, all...)
		drainAll(t, classic, extended)
		for i := range classic {
			for end := range 2 {
				if d := samePackets(classic[i].have[end], extended[i].have[end]); d != "" {
					t.Errorf("%s: %s: on end %d classic and extended: %s", classic[i].Where, classic[i].Expr, end, d)
				}
			}
		}
	}
}

// liveOnly are filters that look past the tag at what differs where the kernel
// has taken it out: the length, the type field behind the addresses.
var liveOnly = []string{"vlan and ip[len & 31] = 0", "vlan and ether[12:2] = 0x800", "host 10.0.0.1 and vlan"}

// What a filter lets through live is what it matches in a capture of everything:
// the live program in packets as the kernel saw them, and the program for
// captures in the packets as they were delivered. Live, filters that say nothing
// of tags do not see them, so those programs are compared on untagged packets.
func TestLiveIsOffline(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	everything := &liveFilter{}
	everything.attach(t, w, kernel.CaptureOptions{})
	var live []*liveFilter
	all := frames()
	for cases := range slices.Chunk(liveCases(), 30) {
		var group []*liveFilter
		for _, c := range cases {
			f := &liveFilter{Case: c}
			f.attach(t, w, kernel.CaptureOptions{Filter: liveProgram(t, c)})
			group = append(group, f)
		}
		w.send(t, all...)
		drainAll(t, group)
		live = append(live, group...)
		if len(live) == len(group) {
			everything.drain(t)
		}
	}
	matches := [2]int{}
	for _, f := range live {
		offline, err := filter.Compile(f.Expr, filter.Options{LinkType: f.LinkType})
		inFile := err == nil && !slices.Contains(liveOnly, f.Expr)
		for end := range 2 {
			all, have := everything.have[end], f.have[end]
			want := matchOffline(t, f.prog, all, kernelView(all, end == 0))
			if d := samePackets(have, want); d != "" {
				t.Errorf("%s: %s: on end %d live and replayed: %s", f.Where, f.Expr, end, d)
			}
			matches[0] += len(want)
			if !inFile {
				continue
			}
			if !strings.Contains(f.Expr, "vlan") {
				all, have = untagged(all), untagged(have)
			}
			want = matchOffline(t, offline.Insns, all, kernelView(all, false))
			if d := samePackets(have, want); d != "" {
				t.Errorf("%s: %s: on end %d live and in a capture: %s", f.Where, f.Expr, end, d)
			}
			matches[1] += len(want)
		}
	}
	t.Logf("%d frames, %d filters, %d matches live, %d in a capture", len(everything.have[0]), len(live), matches[0], matches[1])
}

func liveProgram(t *testing.T, c filters.Case) []bpf.RawInstruction {
	p, err := filter.Compile(c.Expr, filter.Options{LinkType: c.LinkType, Live: true})
	if err != nil {
		t.Fatalf("%s: %v", c.Where, err)
	}
	return p.Insns
}

func drainAll(t *testing.T, groups ...[]*liveFilter) {
	for _, f := range slices.Concat(groups...) {
		f.ends[0].Stop()
		f.ends[1].Stop()
	}
	for _, f := range slices.Concat(groups...) {
		f.drain(t)
	}
}

// kernelView returns packets as the kernel's filters saw them: coming in, the
// outer tag is out of the bytes.
func kernelView(all []*capture.Packet, in bool) []engine.Packet {
	var view []engine.Packet
	for _, p := range all {
		e := p.Engine()
		if in && isTagged(p) {
			e.Meta.VLANPresent = true
			e.Meta.VLANProto = binary.BigEndian.Uint16(p.Data[12:])
			e.Meta.VLANTCI = binary.BigEndian.Uint16(p.Data[14:])
			e.Meta.Protocol = binary.BigEndian.Uint16(p.Data[16:])
			e.Data = slices.Concat(p.Data[:12], p.Data[16:])
			e.WireLen -= 4
		}
		view = append(view, e)
	}
	return view
}

func isTagged(p *capture.Packet) bool {
	return bytes.Equal(p.Data[12:14], []byte{0x81, 0}) || bytes.Equal(p.Data[12:14], []byte{0x88, 0xa8})
}

func untagged(all []*capture.Packet) []*capture.Packet {
	return slices.DeleteFunc(slices.Clone(all), isTagged)
}

// matchOffline returns those packets that a program matches.
func matchOffline(t *testing.T, prog []bpf.RawInstruction, all []*capture.Packet, view []engine.Packet) (matched []*capture.Packet) {
	t.Helper()
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range view {
		ret, err := m.Run(p.Data, p.WireLen, &p.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if ret != 0 {
			matched = append(matched, all[i])
		}
	}
	return matched
}
