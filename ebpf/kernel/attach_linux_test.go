package kernel_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/testdata/require"
)

// A network is a network namespace with the pair of interfaces "a" and "b".
type network struct {
	ns     string // a path for AttachOptions.Netns
	sender int    // a packet socket on b
}

// newNetwork makes a network. The test's goroutine stays in it, on a thread of
// its own that has its own mounts, too.
func newNetwork(t *testing.T) *network {
	t.Helper()
	require.Root(t)
	available(t)
	runtime.LockOSThread() // the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		require.Skip(t, "needs namespaces: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	// No neighbour discovery, so that counts are exact.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}); err != nil {
		require.Skip(t, "needs virtual Ethernet devices: %v", err)
	}
	for _, name := range []string{"lo", "a", "b"} {
		if err := netlink.LinkSetUp(device(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	n := &network{ns: fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()), sender: packetSocket(t, "b")}
	t.Cleanup(func() { unix.Close(n.sender) })
	return n
}

func device(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// packetSocket opens a socket on an interface that receives nothing.
func packetSocket(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: device(t, name).Attrs().Index}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// send sends n UDP packets from b to a.
func (n *network) send(t *testing.T, count int) {
	t.Helper()
	for range count {
		if _, err := unix.Write(n.sender, udp(53)); err != nil {
			t.Fatal(err)
		}
	}
}

// udp is a frame with an empty UDP datagram to a port.
func udp(port uint16) []byte {
	f := append(make([]byte, 12), 8, 0)
	copy(f, net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f = append(f, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	f = binary.BigEndian.AppendUint16(f, 4000)
	f = binary.BigEndian.AppendUint16(f, port)
	return append(f, 0, 8, 0, 0)
}

var counterMap = abi.MapSpec{Name: "counts", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1}

// counting is a program that counts its runs in counterMap, except where the
// text before goes to "out", and returns a verdict.
func counting(before string, verdict int) string {
	return before + fmt.Sprintf(`
		*(u32 *)(r10 -4) = 0
		r1 = map[counts]
		r2 = r10
		r2 += -4
		call 1
		if r0 == 0 goto out
		r1 = 1
		lock *(u64 *)(r0 +0) += r1
	out:	r0 = %d
		exit`, verdict)
}

// A counter is a counting program in the kernel.
type counter struct {
	*kernel.Program
	of *kernel.Collection
}

func newCounter(t *testing.T, name, text string, p object.Program) *counter {
	t.Helper()
	l := linked(t, name, text, counterMap)
	p.Name, p.License = name, "GPL"
	l.Programs[0].Program = &p
	c := collection(t, l)
	loaded, _, err := c.Load(&l.Programs[0])
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return &counter{loaded, c}
}

func (c *counter) count(t *testing.T) uint64 {
	t.Helper()
	m, err := c.of.Map("counts")
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Elements()
	if err != nil || len(all) != 1 || len(all[0].Values) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	return binary.NativeEndian.Uint64(all[0].Values[0])
}

// expect waits for a count, which is not to be exceeded.
func (c *counter) expect(t *testing.T, want uint64) {
	t.Helper()
	for range 200 {
		if c.count(t) >= want {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got := c.count(t); got != want {
		t.Errorf("the program ran %d times, want %d", got, want)
	}
}

func parseHook(t *testing.T, text string) kernel.Hook {
	t.Helper()
	h, err := kernel.ParseHook(text)
	if err != nil || h.String() != text {
		t.Fatalf("%v %v", h, err)
	}
	return h
}

func attach(t *testing.T, p *kernel.Program, hook string, o kernel.AttachOptions) *kernel.Attachment {
	t.Helper()
	a, err := p.Attach(parseHook(t, hook), o)
	if errors.Is(err, kernel.ErrNotSupported) {
		require.Skip(t, "needs the hook: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// TestAttachInterfaces attaches to each hook of an interface, with real frames,
// from inside and from outside of the network namespace. Nothing runs after
// Close.
func TestAttachInterfaces(t *testing.T) {
	n := newNetwork(t)
	const pass = 2 // XDP_PASS
	const next = -1
	for _, test := range []struct {
		hook    string
		typ     abi.ProgType
		verdict int
		o       kernel.AttachOptions
		mode    kernel.XDPMode
	}{
		{hook: "socket:a", typ: abi.SocketFilter},
		{hook: "xdp:a", typ: abi.XDP, verdict: pass, mode: kernel.XDPNative},
		{hook: "xdp:a", typ: abi.XDP, verdict: pass, o: kernel.AttachOptions{Mode: kernel.XDPNative}, mode: kernel.XDPNative},
		{hook: "xdp:a", typ: abi.XDP, verdict: pass, o: kernel.AttachOptions{Mode: kernel.XDPGeneric}, mode: kernel.XDPGeneric},
		{hook: "tcx-in:a", typ: abi.SchedCLS, verdict: next},
		{hook: "tcx-out:b", typ: abi.SchedCLS, verdict: next},
	} {
		c := newCounter(t, "counting", counting("", test.verdict), object.Program{Type: test.typ})
		for i, ns := range []string{"", n.ns} {
			test.o.Netns = ns
			a := attach(t, c.Program, test.hook, test.o)
			if a.Mode != test.mode || a.Note != "" {
				t.Errorf("%s: mode %v, %q", test.hook, a.Mode, a.Note)
			}
			n.send(t, 7)
			c.expect(t, uint64(7*(i+1)))
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			n.send(t, 7)
			time.Sleep(20 * time.Millisecond)
			c.expect(t, uint64(7*(i+1)))
		}
	}
}

// TestAttachSockets runs a program on the packets of all interfaces, at both
// ends, and makes one interface promiscuous for as long as it is attached.
func TestAttachSockets(t *testing.T) {
	n := newNetwork(t)
	c := newCounter(t, "counting", counting("", 0), object.Program{Type: abi.SocketFilter})
	a := attach(t, c.Program, "socket:any", kernel.AttachOptions{})
	n.send(t, 7)
	c.expect(t, 14)
	a.Close()
	a = attach(t, c.Program, "socket:a", kernel.AttachOptions{Promiscuous: true})
	if n := promiscuity(t, "a"); n != 1 {
		t.Errorf("the interface is promiscuous %d times", n)
	}
	a.Close()
	if n := promiscuity(t, "a"); n != 0 {
		t.Errorf("behind the attachment the interface is promiscuous %d times", n)
	}
}

// TestAttachGeneric makes the driver refuse: a loopback has no XDP.
func TestAttachGeneric(t *testing.T) {
	newNetwork(t)
	c := newCounter(t, "counting", counting("", 2), object.Program{Type: abi.XDP})
	a := attach(t, c.Program, "xdp:lo", kernel.AttachOptions{})
	if a.Mode != kernel.XDPGeneric || !strings.Contains(a.Note, "generic mode") {
		t.Errorf("mode %v, %q", a.Mode, a.Note)
	}
	a.Close()
	_, err := c.Attach(parseHook(t, "xdp:lo"), kernel.AttachOptions{Mode: kernel.XDPNative})
	if !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "the driver does not run the program") {
		t.Error(err)
	}
}

// TestAttachInUse is refused by an interface that runs a program, whether that
// is attached by a link or by a routing message, until it is to be replaced.
func TestAttachInUse(t *testing.T) {
	n := newNetwork(t)
	first := newCounter(t, "first", counting("", 2), object.Program{Type: abi.XDP})
	second := newCounter(t, "second", counting("", 2), object.Program{Type: abi.XDP})
	hook := parseHook(t, "xdp:a")
	refuses := func(name string) {
		t.Helper()
		_, err := second.Attach(hook, kernel.AttachOptions{})
		var e *kernel.AttachError
		if !errors.As(err, &e) || !errors.Is(err, kernel.ErrInUse) || len(e.Programs) != 1 || e.Programs[0].Name != name ||
			!strings.Contains(err.Error(), "("+name+")") {
			t.Errorf("%v %+v", err, e)
		}
	}
	attach(t, first.Program, "xdp:a", kernel.AttachOptions{})
	refuses("first")
	_, err := second.Attach(hook, kernel.AttachOptions{Mode: kernel.XDPGeneric})
	if !errors.Is(err, kernel.ErrInUse) {
		t.Errorf("generic mode beside native: %v", err)
	}
	a := attach(t, second.Program, "xdp:a", kernel.AttachOptions{Replace: true})
	n.send(t, 3)
	second.expect(t, 3)
	first.expect(t, 0)
	a.Close()

	// As "ip link set dev a xdp" does it.
	p, err := cilium.NewProgram(&cilium.ProgramSpec{
		Name: "by_message", Type: cilium.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, flags := range []int{unix.XDP_FLAGS_SKB_MODE, unix.XDP_FLAGS_DRV_MODE} {
		if err := netlink.LinkSetXdpFdWithFlags(device(t, "a"), p.FD(), flags); err != nil {
			t.Fatal(err)
		}
		refuses("by_message")
		a := attach(t, second.Program, "xdp:a", kernel.AttachOptions{Replace: true})
		a.Close()
	}
	n.send(t, 3)
	second.expect(t, 3)
}

// TestAttachOrder puts programs among others.
func TestAttachOrder(t *testing.T) {
	newNetwork(t)
	add := func(name, order string) error {
		t.Helper()
		o, err := kernel.ParseOrder(order)
		if err != nil {
			t.Fatal(err)
		}
		c := newCounter(t, name, counting("", -1), object.Program{Type: abi.SchedCLS})
		a, err := c.Attach(parseHook(t, "tcx-in:a"), kernel.AttachOptions{Order: o})
		if err == nil {
			t.Cleanup(func() { a.Close() })
		}
		return err
	}
	for _, p := range [][2]string{{"three", "tail"}, {"one", "head"}, {"two", "before:three"}, {"four", "after:three"}, {"five", "tail"}} {
		if err := add(p[0], p[1]); err != nil {
			t.Error(err)
		}
	}
	present, err := link.QueryPrograms(link.QueryOptions{Target: device(t, "a").Attrs().Index, Attach: cilium.AttachTCXIngress})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range present.Programs {
		prog, err := cilium.NewProgramFromID(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		info, err := prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		prog.Close()
		names = append(names, info.Name)
	}
	if want := []string{"one", "two", "three", "four", "five"}; !slices.Equal(names, want) {
		t.Errorf("the order is %q, want %q", names, want)
	}
	err = add("six", "before:nobody")
	if !errors.Is(err, kernel.ErrNoTarget) || !strings.Contains(err.Error(), "(three)") {
		t.Error(err)
	}
}

// controlGroup makes a control group for the test.
func controlGroup(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := unix.Mount("none", root, "cgroup2", 0, ""); err != nil {
		require.Skip(t, "needs control groups of version 2: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(root, 0) })
	dir := filepath.Join(root, "bpflab-"+fmt.Sprint(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	return dir
}

// TestAttachCGroup sends from a control group to its own socket address: each
// datagram goes out of the group and, as nobody listens, none comes in but the
// error; a program for one way sees that way only.
func TestAttachCGroup(t *testing.T) {
	newNetwork(t)
	bash := require.Command(t, "bash")
	dir := controlGroup(t)
	group, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	send := func() error {
		c := exec.Command(bash, "-c", "echo hello > /dev/udp/127.0.0.1/9")
		c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
		return c.Run()
	}
	// The datagram has 20+8+6 bytes; what comes back to the group is longer.
	const datagrams = `
		r6 = *(u32 *)(r1 +0)
		if r6 != 34 goto out`
	for hook, want := range map[string]uint64{"cgroup": 1, "cgroup-out": 1, "cgroup-in": 0} {
		c := newCounter(t, "counting", counting(datagrams, 1), object.Program{Type: abi.CGroupSKB})
		a := attach(t, c.Program, hook+":"+dir, kernel.AttachOptions{})
		if err := send(); err != nil {
			t.Fatal(err)
		}
		c.expect(t, want)
		a.Close()
		if err := send(); err != nil {
			t.Fatal(err)
		}
		c.expect(t, want)
	}
	drop := newCounter(t, "drop", counting(datagrams, 0), object.Program{Type: abi.CGroupSKB})
	a := attach(t, drop.Program, "cgroup-out:"+dir, kernel.AttachOptions{})
	if err := send(); err == nil {
		t.Error("a datagram was sent that the program drops")
	}
	a.Close()
	for path, want := range map[string]error{dir + "/none": kernel.ErrNoTarget, t.TempDir(): kernel.ErrNotSupported} {
		if _, err := drop.Attach(kernel.Hook{Kind: kernel.HookCGroup, Where: path}, kernel.AttachOptions{}); !errors.Is(err, want) {
			t.Error(err)
		}
	}
	excluding(t, dir, drop)
}

// excluding attaches in the way that tolerates no other.
func excluding(t *testing.T, dir string, second *counter) {
	p, err := cilium.NewProgram(&cilium.ProgramSpec{
		Name: "alone", Type: cilium.CGroupSKB, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	group, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	o := link.RawAttachProgramOptions{Target: int(group.Fd()), Program: p, Attach: cilium.AttachCGroupInetIngress}
	if err := link.RawAttachProgram(o); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(dir, "below") // where there is no program
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(below)
	t.Chdir(below)
	for _, where := range []string{dir, below, "."} {
		_, err = second.Attach(kernel.Hook{Kind: kernel.HookCGroupIn, Where: where}, kernel.AttachOptions{})
		if !errors.Is(err, kernel.ErrInUse) || !strings.Contains(err.Error(), "(alone)") {
			t.Errorf("%s: %v", where, err)
		}
	}
	t.Chdir("/") // the group is to be removed
	err = link.RawDetachProgram(link.RawDetachProgramOptions{Target: int(group.Fd()), Program: p, Attach: cilium.AttachCGroupInetIngress})
	if err != nil {
		t.Error(err)
	}
}
