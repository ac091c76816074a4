package kernel_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// keep is a filter that keeps n bytes of every packet.
func keep(n uint32) []bpf.RawInstruction { return []bpf.RawInstruction{{Op: 6, K: n}} }

// All frames come as they were sent, with their tags, and with what the kernel
// knows of them; at the sending end as outgoing.
func TestCaptureFrames(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	slow := kernel.CaptureOptions{Latency: 100 * time.Millisecond} // the test may be
	in, out := open(t, w.there, slow), open(t, w.here, slow)
	var want [][]byte
	for _, f := range frames() {
		if w.send(t, f) == 1 {
			want = append(want, f)
		}
	}
	for c, pktType := range map[*kernel.Capture]uint8{in: unix.PACKET_OTHERHOST, out: unix.PACKET_OUTGOING} {
		have := drain(t, c)
		if len(have) != len(want) {
			t.Fatalf("%d packets of %d", len(have), len(want))
		}
		stored := store(t, have)
		for i, p := range have {
			m := p.Metadata()
			if !bytes.Equal(p.Data, want[i]) || p.WireLen != uint32(len(want[i])) || p.LinkType != cbpf.LinkEthernet {
				t.Errorf("sent %x\ncame %x, length %d", want[i], p.Data, p.WireLen)
			}
			if !m.HasDevice || m.IfIndex == 0 || pktType == unix.PACKET_OUTGOING && m.PacketType != pktType ||
				pktType != unix.PACKET_OUTGOING && m.PacketType == unix.PACKET_OUTGOING || (m.IngressIfIndex == 0) != (m.PacketType == unix.PACKET_OUTGOING) {
				t.Errorf("%x: %+v", p.Data, m)
			}
			if q := stored[i]; !bytes.Equal(q.Data, p.Data) || q.WireLen != p.WireLen || q.Time != p.Time || q.Metadata().PacketType != m.PacketType {
				t.Errorf("%v\nin pcapng %v", p, q)
			}
			if i > 0 && p.Time < have[i-1].Time || time.Since(p.Timestamp()).Abs() > time.Minute {
				t.Errorf("packet %d at %v, the one before at %v", i, p.Timestamp(), have[i-1].Timestamp())
			}
		}
	}
}

// store writes packets to a pcapng file and reads them back.
func store(t *testing.T, all []*capture.Packet) (stored []*capture.Packet) {
	t.Helper()
	var file bytes.Buffer
	w := capture.NewWriter(&file, capture.WriterOptions{Format: capture.PcapNG, LinkType: cbpf.LinkEthernet, Nanoseconds: true})
	for _, p := range all {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := capture.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	for range all {
		p, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, p.Clone())
	}
	return stored
}

