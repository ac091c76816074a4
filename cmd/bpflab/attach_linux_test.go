package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// A lab is a network namespace with the pair of interfaces "a" and "b".
type lab struct {
	ns     string // its path
	sender int    // a packet socket on b
}

// newLab makes a lab. The test's goroutine stays in it, on a thread that ends
// with the test; the command goes there by --netns.
func newLab(t *testing.T) *lab {
	t.Helper()
	require.Root(t)
	askable(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		require.Skip(t, "needs a network namespace: %v", err)
	}
	// No neighbour discovery, so that counts are exact.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}); err != nil {
		require.Skip(t, "needs virtual Ethernet devices: %v", err)
	}
	var index int
	for _, name := range []string{"lo", "a", "b"} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		index = l.Attrs().Index
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		t.Fatal(err)
	}
	return &lab{fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()), fd}
}

// send sends frames from b to a.
func (l *lab) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		if _, err := unix.Write(l.sender, f); err != nil && err != unix.ENOBUFS { // dropped on the way out
			t.Fatal(err)
		}
	}
}

// datagram is a frame with a UDP datagram to a port, of n bytes in all.
func datagram(port uint16, n int) []byte {
	f := append(bytes.Repeat([]byte{0xff}, 6), 2, 0, 0, 0, 0, 1, 8, 0)
	f = append(f, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	f = binary.BigEndian.AppendUint16(f, 4000)
	f = binary.BigEndian.AppendUint16(f, port)
	f = append(f, 0, 8, 0, 0)
	f = append(f, make([]byte, n-len(f))...)
	binary.BigEndian.PutUint16(f[16:], uint16(n-14))
	binary.BigEndian.PutUint16(f[38:], uint16(n-34))
	return f
}

// A running command.
type running struct {
	mu     sync.Mutex
	errOut bytes.Buffer
	out    bytes.Buffer
	status chan int
}

// words takes what a command says.
type words struct{ *running }

func (w words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.errOut.Write(p)
}

func (r *running) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errOut.String()
}

// startAttach runs the command in the background, until it has attached as many
// programs as it is to.
func startAttach(t *testing.T, programs int, args ...string) *running {
	t.Helper()
	r := &running{status: make(chan int, 1)}
	a := newApp(strings.NewReader(""), &r.out, words{r})
	go func() { r.status <- a.run(append([]string{"attach"}, args...)) }()
	for range 1000 {
		if strings.Count(r.said(), "attached to ") == programs {
			return r
		}
		if len(r.status) > 0 {
			if <-r.status == exitUnsupported {
				require.Skip(t, "needs the hook: %s", r.said())
			}
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("bpflab attach %q does not attach:\n%s", args, r.said())
	return nil
}

// end waits for the command and returns what it printed.
func (r *running) end(t *testing.T) string {
	t.Helper()
	select {
	case status := <-r.status:
		if status != exitDone {
			t.Errorf("status %d\n%s", status, r.said())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("does not end:\n%s", r.said())
	}
	return r.out.String()
}

// stop ends all commands that run, as ^C does.
func (r *running) stop(t *testing.T) string {
	t.Helper()
	arrived := make(chan os.Signal, 1) // else the test would end if no command did
	signal.Notify(arrived, unix.SIGTERM)
	defer signal.Stop(arrived)
	if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return r.end(t)
}

// attachFails runs the command, which is to fail.
func attachFails(t *testing.T, status int, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if got := newApp(strings.NewReader(""), &out, &errOut).run(append([]string{"attach"}, args...)); got != status {
		t.Errorf("%q: status %d, want %d", args, got, status)
	}
	return errOut.String()
}

func readCaptureFile(t *testing.T, name string) (all [][]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(p.Data))
	}
}

// TestAttachFilterHooks writes what a filter matches at each hook of an
// interface, and prints it in both ways.
func TestAttachFilterHooks(t *testing.T) {
	l := newLab(t)
	frames := [][]byte{datagram(53, 60), datagram(80, 60), datagram(53, 1514), datagram(53, 61)}
	want := [][]byte{frames[0], frames[2], frames[3]}
	for i, at := range [][]string{
		{"--to", "socket:a"}, {"--to", "socket:a", "--ebpf"}, {"--to", "xdp:a"}, {"--to", "xdp:a", "--mode", "generic"},
		{"--to", "tcx-in:a", "--order", "head"}, {"--to", "tcx-out:b"},
	} {
		file := filepath.Join(t.TempDir(), []string{"out.pcap", "out.pcapng"}[i%2])
		args := append([]string{"--netns", l.ns, "-c", "3"}, at...)
		r := startAttach(t, 1, append(args, "-w", file, "udp port 53")...)
		l.send(t, frames...)
		r.end(t)
		if got := readCaptureFile(t, file); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%v: %x", at, got)
		}
		r = startAttach(t, 1, append(args, "udp", "port", "53")...)
		l.send(t, frames...)
		if out := r.end(t); strings.Count(out, "\n") != 3 || strings.Count(out, "10.0.0.1 > 10.0.0.2 UDP 4000 > 53 ") != 3 {
			t.Errorf("%v: prints\n%s", at, out)
		}
		r = startAttach(t, 1, append(args, "--json", "-s", "42", "udp port 53")...)
		l.send(t, frames...)
		var p packetJSON
		if err := json.Unmarshal([]byte(strings.SplitN(r.end(t), "\n", 2)[0]), &p); err != nil || p.CapLen != 42 || p.WireLen != 60 || p.Number != 1 {
			t.Errorf("%v: %+v %v", at, p, err)
		}
	}
}

