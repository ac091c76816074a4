package cbpf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
	"github.com/bpflab/bpflab/testdata/require"
)

// A wire is a veth pair in a network namespace of its own. Frames go in at one
// end; at the other, a filtered packet socket shows what a program returns and
// an unfiltered one what the kernel knows of the frame.
type wire struct {
	in       int // interface index of the sending end
	cpu      uint32
	send     int
	plain    int
	filtered int
	buf, oob []byte
}

const (
	testMark = 0x12345678
	inName   = "cbpf0"
	outName  = "cbpf1"
)

// newWire moves the calling test to a new namespace, with its thread.
func newWire(t *testing.T) *wire {
	t.Helper()
	require.Root(t)
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		require.Skip(t, "needs network namespaces: %v", err)
	}
	ns, err := netns.New()
	if err != nil {
		require.Skip(t, "needs network namespaces: %v", err)
	}
	t.Cleanup(func() {
		if err := netns.Set(old); err == nil {
			runtime.UnlockOSThread() // else the thread ends with the test
		}
		ns.Close()
		old.Close()
	})
	// No neighbour discovery between the test's frames. Without IPv6 in the
	// kernel there is no such file, and no need.
	_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: inName}, PeerName: outName}
	if err := netlink.LinkAdd(veth); err != nil {
		require.Skip(t, "needs veth: %v", err)
	}
	w := &wire{buf: make([]byte, 1<<16), oob: make([]byte, 256)}
	w.pin(t)
	w.in = up(t, inName)
	out := up(t, outName)
	w.send = packetSocket(t, w.in)
	// The last socket opened sees a frame first. So when the plain one has a
	// frame, the filtered one has it too, or has dropped it.
	w.plain = packetSocket(t, out)
	w.filtered = packetSocket(t, out)
	for _, option := range []struct{ fd, level, name, value int }{
		{w.plain, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{w.send, unix.SOL_SOCKET, unix.SO_MARK, testMark},
	} {
		if err := unix.SetsockoptInt(option.fd, option.level, option.name, option.value); err != nil {
			t.Fatal(err)
		}
	}
	w.warmUp(t)
	return w
}

// warmUp sends frames until one arrives: the kernel activates the queues of a
// new interface some time after it is up, and drops frames until then.
func (w *wire) warmUp(t *testing.T) {
	for range 500 {
		w.sendFrame(t, make([]byte, 60))
		if w.arrived(t, 10) {
			break
		}
	}
	for w.arrived(t, 10) {
		for _, fd := range []int{w.plain, w.filtered} {
			if _, err := unix.Read(fd, w.buf); err != nil && !errors.Is(err, unix.EAGAIN) {
				t.Fatal(err)
			}
		}
	}
}

func (w *wire) sendFrame(t *testing.T, frame []byte) {
	if err := unix.Sendto(w.send, frame, 0, &unix.SockaddrLinklayer{Ifindex: w.in}); err != nil {
		t.Fatalf("send %x: %v", frame, err)
	}
}

// arrived waits some milliseconds for a frame at the plain socket.
func (w *wire) arrived(t *testing.T, milliseconds int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.plain), Events: unix.POLLIN}}, milliseconds)
		if err == nil {
			return n == 1
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// pin keeps the thread on one CPU, so that it is known where filters run.
func (w *wire) pin(t *testing.T) {
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		t.Fatal(err)
	}
	for !old.IsSet(int(w.cpu)) {
		w.cpu++
	}
	one.Set(int(w.cpu))
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.SchedSetaffinity(0, &old); err != nil {
			t.Error(err)
		}
	})
}

func up(t *testing.T, name string) int {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	return link.Attrs().Index
}

