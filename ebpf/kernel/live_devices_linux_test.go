package kernel_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// newTun makes a device of an ARPHRD_ type of its own, into which packets are
// written without a link header.
func newTun(t *testing.T, name string, arphrd int) (fd int) {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		require.Skip(t, "needs tun devices: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		require.Skip(t, "needs tun devices: %v", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETLINK, arphrd); err != nil {
		t.Fatal(err)
	}
	linkUp(t, name)
	return fd
}

func writeAll(t *testing.T, fd int, all []packets.Sample) {
	t.Helper()
	for _, s := range all {
		if _, err := unix.Write(fd, s.Data); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
}

// rawSamples are the packets of link type RAW that fit a device.
func rawSamples() []packets.Sample {
	return slices.DeleteFunc(slices.Clone(packets.Samples(cbpf.LinkRaw)), func(s packets.Sample) bool {
		return len(s.Data) > 1500 || s.Data[0]>>4 != 4 && s.Data[0]>>4 != 6
	})
}

// A tunnel's packets are bare; the filters for it see them so.
func TestCaptureRawDevice(t *testing.T) {
	require.Root(t)
	newNamespace(t)
	fd := newTun(t, "tun0", unix.ARPHRD_NONE)
	everything := open(t, "tun0", kernel.CaptureOptions{})
	web := open(t, "tun0", kernel.CaptureOptions{Filter: compile(t, "tcp port 80 and inbound", "tun0")})
	if everything.LinkType() != cbpf.LinkRaw {
		t.Fatal(everything.LinkType())
	}
	samples := rawSamples()
	writeAll(t, fd, samples)
	var want [][]byte
	for _, s := range samples {
		want = append(want, s.Data)
	}
	all := drain(t, everything)
	if have := bytesOf(all); !slices.EqualFunc(have, want, bytes.Equal) {
		t.Errorf("%d packets, want %d:\n%x\n%x", len(have), len(want), have, want)
	}
	offline, err := filter.Compile("tcp port 80", filter.Options{LinkType: cbpf.LinkRaw})
	if err != nil {
		t.Fatal(err)
	}
	matched := matchOffline(t, offline.Insns, all, kernelView(all, false))
	if d := samePackets(drain(t, web), matched); d != "" || len(matched) == 0 {
		t.Errorf("%d matches, %s", len(matched), d)
	}
}

func bytesOf(all []*capture.Packet) (list [][]byte) {
	for _, p := range all {
		list = append(list, p.Data)
	}
	return list
}

// Packets of a device without a link header that we know get a cooked one, and
// filters for that run in the kernel, which has none.
func TestCaptureCookedDevice(t *testing.T) {
	require.Root(t)
	newNamespace(t)
	fd := newTun(t, "ppp0", unix.ARPHRD_PPP)
	exprs := []string{"", "ip", "tcp port 80", "ip6 and udp", "not ip", "inbound", "outbound", "link[2:2] = 512", "link[14:2] = 0x86dd", "ip[8] = 64", "tcp[tcp[12] >> 2] != 1"}
	var live []*kernel.Capture
	for _, expr := range exprs {
		c := open(t, "ppp0", kernel.CaptureOptions{Filter: compile(t, expr, "ppp0"), RingSize: 4 << 20, Latency: 100 * time.Millisecond})
		live = append(live, c)
	}
	for _, expr := range exprs {
		if expr == "link[2:2] = 512" {
			expr = "" // extended programs cannot ask for the device's type
		}
		c := open(t, "ppp0", kernel.CaptureOptions{Program: lifted(t, compile(t, expr, "ppp0"), cbpf.LinkLinuxSLL), RingSize: 4 << 20, Latency: 100 * time.Millisecond})
		live = append(live, c)
	}
	samples := rawSamples()
	writeAll(t, fd, samples)
	for _, c := range live {
		c.Stop()
	}
	all := drain(t, live[0])
	if len(all) != len(samples) {
		t.Fatalf("%d packets of %d", len(all), len(samples))
	}
	for i, p := range all {
		protocol := map[byte]uint16{4: 0x0800, 6: 0x86dd}[samples[i].Data[0]>>4]
		header := binary.BigEndian.AppendUint16([]byte{0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, protocol)
		if !bytes.Equal(p.Data, append(header, samples[i].Data...)) || p.WireLen != uint32(len(p.Data)) || p.LinkType != cbpf.LinkLinuxSLL {
			t.Errorf("%s: %v", samples[i].Name, p)
		}
	}
	for i, expr := range exprs[1:] {
		offline, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkLinuxSLL})
		if err != nil {
			t.Fatal(err)
		}
		want := matchOffline(t, offline.Insns, all, kernelView(all, false))
		for how, c := range map[string]*kernel.Capture{"classic": live[i+1], "extended": live[len(exprs)+i+1]} {
			// Every packet has that device's type.
			if d := samePackets(drain(t, c), want); d != "" || len(want) == 0 && expr != "outbound" {
				t.Errorf("%s, %s: %d matches, %s", expr, how, len(want), d)
			}
		}
	}
}

