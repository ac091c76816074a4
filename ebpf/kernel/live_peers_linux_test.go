package kernel_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// A tcpdump captures on a wire into a file.
type tcpdump struct {
	cmd  *exec.Cmd
	file string
	done chan string // what it said, when it has ended
}

// startTcpdump returns when tcpdump captures. It runs in the namespace of the
// thread.
func startTcpdump(t *testing.T, path, device, expr string) *tcpdump {
	t.Helper()
	d := &tcpdump{file: filepath.Join(t.TempDir(), "capture.pcap"), done: make(chan string, 1)}
	d.cmd = exec.Command(path, "-i", device, "-n", "-s", "200", "-B", "16384", "--immediate-mode", "-Z", "root", "-w", d.file, expr)
	out, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() }) // it may have ended
	listening := make(chan bool, 1)
	go func() {
		said := ""
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if said += lines.Text() + "\n"; strings.Contains(lines.Text(), "listening on") {
				listening <- true
			}
		}
		close(listening)
		d.done <- said
	}()
	if !<-listening {
		t.Fatalf("tcpdump %q: %s", expr, <-d.done)
	}
	return d
}

// finish stops tcpdump and returns what it has captured.
func (d *tcpdump) finish(t *testing.T) (all []*capture.Packet) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	said := <-d.done
	if err := d.cmd.Wait(); err != nil || !strings.Contains(said, "\n0 packets dropped by kernel") {
		t.Fatalf("tcpdump: %v\n%s", err, said)
	}
	f, err := os.Open(d.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for p, err := r.Next(); err == nil; p, err = r.Next() {
		all = append(all, p.Clone())
	}
	return all
}

// The packets are those of tcpdump, byte for byte, with tags and lengths, when
// both cut them at 200 bytes. (Not with "inbound": libpcap runs the filter again
// on the first packet, by itself, and does not know the direction then.)
func TestCaptureLikeTcpdump(t *testing.T) {
	require.Root(t)
	path := require.Command(t, "tcpdump")
	w := newWire(t)
	for _, expr := range []string{"", "vlan", "vlan 100 and ip", "not vlan", "tcp", "ip[6:2] & 0x3fff != 0", "ip6 and greater 200"} {
		peer := startTcpdump(t, path, w.there, expr)
		c := open(t, w.there, kernel.CaptureOptions{Filter: compile(t, expr, w.there), SnapLen: 200, Latency: 100 * time.Millisecond})
		sent := w.send(t, frames()...)
		have := drain(t, c)
		time.Sleep(50 * time.Millisecond) // tcpdump sees them no later
		want := peer.finish(t)
		for i := range have {
			have[i].SetDevice(0, 0)
		}
		for i := range want {
			want[i].SetDevice(0, 0)
		}
		if d := samePackets(have, want); d != "" || len(want) == 0 {
			t.Errorf("%q: ours and tcpdump's of %d: %s", expr, sent, d)
		}
		t.Logf("%q: %d of %d", expr, len(have), sent)
	}
}

// inUserNamespace runs the test again as a user without privilege, in a user and
// a network namespace of its own, and reports whether this is that run.
func inUserNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("BPFLAB_USERNS") != "" {
		return true
	}
	id := os.Getuid()
	if id == 0 {
		id = 65534
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "BPFLAB_USERNS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}},
		Credential:  &syscall.Credential{NoSetGroups: true},
	}
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		require.Skip(t, "needs user namespaces: %v", err)
	}
	if strings.Contains(string(out), "--- SKIP") {
		require.Skip(t, "in a user namespace:\n%s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("in a user namespace: %v\n%s", err, out)
	}
	return false
}

// A user without privilege captures in a network namespace of his own.
func TestCaptureInUserNamespace(t *testing.T) {
	if !inUserNamespace(t) {
		return
	}
	addWire(t, "wire0", "wire1")
	w := &wire{here: "wire0", there: "wire1", index: linkUp(t, "wire0"), fd: sender(t)}
	linkUp(t, w.there)
	w.await(t)
	everything := open(t, w.there, kernel.CaptureOptions{})
	c := open(t, w.there, kernel.CaptureOptions{Filter: compile(t, "vlan 100", w.there), Promiscuous: true})
	w.send(t, frames()...)
	offline, err := filter.Compile("vlan 100", filter.Options{LinkType: cbpf.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	all := drain(t, everything)
	want := matchOffline(t, offline.Insns, all, kernelView(all, false))
	if d := samePackets(drain(t, c), want); d != "" || len(want) == 0 {
		t.Errorf("of %d packets %d match, %s", len(all), len(want), d)
	}
}

// Without privilege the error says what to do.
func TestCaptureNotPermitted(t *testing.T) {
	if !inUserNamespace(t) {
		return
	}
	runtime.LockOSThread() // capabilities are those of a thread; it ends with the test
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
	_, err := kernel.OpenCapture("lo", kernel.CaptureOptions{})
	var refusal *kernel.DeviceError
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &refusal) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Error(err)
	}
	if link, err := kernel.DeviceLinkType("lo", ""); err != nil || link != 1 {
		t.Errorf("the link type is no secret: %v, %v", link, err)
	}
}
