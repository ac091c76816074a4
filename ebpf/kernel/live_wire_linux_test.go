package kernel_test

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// A wire is a veth pair in a network namespace of its own, in which the test
// stays with its thread: what is sent at one end comes in at the other.
type wire struct {
	here, there string // the devices
	index       int    // of here
	fd          int    // a packet socket to send with
}

func newWire(t testing.TB) *wire {
	t.Helper()
	newNamespace(t)
	w := &wire{here: "wire0", there: "wire1"}
	addWire(t, w.here, w.there)
	w.index = linkUp(t, w.here)
	linkUp(t, w.there)
	w.fd = sender(t)
	w.await(t)
	return w
}

// newNamespace moves the test to a network namespace without any traffic.
func newNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		require.Skip(t, "needs network namespaces: %v", err)
	}
	ns, err := netns.New()
	if err != nil {
		old.Close()
		runtime.UnlockOSThread()
		require.Skip(t, "needs to make network namespaces: %v", err)
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
	return ns
}

func addWire(t testing.TB, here, there string) {
	t.Helper()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: here}, PeerName: there}); err != nil {
		require.Skip(t, "needs veth: %v", err)
	}
}

func linkUp(t testing.TB, name string) int {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(l)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

func sender(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// await sends until something arrives: the kernel activates the queues of a new
// interface some time after it is up, and drops frames until then.
func (w *wire) await(t testing.TB) {
	t.Helper()
	c := open(t, w.there, kernel.CaptureOptions{Latency: time.Millisecond})
	defer c.Close()
	defer time.AfterFunc(10*time.Second, c.Stop).Stop()
	arrived := make(chan error)
	go func() {
		_, err := c.Next()
		arrived <- err
	}()
	for {
		w.send(t, make([]byte, 60))
		select {
		case err := <-arrived:
			if err != nil {
				t.Fatal("the wire does not work: ", err)
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// send sends frames, and returns how many. Those that do not fit the device are
// left out.
func (w *wire) send(t testing.TB, frames ...[]byte) (sent int) {
	t.Helper()
	for _, f := range frames {
		err := unix.Sendto(w.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: w.index})
		if len(f) < 14 && errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMSGSIZE) {
			continue
		}
		if err != nil {
			t.Fatalf("sending %x: %v", f, err)
		}
		sent++
	}
	return sent
}

// open opens a capture that is closed with the test.
func open(t testing.TB, device string, o kernel.CaptureOptions) *kernel.Capture {
	t.Helper()
	c, err := kernel.OpenCapture(device, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// drain stops a capture and returns copies of what has come. Nothing may have
// been dropped.
func drain(t testing.TB, c *kernel.Capture) (all []*capture.Packet) {
	t.Helper()
	c.Stop()
	for {
		p, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Clone())
	}
	stats, err := c.Stats()
	if err != nil || stats.Dropped != 0 || stats.Received != uint64(len(all)) {
		t.Fatalf("%d packets were read, the kernel counted %+v, %v", len(all), stats, err)
	}
	return all
}

// frames are Ethernet frames of all kinds: the hand-made ones, the same within
// one and two VLAN tags, and random and spoilt ones. Not those that the kernel
// drops before anybody sees them, which end within a VLAN tag.
func frames() (all [][]byte) {
	for _, s := range packets.Samples(cbpf.LinkEthernet) {
		all = append(all, s.Data)
		if len(s.Data) >= 14 {
			all = append(all, tag(s.Data, 0x8100, 0x2064), tag(tag(s.Data, 0x8100, 200), 0x88a8, 100))
		}
	}
	for _, p := range packets.Generate(cbpf.LinkEthernet, 17, 600) {
		all = append(all, p.Data)
	}
	return slices.DeleteFunc(all, func(f []byte) bool {
		return 14 <= len(f) && len(f) < 20 && (f[12] == 0x81 || f[12] == 0x88) && (f[13] == 0 || f[13] == 0xa8)
	})
}

func tag(frame []byte, tpid, tci uint16) []byte {
	tagged := append([]byte(nil), frame[:12]...)
	tagged = binary.BigEndian.AppendUint16(tagged, tpid)
	tagged = binary.BigEndian.AppendUint16(tagged, tci)
	return append(tagged, frame[12:]...)
}