// A capture is a source for replay: its packets go through an engine in batches,
// where they lie. Reading them allocates nothing.
func TestCaptureReplay(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	c := open(t, w.there, kernel.CaptureOptions{Latency: 50 * time.Millisecond})
	var want [][]byte
	for i := range 2000 {
		want = append(want, binary.BigEndian.AppendUint32(bytes.Repeat([]byte{2}, 60), uint32(i)))
	}
	w.send(t, want...)
	last, err := vm.NewClassic([]bpf.RawInstruction{{Op: cbpf.ClassLD | cbpf.SizeW | cbpf.ModeABS, K: 60}, {Op: cbpf.ClassRET | cbpf.SrcA}}, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	seen := 0
	err = replay.Run(replay.First(c, 1000), replay.Always(last), func(n int, p *capture.Packet, r []engine.Result) error {
		if !bytes.Equal(p.Data, want[n-1]) || r[0].Return != uint32(n-1) {
			t.Errorf("packet %d: %x, %d", n, p.Data, r[0].Return)
		}
		seen++
		return nil
	})
	if err != nil || seen != 1000 {
		t.Fatal(seen, err)
	}
	if !c.Buffered() {
		t.Error("the others have come, too")
	}
	if n := testing.AllocsPerRun(500, func() { _, err = c.Next() }); n != 0 || err != nil {
		t.Errorf("%v allocations a packet, %v", n, err)
	}
}

// Packets are cut by the filter's return value in the kernel, and with a tag or
// a cooked header before them by SnapLen.
func TestCaptureSnapLen(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	plain, tagged := make([]byte, 100), tag(make([]byte, 100), 0x8100, 7)
	for _, c := range []struct {
		o             kernel.CaptureOptions
		plain, tagged int
	}{
		{kernel.CaptureOptions{}, 100, 104},
		{kernel.CaptureOptions{SnapLen: 60}, 60, 60},
		{kernel.CaptureOptions{SnapLen: 1 << 40}, 100, 104},
		{kernel.CaptureOptions{Filter: keep(60)}, 60, 64},
		{kernel.CaptureOptions{Filter: keep(60), SnapLen: 62}, 60, 62},
		{kernel.CaptureOptions{Filter: keep(60), SnapLen: 10}, 10, 10},
		{kernel.CaptureOptions{Filter: keep(12)}, 12, 16},
		{kernel.CaptureOptions{Filter: keep(11)}, 11, 11}, // no room for the tag
		{kernel.CaptureOptions{Filter: keep(0xffffffff)}, 100, 104},
	} {
		live := open(t, w.there, c.o)
		w.send(t, plain, tagged)
		have := drain(t, live)
		if len(have) != 2 || !bytes.Equal(have[0].Data, plain[:c.plain]) || !bytes.Equal(have[1].Data, tagged[:c.tagged]) {
			t.Fatalf("%+v: %v", c.o, have)
		}
		wire := uint32(104)
		if c.tagged == 11 {
			wire = 100
		}
		if have[0].WireLen != 100 || have[1].WireLen != wire {
			t.Errorf("%+v: lengths on the wire %d, %d", c.o, have[0].WireLen, have[1].WireLen)
		}
	}
}

// An eBPF socket filter sees what a classic one does, and may be closed once it
// is attached.
func TestCaptureExtendedFilter(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	p, err := kernel.Load("tagged", abi.SocketFilter, assemble(t, `
		r0 = *(u32 *)(r1 +20)       ; vlan_present
		if r0 == 0 goto out
		r0 = 50
	out:	exit`))
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, w.there, kernel.CaptureOptions{Program: p})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	frame := tag(make([]byte, 100), 0x8100, 7)
	w.send(t, make([]byte, 100), frame, make([]byte, 100))
	if have := drain(t, c); len(have) != 1 || !bytes.Equal(have[0].Data, frame[:54]) {
		t.Errorf("%v", have)
	}
	xdp := load(t, abi.XDP, "r0 = 2\nexit")
	if _, err := kernel.OpenCapture(w.there, kernel.CaptureOptions{Program: xdp}); err == nil || !strings.Contains(err.Error(), "it is of type xdp, which does not go to sockets") {
		t.Error(err)
	}
	both := kernel.CaptureOptions{Program: p, Filter: keep(1)}
	if _, err := kernel.OpenCapture(w.there, both); err == nil {
		t.Error("two filters on one socket")
	}
}

// Nothing that the filter does not match is seen, however early it comes.
func TestCaptureBeginsFiltered(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	wanted := append(make([]byte, 12), 0x88, 0xb5)
	wanted = append(wanted, make([]byte, 50)...)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				for _, f := range [][]byte{make([]byte, 64), wanted} {
					if err := unix.Sendto(w.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: w.index}); err != nil {
						t.Error(err)
						return
					}
				}
			}
		}
	}()
	p := compile(t, "ether proto 0x88b5", w.there)
	for range 50 {
		c := open(t, w.there, kernel.CaptureOptions{Filter: p, RingSize: 1, Latency: time.Millisecond})
		for range 20 {
			p, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.Data, wanted) {
				t.Fatalf("%x", p.Data)
			}
		}
		c.Close()
	}
	close(stop)
	<-stopped
}

