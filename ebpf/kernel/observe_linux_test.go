package kernel_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm/capture"
)

func compileFor(t *testing.T, text string, link cbpf.LinkType, live bool) []bpf.RawInstruction {
	t.Helper()
	p, err := filter.Compile(text, filter.Options{LinkType: link, Live: live})
	if err != nil {
		t.Fatal(err)
	}
	return p.Insns
}

// wholeFrames are the frames that the kernel sends.
func wholeFrames() [][]byte {
	return slices.DeleteFunc(frames(), func(f []byte) bool { return len(f) < 14 || len(f) > 1514 })
}

// An observer is a filter program that is attached, and its packets.
type observer struct {
	*kernel.Packets
	a *kernel.Attachment
}

func observe(t *testing.T, hook string, prog []bpf.RawInstruction, link cbpf.LinkType, o kernel.FilterOptions) *observer {
	t.Helper()
	h := parseHook(t, hook)
	l, err := kernel.NewFilterProgram(h.Kind, prog, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, report := verifier.Verify(verifier.ProgramsOf(l)[0], verifier.Options{}); report != nil {
		t.Errorf("our verifier: %+v", report)
	}
	c := collection(t, l)
	p, _, err := c.Load(&l.Programs[0])
	if err != nil {
		t.Fatalf("%+v", err)
	}
	packets, err := c.NewPackets(link)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { packets.Close() })
	return &observer{packets, attach(t, p, hook, kernel.AttachOptions{})}
}

// all detaches and returns the packets.
func (o *observer) all(t *testing.T) (all []*capture.Packet) {
	t.Helper()
	time.Sleep(20 * time.Millisecond) // what was sent arrives
	if err := errors.Join(o.a.Close(), o.Stop()); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := o.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Clone())
	}
}

// matching returns the frames that a live filter matches. On the way in the
// kernel has taken out the outer tag.
func matching(t *testing.T, prog []bpf.RawInstruction, in bool) (all [][]byte) {
	t.Helper()
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range wholeFrames() {
		const outgoing = 4 // PACKET_OUTGOING
		meta := cbpf.Metadata{PacketType: outgoing}
		if in {
			meta.PacketType = 0
		}
		data := f
		if proto := binary.BigEndian.Uint16(f[12:]); in && (proto == 0x8100 || proto == 0x88a8) {
			meta.VLANPresent, meta.VLANTCI, meta.VLANProto = true, binary.BigEndian.Uint16(f[14:]), proto
			data = append(bytes.Clone(f[:12]), f[16:]...)
		}
		v, err := m.Run(data, uint32(len(data)), &meta)
		if err != nil {
			t.Fatal(err)
		}
		if v > 0 {
			all = append(all, f)
		}
	}
	return all
}

// TestObserve sends frames past an observer and compares what it copies with
// what the same filter matches offline, packet for packet.
func TestObserve(t *testing.T) {
	n := newNetwork(t)
	texts := []string{"", "udp port 53", "vlan", "vlan 42", "vlan 42 and udp", "ip6", "ip[6:2] & 0x1fff != 0", "greater 512", "len == 42",
		"inbound and ip", "outbound and udp"}
	for _, text := range texts {
		for _, hook := range []string{"tcx-in:a", "tcx-out:b"} {
			prog := compileFor(t, text, cbpf.LinkEthernet, true)
			n.observes(t, hook, text, prog, kernel.FilterOptions{Match: -1, NoMatch: -1, Copy: true}, matching(t, prog, hook == "tcx-in:a"))
		}
	}
	// The frames of a virtual device have the tag beside them in XDP, too,
	// where nothing tells of it; in "b" they have never lost it.
	for _, text := range []string{"", "udp port 53 and not vlan", "ip6", "greater 512", "len == 42"} {
		prog := compileFor(t, text, cbpf.LinkEthernet, false)
		n.observes(t, "xdp:a", text, prog, kernel.FilterOptions{Match: 2, NoMatch: 2, Copy: true}, matching(t, prog, false))
	}
}