func packetSocket(t *testing.T, ifIndex int) int {
	protocol := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		require.Skip(t, "needs packet sockets: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: ifIndex}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// transmit sends a frame and returns it as it arrived, without its VLAN tag,
// with what the kernel says of it.
func (w *wire) transmit(t *testing.T, frame []byte) ([]byte, cbpf.Metadata) {
	w.sendFrame(t, frame)
	if !w.arrived(t, 5000) {
		t.Fatalf("frame of %d bytes did not arrive: %x", len(frame), frame)
	}
	n, oobn, _, from, err := unix.Recvmsg(w.plain, w.buf, w.oob, 0)
	if err != nil {
		t.Fatal(err)
	}
	meta := w.metadata(t, from.(*unix.SockaddrLinklayer), w.oob[:oobn])
	return bytes.Clone(w.buf[:n]), meta
}

func (w *wire) metadata(t *testing.T, from *unix.SockaddrLinklayer, oob []byte) cbpf.Metadata {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 || len(messages[0].Data) < 20 {
		t.Fatalf("auxiliary data %v, %v", messages, err)
	}
	// struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid
	aux := messages[0].Data
	status := binary.NativeEndian.Uint32(aux)
	return cbpf.Metadata{
		Protocol:      binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, from.Protocol)),
		PacketType:    from.Pkttype,
		HasDevice:     true,
		IfIndex:       uint32(from.Ifindex),
		HWType:        from.Hatype,
		Mark:          testMark,
		CPU:           w.cpu,
		VLANPresent:   status&unix.TP_STATUS_VLAN_VALID != 0,
		VLANTCI:       binary.NativeEndian.Uint16(aux[16:]),
		VLANProto:     binary.NativeEndian.Uint16(aux[18:]),
		HasLink:       true,
		NetworkOffset: 14,
	}
}

// run attaches a program, if it is given one, sends a frame and returns what
// of it the program kept, with frame and metadata as the program saw them.
func (w *wire) run(t *testing.T, prog []bpf.RawInstruction, frame []byte) (int, []byte, cbpf.Metadata) {
	if prog != nil {
		if err := attachFilter(w.filtered, prog); err != nil {
			t.Fatalf("attach: %v\n%s", err, dump(prog))
		}
	}
	seen, meta := w.transmit(t, frame)
	n, err := unix.Read(w.filtered, w.buf)
	if errors.Is(err, unix.EAGAIN) {
		return -1, seen, meta
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.buf[:n], seen[:n]) {
		t.Fatalf("filtered socket saw %x, plain one %x", w.buf[:n], seen)
	}
	return n, seen, meta
}

// Programs with every extension whose value is known return over packet
// sockets what the machine returns.
func TestExtensionsLikeKernel(t *testing.T) {
	w := newWire(t)
	r := rand.New(rand.NewPCG(2, 3))
	extensions := append([]uint32{cbpf.AdCPU, cbpf.AdPayOffset, cbpf.AdPayOffset, cbpf.AdPayOffset}, withoutDevice...)
	for n := range 400 {
		prog := programs.Random(r, programs.Options{Extensions: extensions, Headers: true})
		m, err := cbpf.New(prog)
		if err != nil {
			t.Fatal(err)
		}
		attach := prog
		for range 10 {
			have, frame, meta := w.run(t, attach, programs.Frame(r))
			attach = nil
			ret, err := m.Run(frame, uint32(len(frame)), &meta)
			if err != nil {
				t.Fatal(err)
			}
			if want := kept(ret, frame); have != want {
				t.Fatalf("program %d: kernel keeps %d bytes, machine %d (returns %d)\n%sframe %x\n%+v", n, have, want, ret, dump(prog), frame, meta)
			}
		}
	}
}