// What comes when the packets have ended is no part of what was captured.
func TestCaptureEndCounts(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	c := open(t, w.there, kernel.CaptureOptions{Latency: time.Millisecond})
	w.send(t, make([]byte, 60), make([]byte, 60))
	read := len(drain(t, c))
	w.send(t, make([]byte, 60))
	for range 2 { // also after Close
		if stats, err := c.Stats(); err != nil || stats.Received != uint64(read) || read < 2 {
			t.Errorf("%d packets were read, counted %+v, %v", read, stats, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Who gets hold of a capture's socket cannot take its filter off, of either kind.
func TestCaptureLocked(t *testing.T) {
	require.Root(t)
	available(t)
	w := newWire(t)
	extended := load(t, abi.SocketFilter, "r0 = 0\nexit")
	for _, o := range []kernel.CaptureOptions{{Filter: keep(1)}, {Program: extended}} {
		c := open(t, w.there, o)
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		sockets := 0
		for _, entry := range open {
			fd, err := strconv.Atoi(entry.Name())
			if err != nil || fd == w.fd {
				continue
			}
			if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain != unix.AF_PACKET {
				continue
			}
			sockets++
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != unix.EPERM {
				t.Errorf("taking the filter off: %v", err)
			}
		}
		if sockets != 1 {
			t.Errorf("%d sockets", sockets)
		}
		c.Close()
	}
}

func compile(t testing.TB, expr, device string) []bpf.RawInstruction {
	t.Helper()
	link, err := kernel.DeviceLinkType(device, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := filter.Compile(expr, filter.Options{LinkType: link, Live: true})
	if err != nil {
		t.Fatal(err)
	}
	return p.Insns
}

// One packet is delivered without others having to follow.
func TestCaptureFirstPacket(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	c := open(t, w.there, kernel.CaptureOptions{Latency: time.Millisecond})
	defer time.AfterFunc(10*time.Second, c.Stop).Stop()
	for i := range 20 {
		frame := bytes.Repeat([]byte{byte(2 * i)}, 60)
		sent := time.Now()
		w.send(t, frame)
		p, err := c.Next()
		if err != nil || !bytes.Equal(p.Data, frame) {
			t.Fatalf("%v, %v", p, err)
		}
		if c.Buffered() {
			t.Error("there is only one packet")
		}
		t.Log(time.Since(sent))
	}
}

// Stop and Close release a Next that waits, and one that comes later.
func TestCaptureStopAndClose(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	for _, packets := range []int{0, 1, 1000} {
		for name, end := range map[string]func(*kernel.Capture){
			"stop":  (*kernel.Capture).Stop,
			"close": func(c *kernel.Capture) { c.Close() },
			"context": func(c *kernel.Capture) {
				ctx, cancel := context.WithCancel(t.Context())
				context.AfterFunc(ctx, c.Stop)
				cancel()
			},
		} {
			c := open(t, w.there, kernel.CaptureOptions{})
			for range packets {
				w.send(t, make([]byte, 60))
			}
			type result struct {
				n   int
				err error
			}
			done := make(chan result)
			go func() {
				for n := 0; ; n++ {
					if _, err := c.Next(); err != nil {
						done <- result{n, err}
						return
					}
				}
			}()
			if packets != 1000 {
				time.Sleep(50 * time.Millisecond)
			}
			end(c)
			select {
			case r := <-done:
				want := io.EOF
				if name == "close" {
					want = os.ErrClosed
				}
				if !errors.Is(r.err, want) || name != "close" && r.n != packets {
					t.Errorf("%s: %d of %d packets, %v", name, r.n, packets, r.err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal(name, ": Next waits")
			}
			if _, err := c.Next(); err == nil {
				t.Error(name, ": one more packet")
			}
			before, err := c.Stats()
			after := before
			c.Close()
			if err == nil {
				after, err = c.Stats()
			}
			if err != nil || before != after || before.Received != uint64(packets) {
				t.Errorf("%s: counters %+v, after closing %+v, %v", name, before, after, err)
			}
		}
	}
}

// A capture that has nothing to deliver ends at once, however long the kernel may
// keep packets.
func TestCaptureStopIdle(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	c := open(t, w.there, kernel.CaptureOptions{Latency: time.Hour})
	time.AfterFunc(20*time.Millisecond, c.Stop)
	late := time.AfterFunc(20*time.Second, func() { c.Close() })
	defer late.Stop()
	if _, err := c.Next(); err != io.EOF {
		t.Error(err)
	}
}

// The bytes of the last packet do not crash their reader after Close.
func TestCaptureBytesAfterClose(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	c := open(t, w.there, kernel.CaptureOptions{})
	w.send(t, bytes.Repeat([]byte{0x42}, 60), make([]byte, 60))
	p, err := c.Next()
	if err != nil || p.Data[30] != 0x42 {
		t.Fatal(p, err)
	}
	c.Close()
	if !bytes.Equal(p.Data, make([]byte, 60)) {
		t.Errorf("%x", p.Data)
	}
	runtime.KeepAlive(c)
}

func TestCaptureRefusals(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	if _, err := kernel.DeviceLinkType("nosuch0", ""); !errors.Is(err, unix.ENODEV) {
		t.Error(err)
	}
	linkDown(t, w.there)
	tooLong := make([]bpf.RawInstruction, 4097)
	for i := range tooLong {
		tooLong[i].Op = 6
	}
	heavy := make([]bpf.RawInstruction, 4096)
	for i := range heavy {
		heavy[i] = bpf.RawInstruction{Op: cbpf.ClassLD | cbpf.SizeB | cbpf.ModeABS}
	}
	heavy[4095] = bpf.RawInstruction{Op: 6}
	before := descriptors(t)
	for _, c := range []struct {
		device string
		o      kernel.CaptureOptions
		is     error
		says   string
	}{
		{"nosuch0", kernel.CaptureOptions{}, unix.ENODEV, "nosuch0: looking for the interface: no such device"},
		{"a name longer than any interface's", kernel.CaptureOptions{}, unix.ENODEV, "no such device"},
		{"", kernel.CaptureOptions{}, unix.ENODEV, "no such device"},
		{w.there, kernel.CaptureOptions{}, unix.ENETDOWN, "wire1: binding the socket: network is down; ip link set dev wire1 up"},
		{w.here, kernel.CaptureOptions{Netns: "/proc/self/ns/nosuch"}, fs.ErrNotExist, "nosuch"},
		{w.here, kernel.CaptureOptions{Netns: "/proc/self/ns/mnt"}, unix.EINVAL, "/proc/self/ns/mnt"},
		{w.here, kernel.CaptureOptions{Filter: tooLong}, nil, "a program has 1 to 4096 instructions"},
		{w.here, kernel.CaptureOptions{Filter: []bpf.RawInstruction{{Op: 0xff}}}, nil, "instruction 0"},
		{w.here, kernel.CaptureOptions{Filter: heavy}, unix.ENOMEM, "sysctl net.core.optmem_max"},
		{w.here, kernel.CaptureOptions{RingSize: 1 << 50}, unix.EINVAL, "making the packet ring"},
	} {
		_, err := kernel.OpenCapture(c.device, c.o)
		var refusal *kernel.DeviceError
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) ||
			c.o.Netns == "" && !errors.As(err, &refusal) {
			t.Errorf("%q: %v", c.device, err)
		}
	}
	if after := descriptors(t); !slices.Equal(before, after) {
		t.Errorf("descriptors before %v, after %v", before, after)
	}
}

func linkDown(t *testing.T, name string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetDown(l)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Opening and closing leaves neither descriptors nor sockets behind.
func TestCaptureLeaksNothing(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	before := descriptors(t)
	for i := range 20 {
		c, err := kernel.OpenCapture(w.there, kernel.CaptureOptions{Promiscuous: true, RingSize: 1, SnapLen: i})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(t); !slices.Equal(before, after) {
		t.Errorf("descriptors before %v, after %v", before, after)
	}
	if n, table := packetSockets(t); n != 1 { // the sender
		t.Errorf("%d packet sockets live on\n%s", n, table)
	}
}

// The device may go down and come up again, but not go away.
func TestCaptureDeviceGone(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	c := open(t, w.there, kernel.CaptureOptions{})
	defer time.AfterFunc(20*time.Second, c.Stop).Stop()
	failed := make(chan error)
	next := func() {
		_, err := c.Next()
		failed <- err
	}
	go next()
	time.Sleep(20 * time.Millisecond)
	linkDown(t, w.there)
	time.Sleep(20 * time.Millisecond)
	linkUp(t, w.there)
	w.await(t)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := c.Next(); err != nil {
				failed <- err
				return
			}
		}
	}()
	l, err := netlink.LinkByName(w.here)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = <-failed
	var gone *kernel.DeviceError
	if !errors.As(err, &gone) || !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "has been removed") {
		t.Error(err)
	}
}

// A capture in another namespace, from a thread that is not in it.
func TestCaptureNetns(t *testing.T) {
	require.Root(t)
	home, err := netns.Get()
	if err != nil {
		require.Skip(t, "needs network namespaces: %v", err)
	}
	defer home.Close()
	w := newWire(t)
	path := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	opened := make(chan *kernel.Capture)
	go func() { // on a thread of its own, in the namespace that the test began in
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(opened)
		if err := netns.Set(home); err != nil {
			t.Error(err)
			return
		}
		if _, err := kernel.OpenCapture(w.there, kernel.CaptureOptions{}); !errors.Is(err, unix.ENODEV) {
			t.Errorf("the device of another namespace: %v", err)
		}
		if link, err := kernel.DeviceLinkType(w.there, path); err != nil || link != cbpf.LinkEthernet {
			t.Error(link, err)
		}
		c, err := kernel.OpenCapture(w.there, kernel.CaptureOptions{Netns: path})
		if err != nil {
			t.Error(err)
			return
		}
		opened <- c
	}()
	c := <-opened
	if c == nil {
		t.FailNow()
	}
	defer c.Close()
	w.send(t, make([]byte, 60))
	if have := drain(t, c); len(have) != 1 {
		t.Error(have)
	}
}

// captureAndWait is the process that a test kills.
func captureAndWait(device string) {
	_, err := kernel.OpenCapture(device, kernel.CaptureOptions{Promiscuous: true})
	fmt.Println("open:", err)
	select {}
}

// Nothing of a capture outlives its process, even one that is killed.
func TestCaptureKilled(t *testing.T) {
	if device := os.Getenv("BPFLAB_CAPTURE"); device != "" {
		captureAndWait(device)
	}
	require.Root(t)
	w := newWire(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCaptureKilled$")
	cmd.Env = append(os.Environ(), "BPFLAB_CAPTURE="+w.there)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "open: <nil>\n" || promiscuity(t, w.there) != 1 {
		t.Errorf("%q", line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if n := promiscuity(t, w.there); n != 0 {
		t.Errorf("the device is promiscuous, %d times", n)
	}
	if n, table := packetSockets(t); n != 1 { // the sender
		t.Errorf("%d packet sockets\n%s", n, table)
	}
}

func promiscuity(t *testing.T, device string) int {
	t.Helper()
	l, err := netlink.LinkByName(device)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Promisc
}

// packetSockets counts those of the namespace.
func packetSockets(t *testing.T) (int, string) {
	t.Helper()
	table, err := os.ReadFile("/proc/thread-self/net/packet")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(table), "\n") - 1, string(table)
}

// A promiscuous capture leaves the device as it was.
func TestCapturePromiscuous(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	for range 2 {
		c := open(t, w.there, kernel.CaptureOptions{Promiscuous: true})
		if n := promiscuity(t, w.there); n != 1 {
			t.Errorf("the device is promiscuous %d times", n)
		}
		c.Close()
		if n := promiscuity(t, w.there); n != 0 {
			t.Errorf("after closing the device is promiscuous %d times", n)
		}
	}
}