// lifted loads the translation of a filter.
func lifted(t *testing.T, prog []bpf.RawInstruction, link cbpf.LinkType) *kernel.Program {
	t.Helper()
	prog, err := kernel.SocketFilter(prog, link)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lift.Lift(prog, lift.Options{Hook: abi.HookSocket, Access: lift.Abs})
	if err != nil {
		t.Fatal(err)
	}
	p, err := kernel.Load("filter", l.Type, l.Insns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// What a filter reads of a cooked header that is made behind it is refused.
func TestCaptureCookedRefused(t *testing.T) {
	require.Root(t)
	newNamespace(t)
	newTun(t, "ppp0", unix.ARPHRD_PPP)
	for _, prog := range [][]bpf.RawInstruction{
		compile(t, "link[6:4] = 1", "ppp0"),
		{{Op: cbpf.ClassLD | cbpf.SizeB | cbpf.ModeABS, K: 15}, {Op: cbpf.ClassRET | cbpf.SrcA}},
		{{Op: cbpf.ClassLDX | cbpf.SizeB | cbpf.ModeMSH, K: 0}, {Op: cbpf.ClassRET | cbpf.SrcA}},
		{{Op: cbpf.ClassLDX, K: 3}, {Op: cbpf.ClassLD | cbpf.SizeB | cbpf.ModeIND, K: 14}, {Op: cbpf.ClassRET | cbpf.SrcA}},
	} {
		_, err := kernel.OpenCapture("ppp0", kernel.CaptureOptions{Filter: prog})
		if err == nil || !strings.Contains(err.Error(), "reads the cooked link header") {
			t.Errorf("%v: %v", prog, err)
		}
	}
}

// All devices at once: each packet says where it came from, and those of the
// loopback device come once.
func TestCaptureAnyDevice(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	linkUp(t, "lo")
	there := linkUp(t, w.there)
	exprs := []string{"", "udp", "ip and inbound", "ifindex 1", "arp or udp port 9"}
	var live []*kernel.Capture
	for _, expr := range exprs {
		o := kernel.CaptureOptions{Filter: compile(t, expr, kernel.AnyDevice), RingSize: 4 << 20, Latency: 100 * time.Millisecond}
		if expr == "" {
			o.Filter = nil
		}
		live = append(live, open(t, kernel.AnyDevice, o))
	}
	for _, expr := range exprs {
		o := kernel.CaptureOptions{Program: lifted(t, compile(t, expr, kernel.AnyDevice), cbpf.LinkLinuxSLL2), RingSize: 4 << 20, Latency: 100 * time.Millisecond}
		live = append(live, open(t, kernel.AnyDevice, o))
	}
	loopback := open(t, "lo", kernel.CaptureOptions{})
	udp, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := udp.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	var frame []byte
	for _, s := range packets.Samples(cbpf.LinkEthernet) {
		if s.Name == "ipv4 udp 53" || frame == nil && bytes.Equal(s.Data[12:14], []byte{8, 0}) {
			frame = s.Data
		}
	}
	w.send(t, frame)
	all := drain(t, live[0])
	seen := map[uint32][]uint8{}
	for _, p := range all {
		if p.LinkType != cbpf.LinkLinuxSLL2 || len(p.Data) < 20 {
			t.Fatalf("%+v", p)
		}
		m := p.Metadata()
		if m.IfIndex != binary.BigEndian.Uint32(p.Data[4:]) || m.PacketType != p.Data[10] {
			t.Errorf("%+v, %x", m, p.Data)
		}
		seen[m.IfIndex] = append(seen[m.IfIndex], m.PacketType)
		if m.IfIndex == uint32(there) && !bytes.Equal(p.Data[20:], frame[14:]) {
			t.Errorf("%x", p.Data)
		}
	}
	if slices.Contains(seen[1], unix.PACKET_OUTGOING) || len(seen[1]) == 0 || len(seen[uint32(there)]) != 1 || len(seen[uint32(w.index)]) != 1 {
		t.Errorf("%v", seen)
	}
	for i, expr := range exprs[1:] {
		offline, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkLinuxSLL2})
		if err != nil {
			t.Fatal(err)
		}
		want := matchOffline(t, offline.Insns, all, kernelView(all, false))
		for how, c := range map[string]*kernel.Capture{"classic": live[i+1], "extended": live[len(exprs)+i+1]} {
			if d := samePackets(drain(t, c), want); d != "" || len(want) == 0 {
				t.Errorf("%s, %s: %d matches, %s", expr, how, len(want), d)
			}
		}
	}
	for _, p := range drain(t, loopback) {
		if m := p.Metadata(); p.LinkType != cbpf.LinkEthernet || m.PacketType == unix.PACKET_OUTGOING {
			t.Errorf("%v %+v", p.LinkType, m)
		}
	}
}