// observes compares what an observer copies of the frames with what it should.
func (n *network) observes(t *testing.T, hook, text string, prog []bpf.RawInstruction, options kernel.FilterOptions, want [][]byte) {
	t.Helper()
	o := observe(t, hook, prog, cbpf.LinkEthernet, options)
	before := time.Now()
	for _, f := range wholeFrames() {
		if _, err := unix.Write(n.sender, f); err != nil {
			t.Fatal(err)
		}
	}
	got := o.all(t)
	if len(got) != len(want) {
		t.Fatalf("%s %q: %d packets, want %d", hook, text, len(got), len(want))
	}
	for i, p := range got {
		if !bytes.Equal(p.Data, want[i]) || p.WireLen != uint32(len(want[i])) {
			t.Errorf("%s %q: packet %d of %d bytes is\n% x, want\n% x", hook, text, i, p.WireLen, p.Data, want[i])
		}
		if late := p.Timestamp().Sub(before); late < -time.Millisecond || late > 10*time.Second {
			t.Errorf("%s: packet %d comes %v after it was sent", hook, i, late)
		}
	}
	stats, err := o.Stats()
	if err != nil || stats != (kernel.FilterStats{Seen: uint64(len(wholeFrames())), Matched: uint64(len(want))}) {
		t.Errorf("%s %q: %+v %v", hook, text, stats, err)
	}
}

// TestObserveDrops fills the smallest ring buffer: what is copied and what is
// lost are all that matched, and what is copied is cut to the snapshot length.
func TestObserveDrops(t *testing.T) {
	n := newNetwork(t)
	const sent = 1000
	o := observe(t, "tcx-in:a", compileFor(t, "udp", cbpf.LinkEthernet, true), cbpf.LinkEthernet,
		kernel.FilterOptions{Match: -1, NoMatch: -1, Copy: true, SnapLen: 600, RingSize: 256 << 10})
	frame := append(udp(53), make([]byte, 1400)...)
	for range sent {
		if _, err := unix.Write(n.sender, frame); err != nil {
			t.Fatal(err)
		}
	}
	got := o.all(t)
	for _, p := range got {
		if len(p.Data) != 600 || int(p.WireLen) != len(frame) {
			t.Fatalf("a packet of %d/%d bytes", len(p.Data), p.WireLen)
		}
	}
	stats, err := o.Stats()
	if err != nil || stats.Matched != sent || stats.Lost == 0 || stats.Lost+uint64(len(got)) != sent {
		t.Errorf("%d packets, %+v %v", len(got), stats, err)
	}
}

// TestFilterActs drops what matches at each hook of an interface and lets
// through the rest, and the other way round.
func TestFilterActs(t *testing.T) {
	n := newNetwork(t)
	for _, hook := range []string{"xdp:a", "tcx-in:a", "tcx-out:b"} {
		kind := parseHook(t, hook).Kind
		pass, drop := kernel.Untouched(kind), kernel.Dropped(kind)
		for dropped, o := range map[uint16]kernel.FilterOptions{53: {Match: drop, NoMatch: pass}, 80: {Match: pass, NoMatch: drop}} {
			acting := observe(t, hook, compileFor(t, "udp port 53", cbpf.LinkEthernet, kind != kernel.HookXDP), cbpf.LinkEthernet, o)
			// Behind the filter: a packet socket would see what comes before tcx.
			arrives := newCounter(t, "arrives", counting("", -1), object.Program{Type: abi.SchedCLS})
			a := attach(t, arrives.Program, "tcx-in:a", kernel.AttachOptions{})
			for _, port := range []uint16{53, 80, 80, 80} {
				if _, err := unix.Write(n.sender, udp(port)); err != nil && err != unix.ENOBUFS {
					t.Fatal(err)
				}
			}
			arrives.expect(t, map[uint16]uint64{53: 3, 80: 1}[dropped])
			stats, err := acting.Stats()
			if err != nil || stats != (kernel.FilterStats{Seen: 4, Matched: 1}) {
				t.Errorf("%s: %+v %v", hook, stats, err)
			}
			a.Close()
			acting.a.Close()
		}
	}
}

// TestFilterProgramDirection refuses a question that a hook cannot answer.
func TestFilterProgramDirection(t *testing.T) {
	prog := compileFor(t, "outbound", cbpf.LinkRaw, true)
	for kind, refused := range map[kernel.HookKind]bool{kernel.HookCGroup: true, kernel.HookCGroupIn: false, kernel.HookCGroupOut: false} {
		_, err := kernel.NewFilterProgram(kind, prog, kernel.FilterOptions{})
		var e *lift.Error
		if errors.As(err, &e) != refused {
			t.Errorf("%v: %v", kind, err)
		}
	}
	if _, err := kernel.NewFilterProgram(kernel.HookSocket, prog, kernel.FilterOptions{}); err == nil {
		t.Error("a program was built for a socket")
	}
}