// TestAttachAction drops what matches, or what does not, and counts it.
func TestAttachAction(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "dropped.pcap")
	for _, hook := range []string{"xdp:a", "tcx-in:a", "tcx-out:b"} {
		for action, passes := range map[string]uint16{"drop": 80, "pass": 53} {
			acting := startAttach(t, 1, "--netns", l.ns, "-c", "2", "--to", hook, "--action", action, "-w", file, "udp port 53")
			behind := startAttach(t, 1, "--netns", l.ns, "-c", "2", "--to", "tcx-in:a", "--json", "udp")
			l.send(t, datagram(80, 60), datagram(53, 60), datagram(80, 60), datagram(53, 60))
			if out := behind.end(t); strings.Count(out, fmt.Sprintf("> %d ", passes)) != 2 {
				t.Errorf("%s %s: passes\n%s", hook, action, out)
			}
			acting.end(t)
			if !strings.Contains(acting.said(), "4 packets, 2 matched") || len(readCaptureFile(t, file)) != 2 {
				t.Errorf("%s %s: %s", hook, action, acting.said())
			}
		}
	}
}

// TestAttachCGroupFilter shows what a control group sends.
func TestAttachCGroupFilter(t *testing.T) {
	newLab(t)
	bash := require.Command(t, "bash")
	root := t.TempDir()
	if err := unix.Mount("none", root, "cgroup2", 0, ""); err != nil {
		require.Skip(t, "needs control groups of version 2: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(root, 0) })
	dir := filepath.Join(root, fmt.Sprintf("bpflab-attach-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	group, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	r := startAttach(t, 1, "-c", "1", "--to", "cgroup:"+dir, "udp dst port 9")
	c := exec.Command(bash, "-c", "echo hello > /dev/udp/127.0.0.1/9; echo hello > /dev/udp/127.0.0.1/10")
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out := r.end(t); !strings.Contains(out, "127.0.0.1 > 127.0.0.1 UDP ") || !strings.Contains(out, "> 9 len 6") {
		t.Error(out)
	}
}

// TestAttachRefusals says who is in the way, what is missing, what is wrong.
func TestAttachRefusals(t *testing.T) {
	l := newLab(t)
	first := startAttach(t, 1, "--netns", l.ns, "--to", "xdp:a", "udp")
	if said := attachFails(t, exitUnsupported, "--netns", l.ns, "--to", "xdp:a", "tcp"); !strings.Contains(said, "(bpflab_filter) already") || !strings.Contains(said, "--replace") {
		t.Error(said)
	}
	startAttach(t, 1, "--netns", l.ns, "--for", "10ms", "--to", "xdp:a", "--replace", "tcp").end(t)
	if said := attachFails(t, exitInput, "--netns", l.ns, "--to", "xdp:c", "tcp"); !strings.Contains(said, "no such device") {
		t.Error(said)
	}
	if said := attachFails(t, exitInput, "--netns", "bpflab-none", "--to", "socket:a", "tcp"); !strings.Contains(said, "bpflab-none") {
		t.Error(said)
	}
	rejected := filepath.Join(t.TempDir(), "rejected.asm")
	if err := os.WriteFile(rejected, []byte("r0 = *(u8 *)(r0 +0)\nexit\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if said := attachFails(t, exitNo, "--netns", l.ns, "--to", "xdp:a", rejected); !strings.Contains(said, "V201") || !strings.Contains(said, "was not loaded") {
		t.Error(said)
	}
	if said := attachFails(t, exitNo, "--netns", l.ns, "--to", "xdp:a", "--no-verify", rejected); !strings.Contains(said, "R0 !read_ok") || !strings.Contains(said, "--kernel-log") {
		t.Error(said)
	}
	if said := attachFails(t, exitNo, "--netns", l.ns, "--to", "xdp:a", "--no-verify", "--kernel-log", "-p", rejected); !strings.Contains(said, "processed 1 insns") {
		t.Error(said)
	}
	first.stop(t)
}

// TestAttachLarge attaches programs that are too large for a socket and for the
// kernel's verifier.
func TestAttachLarge(t *testing.T) {
	l := newLab(t)
	var hosts []string
	for i := range 3000 {
		hosts = append(hosts, fmt.Sprintf("host 10.%d.%d.%d", i/250, i%250, i%7))
	}
	said := attachFails(t, exitUsage, "--netns", l.ns, "--to", "socket:a", strings.Join(hosts, " or "))
	if !strings.Contains(said, "4096") {
		t.Error(said)
	}
	large := filepath.Join(t.TempDir(), "large.bin")
	program := append(slices.Repeat([]ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0)}, 1_000_001), ebpf.Return())
	if err := os.WriteFile(large, ebpf.Append(nil, program, binary.NativeEndian), 0o644); err != nil {
		t.Fatal(err)
	}
	if said := attachFails(t, exitUnsupported, "--netns", l.ns, "--to", "xdp:a", "--no-verify", "-p", large); !strings.Contains(said, "argument list too long") {
		t.Error(said)
	}
}

// TestAttachFullDisk keeps what was captured before the disk was full.
func TestAttachFullDisk(t *testing.T) {
	l := newLab(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		require.Skip(t, "needs a small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, 0) })
	file := filepath.Join(disk, "out.pcap")
	for _, hook := range []string{"socket:a", "xdp:a"} {
		r := startAttach(t, 1, "--netns", l.ns, "--to", hook, "-w", file, "udp")
		frame := datagram(53, 1514)
		for range 200 {
			l.send(t, frame)
		}
		select {
		case status := <-r.status:
			if status != exitInput || strings.Count(r.said(), "no space left on device") != 1 {
				t.Errorf("%s: status %d\n%s", hook, status, r.said())
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: goes on with a full disk", hook)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in, err := capture.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; err == nil; n++ {
			_, err = in.Next()
		}
		var cut *capture.Error
		if n < 30 || err != io.EOF && !errors.As(err, &cut) {
			t.Errorf("%s: %d packets on disk, %v", hook, n-1, err)
		}
	}
}

const programs = "../../testdata/programs/"

// TestAttachObjects attaches the project's objects where their sections say.
func TestAttachObjects(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct {
		object   string
		programs int
		to       []string
	}{
		{"xdp_firewall.o", 1, []string{"xdp:a"}},
		{"xdp_balancer.o", 1, []string{"xdp:a"}},
		{"tail_parser.o", 1, []string{"xdp:a"}}, // and six that it calls
		{"tc_nat.o", 2, []string{"tcx-in:a", "tcx-out:a"}},
		{"flow_tracker.o", 1, []string{"tcx-in:a"}},
		{"flow_tracker.o", 2, []string{"tcx-in:a", "tcx-out:a"}}, // the same program twice
		{"sampler.o", 1, []string{"socket:a"}},
	} {
		args := []string{"--netns", l.ns, "--for", "50ms"}
		for _, hook := range test.to {
			args = append(args, "--to", hook)
		}
		startAttach(t, test.programs, append(args, programs+test.object)...).end(t)
	}
	said := attachFails(t, exitUsage, "--to", "raw_tp:sys_enter", programs+"syscall_count.o")
	if !strings.Contains(said, "several programs fit raw_tp:sys_enter, choose one with --prog: enter (raw_tracepoint), leave (raw_tracepoint)") {
		t.Error(said)
	}
}

// TestAttachSampler captures with a program of an object, with its variables
// set, and watches a map of it.
func TestAttachSampler(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(t.TempDir(), "out.pcap")
	r := startAttach(t, 1, "--netns", l.ns, "--to", "socket:a", "-c", "2", "-w", file,
		"--var", "rate=1", "--var", "snaplen=50", programs+"sampler.o")
	l.send(t, datagram(53, 60), datagram(80, 600))
	r.end(t)
	for i, data := range readCaptureFile(t, file) {
		if len(data) != 50 {
			t.Errorf("packet %d has %d bytes", i, len(data))
		}
	}
	r = startAttach(t, 1, "--netns", l.ns, "--to", "socket:a", "--every", "100ms", "--watch", "counts",
		"--var", "rate=1", programs+"sampler.o")
	l.send(t, datagram(53, 60), datagram(80, 600))
	time.Sleep(250 * time.Millisecond) // it looks twice
	out := r.stop(t)
	if !strings.HasPrefix(out, "counts ") || !strings.Contains(out, ", 1 elements\n") || !strings.Contains(out, "\n  17                   seen 2 (+") || !strings.Contains(out, "bytes 660 (+") {
		t.Error(out)
	}
}

// TestAttachMap fills a map before the program runs: rules by which it drops.
func TestAttachMap(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	program, ports := filepath.Join(dir, "ports.asm"), filepath.Join(dir, "ports.json")
	// Drops UDP datagrams to the ports in a map.
	text := `
	.map ports type hash key 2 value 8 entries 16
		r6 = r1
		r2 = *(u32 *)(r1 +0)
		r3 = *(u32 *)(r1 +4)
		r4 = r2
		r4 += 42
		if r4 > r3 goto pass
		r5 = *(u16 *)(r2 +36)
		*(u16 *)(r10 -2) = r5
		r1 = map[ports]
		r2 = r10
		r2 += -2
		call 1
		if r0 == 0 goto pass
		r1 = 1
		lock *(u64 *)(r0 +0) += r1
		r0 = 1
		exit
	pass:	r0 = 2
		exit`
	elements := `[{"key": ["0x00", "0x35"], "value": ["0","0","0","0","0","0","0","0"]}]`
	if err := errors.Join(os.WriteFile(program, []byte(text), 0o644), os.WriteFile(ports, []byte(elements), 0o644)); err != nil {
		t.Fatal(err)
	}
	r := startAttach(t, 1, "--netns", l.ns, "--to", "xdp:a", "--every", "100ms",
		"--map", "ports="+ports, "--watch", "ports", "--json", program)
	behind := startAttach(t, 1, "--netns", l.ns, "-c", "1", "--to", "tcx-in:a", "udp")
	l.send(t, datagram(53, 60), datagram(53, 60), datagram(80, 60))
	if out := behind.end(t); !strings.Contains(out, "> 80 ") {
		t.Error(out)
	}
	lines := strings.Split(strings.TrimSpace(r.stop(t)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, `"elements":[{"key":13568,"value":2,`) {
		t.Error(last)
	}
}

// TestAttachPinned leaves a program that drops, until its file is removed.
func TestAttachPinned(t *testing.T) {
	l := newLab(t)
	bpffs := t.TempDir()
	if err := unix.Mount("bpf", bpffs, "bpf", 0, ""); err != nil {
		require.Skip(t, "needs a BPF file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(bpffs, unix.MNT_DETACH) })
	pin := filepath.Join(bpffs, "drops")
	r := startAttach(t, 1, "--netns", l.ns, "--to", "xdp:a", "--action", "drop", "--pin", pin, "udp port 53")
	if r.end(t); !strings.Contains(r.said(), "it stays until "+pin+" is removed") || len(onDevice(t, "a")) != 1 {
		t.Error(r.said(), onDevice(t, "a"))
	}
	if err := os.Remove(pin); err != nil {
		t.Error(err)
	}
	dir := filepath.Join(bpffs, "nat")
	startAttach(t, 2, "--netns", l.ns, "--to", "tcx-in:b", "--to", "tcx-out:b", "--pin", dir, programs+"tc_nat.o").end(t)
	if pinned, err := os.ReadDir(dir); err != nil || len(pinned) != 2 || len(onDevice(t, "b")) != 2 {
		t.Errorf("%v %v %v", pinned, err, onDevice(t, "b"))
	}
	if said := attachFails(t, exitUnsupported, "--netns", l.ns, "--to", "tcx-in:a", "--action", "drop", "--pin", t.TempDir()+"/x", "udp"); !strings.Contains(said, "not in a BPF file system") {
		t.Error(said)
	}
}