// Each extension by itself, all 32 bits of it.
func TestExtensionValuesLikeKernel(t *testing.T) {
	w := newWire(t)
	frame := make([]byte, 300)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x81\x00\xe1\x23\x08\x00\x45")
	frame[18+9] = 17 // UDP
	for ad, want := range map[uint32]uint32{
		cbpf.AdProtocol:       0x0800,
		cbpf.AdPacketType:     1, // PACKET_BROADCAST
		cbpf.AdHWType:         1, // ARPHRD_ETHER
		cbpf.AdMark:           testMark,
		cbpf.AdQueue:          0,
		cbpf.AdRxHash:         0,
		cbpf.AdCPU:            w.cpu,
		cbpf.AdVLANTag:        0xe123,
		cbpf.AdVLANTagPresent: 1,
		cbpf.AdVLANTPID:       0x8100,
		cbpf.AdPayOffset:      14 + 20 + 8,
	} {
		var have uint32
		for shift := uint32(0); shift < 32; shift += 8 {
			prog := []bpf.RawInstruction{
				{Op: cbpf.ClassLD | cbpf.ModeABS, K: cbpf.AdOff + ad},
				{Op: cbpf.ClassALU | cbpf.RSH, K: shift},
				{Op: cbpf.ClassALU | cbpf.AND, K: 0xff},
				{Op: cbpf.ClassALU | cbpf.ADD, K: 1},
				{Op: cbpf.ClassRET | cbpf.SrcA},
			}
			n, seen, meta := w.run(t, prog, frame)
			m, err := cbpf.New(prog)
			if err != nil {
				t.Fatal(err)
			}
			if ret, _ := m.Run(seen, uint32(len(seen)), &meta); int(ret) != n {
				t.Errorf("extension %d >> %d: machine gives %d, kernel %d", ad, shift, ret, n)
			}
			have |= uint32(n-1) << shift
		}
		if have != want {
			t.Errorf("extension %d is %#x in the kernel, want %#x", ad, have, want)
		}
	}
}

// The payload offset of frames of all kinds, cut anywhere.
func TestPayOffsetLikeKernel(t *testing.T) {
	w := newWire(t)
	r := rand.New(rand.NewPCG(2, 4))
	prog := []bpf.RawInstruction{
		{Op: cbpf.ClassLD | cbpf.ModeABS, K: cbpf.AdOff + cbpf.AdPayOffset},
		{Op: cbpf.ClassALU | cbpf.ADD, K: 1},
		{Op: cbpf.ClassRET | cbpf.SrcA},
	}
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	if err := attachFilter(w.filtered, prog); err != nil {
		t.Fatal(err)
	}
	frames := longStacks()
	for range 20000 {
		frames = append(frames, programs.Frame(r))
	}
	different := map[int]int{}
	for _, frame := range frames {
		have, frame, meta := w.run(t, nil, frame)
		ret, err := m.Run(frame, uint32(len(frame)), &meta)
		if err != nil {
			t.Fatal(err)
		}
		if want := kept(ret, frame); have != want {
			t.Fatalf("kernel says %d, machine %d\nframe %x\n%+v", have-1, ret-1, frame, meta)
		}
		different[have]++
	}
	t.Logf("%d different offsets, 0 in %d frames", len(different), different[1])
	if len(different) < 50 || different[1] > 10000 {
		t.Errorf("dull frames: %v", different)
	}
}

// longStacks has frames with more and more headers, up to and past where the
// kernel gives up.
func longStacks() [][]byte {
	addresses := "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01"
	ipv4 := "\x08\x00" + "\x45\x00\x01\x00\x00\x00\x00\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02"
	ipv6 := "\x86\xdd" + "\x60\x00\x00\x00\x01\x00"
	tail := strings.Repeat("\x11", 400) // UDP, whatever is asked
	var frames [][]byte
	for n := range 20 {
		frames = append(frames,
			[]byte(addresses+strings.Repeat("\x81\x00\x00\x05", n)+ipv4+tail),
			[]byte(addresses+ipv6+"\x3c\x40"+strings.Repeat("\x00", 32)+strings.Repeat("\x3c\x00\x01\x04\x00\x00\x00\x00", n)+tail),
			[]byte(addresses+ipv6+"\x29\x40"+strings.Repeat("\x00", 32)+strings.Repeat(ipv6[2:]+"\x29\x40"+strings.Repeat("\x00", 32), n)+tail))
	}
	return frames
}
