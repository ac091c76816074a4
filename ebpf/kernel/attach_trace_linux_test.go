package kernel_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/testdata/require"
)

// ours lets a counting program go on for this process only.
func ours() string {
	return fmt.Sprintf(`
		r6 = r1
		call 14 ; get_current_pid_tgid
		r0 >>= 32
		if r0 != %d goto out
		r1 = r6`, os.Getpid())
}

// syscallOf lets go on for a system call, at raw_tp:sys_enter.
func syscallOf(number int) string {
	return fmt.Sprintf(`
		r6 = *(u64 *)(r1 +8)
		if r6 != %d goto out`, number)
}

// TestAttachTracepoints runs in a process with mounts of its own, because
// tracefs counts by process.
func TestAttachTracepoints(t *testing.T) {
	if os.Getenv("BPFLAB_TEST_TRACEPOINTS") != "" {
		tracepoints(t)
		return
	}
	require.Root(t)
	available(t)
	c := exec.Command("/proc/self/exe", "-test.run", "^TestAttachTracepoints$")
	c.Env = append(os.Environ(), "BPFLAB_TEST_TRACEPOINTS=1")
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// tracepoints counts a system call that nothing else in the test makes.
func tracepoints(t *testing.T) {
	const calls = 5
	traced := func() {
		for range calls {
			if _, err := unix.Getpgid(0); err != nil {
				t.Fatal(err)
			}
		}
	}
	const rawTracepoint = 23 // BPF_TRACE_RAW_TP
	program := counting(ours()+syscallOf(unix.SYS_GETPGID), 0)
	for hook, c := range map[string]*counter{
		"raw_tp:sys_enter": newCounter(t, "raw", program, object.Program{Type: abi.RawTracepoint}),
		"tp_btf:sys_enter": newCounter(t, "btf", program, object.Program{Type: abi.Tracing, AttachType: rawTracepoint, AttachTo: "sys_enter"}),
	} {
		a := attach(t, c.Program, hook, kernel.AttachOptions{})
		traced()
		a.Close()
		traced()
		c.expect(t, calls)
	}
	c := newCounter(t, "tp", counting(ours(), 0), object.Program{Type: abi.Tracepoint})
	hook := parseHook(t, "tp:syscalls/sys_enter_getpgid")
	mountTracefs(t, func() {
		_, err := c.Attach(hook, kernel.AttachOptions{})
		if !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "mount -t tracefs") {
			t.Error(err)
		}
	})
	a := attach(t, c.Program, "tp:syscalls/sys_enter_getpgid", kernel.AttachOptions{})
	traced()
	a.Close()
	traced()
	c.expect(t, calls)
	for text, p := range map[string]*counter{
		"tp:syscalls/sys_enter_nothing": c,
		"raw_tp:nothing":                newCounter(t, "raw", program, object.Program{Type: abi.RawTracepoint}),
	} {
		if _, err := p.Attach(parseHook(t, text), kernel.AttachOptions{}); !errors.Is(err, kernel.ErrNoTarget) {
			t.Error(err)
		}
	}
}

// mountTracefs takes away the mounts of tracefs that the process sees, calls
// without, and mounts it.
func mountTracefs(t *testing.T, without func()) {
	t.Helper()
	for _, path := range []string{"/sys/kernel/debug/tracing", "/sys/kernel/tracing", "/sys/kernel/debug"} {
		for unix.Unmount(path, unix.MNT_DETACH) == nil {
		}
	}
	without()
	if err := unix.Mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, ""); err != nil {
		require.Skip(t, "needs tracefs: %v", err)
	}
}

const probed = `package main

//go:noinline
func probed(n int) int { return n + len(args) }

var args = []string{"one"}

func main() {
	sum := 0
	for range 4 {
		sum = probed(sum)
	}
	println(sum)
}
`

// TestAttachUprobes counts the calls of a function in another process.
func TestAttachUprobes(t *testing.T) {
	newNetwork(t)
	binary := build(t, probed)
	for _, kind := range []string{"uprobe", "uretprobe"} {
		c := newCounter(t, "probe", counting("", 0), object.Program{Type: abi.Kprobe})
		a := attach(t, c.Program, kind+":"+binary+":main.probed", kernel.AttachOptions{})
		for range 2 {
			if out, err := exec.Command(binary).CombinedOutput(); err != nil || string(out) != "4\n" {
				t.Fatalf("%v %s", err, out)
			}
		}
		c.expect(t, 8)
		a.Close()
		for _, where := range []string{binary + ":main.other", binary + "x:main.probed"} {
			if _, err := c.Attach(parseHook(t, kind+":"+where), kernel.AttachOptions{}); !errors.Is(err, kernel.ErrNoTarget) {
				t.Error(err)
			}
		}
	}
}

// build compiles a program of one file.
func build(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "binary")
	if out, err := exec.Command(require.Command(t, "go"), "build", "-o", binary, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// TestAttachType refuses a program of another type than the hook's.
func TestAttachType(t *testing.T) {
	newNetwork(t)
	c := newCounter(t, "xdp", counting("", 2), object.Program{Type: abi.XDP})
	for hook, want := range map[string]string{
		"tcx-in:a": "is of type xdp, the hook runs sched_cls",
		"xdp:c":    `there is no interface "c"; there is lo, b, a`,
	} {
		if _, err := c.Attach(parseHook(t, hook), kernel.AttachOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", hook, err)
		}
	}
	_, err := c.Attach(parseHook(t, "xdp:a"), kernel.AttachOptions{Netns: "/run/netns/bpflab-none"})
	if !errors.Is(err, kernel.ErrNoTarget) {
		t.Error(err)
	}
}

// TestAttachPin leaves a program attached that outlives its Attachment and
// Collection, until its file is removed.
func TestAttachPin(t *testing.T) {
	n := newNetwork(t)
	bpffs := t.TempDir()
	if err := unix.Mount("bpf", bpffs, "bpf", 0, ""); err != nil {
		require.Skip(t, "needs a BPF file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(bpffs, unix.MNT_DETACH) })
	c := newCounter(t, "pinned", counting("", 2), object.Program{Type: abi.XDP})
	pin := filepath.Join(bpffs, "firewall")
	a := attach(t, c.Program, "xdp:a", kernel.AttachOptions{Pin: pin})
	a.Close()
	n.send(t, 3)
	c.expect(t, 3)
	_, err := c.Attach(parseHook(t, "xdp:a"), kernel.AttachOptions{})
	if !errors.Is(err, kernel.ErrInUse) {
		t.Error(err)
	}
	if err := os.Remove(pin); err != nil {
		t.Error(err)
	}
	for range 200 { // the kernel takes its time for this one
		if len(attachedTo(t, "a")) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	n.send(t, 3)
	c.expect(t, 3)

	taken := filepath.Join(bpffs, "taken")
	if err := os.Mkdir(taken, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{filepath.Join(t.TempDir(), "x"): kernel.ErrNotSupported, taken: kernel.ErrInUse} {
		if _, err := c.Attach(parseHook(t, "xdp:a"), kernel.AttachOptions{Pin: path}); !errors.Is(err, want) {
			t.Error(err)
		}
	}
	s := newCounter(t, "socket", counting("", 0), object.Program{Type: abi.SocketFilter})
	if _, err := s.Attach(parseHook(t, "socket:a"), kernel.AttachOptions{Pin: pin}); !errors.Is(err, kernel.ErrNotSupported) {
		t.Error(err)
	}
	attach(t, c.Program, "xdp:a", kernel.AttachOptions{}).Close() // what was refused has left nothing

	// Of both ways the second one cannot be pinned.
	both := newCounter(t, "both", "r0 = 1\nexit", object.Program{Type: abi.CGroupSKB})
	if err := os.Mkdir(filepath.Join(bpffs, "group-out"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := kernel.Hook{Kind: kernel.HookCGroup, Where: controlGroup(t)}
	if _, err := both.Attach(at, kernel.AttachOptions{Pin: filepath.Join(bpffs, "group")}); !errors.Is(err, kernel.ErrInUse) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(bpffs, "group-in")); !os.IsNotExist(err) {
		t.Errorf("one of two is left pinned: %v", err)
	}

	// What has been pinned can end with Close again.
	a = attach(t, c.Program, "xdp:a", kernel.AttachOptions{Pin: pin})
	if err := errors.Join(a.Unpin(), a.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(pin); !os.IsNotExist(err) || len(attachedTo(t, "a")) > 0 {
		t.Errorf("left are %v and %v", attachedTo(t, "a"), err)
	}
}

// TestAttachKill kills a process that has attached programs.
func TestAttachKill(t *testing.T) {
	if os.Getenv("BPFLAB_TEST_ATTACHER") != "" {
		attachAndWait(t)
		return
	}
	n := newNetwork(t)
	c := exec.Command("/proc/self/exe", "-test.run", "^TestAttachKill$")
	c.Env = append(os.Environ(), "BPFLAB_TEST_ATTACHER="+n.ns)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "attached" {
		t.Log(lines.Text())
	}
	x := newCounter(t, "second", counting("", 2), object.Program{Type: abi.XDP})
	if _, err := x.Attach(parseHook(t, "xdp:a"), kernel.AttachOptions{}); !errors.Is(err, kernel.ErrInUse) {
		t.Errorf("while the other process lives: %v", err)
	}
	if there := attachedTo(t, "a"); len(there) != 2 {
		t.Errorf("attached are %v", there)
	}
	if err := c.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if left := attachedTo(t, "a"); len(left) > 0 {
		t.Errorf("left attached: %v", left)
	}
	attach(t, x.Program, "xdp:a", kernel.AttachOptions{})
}

// attachAndWait is the process that is killed.
func attachAndWait(t *testing.T) {
	o := kernel.AttachOptions{Netns: os.Getenv("BPFLAB_TEST_ATTACHER")}
	attach(t, newCounter(t, "first", counting("", 2), object.Program{Type: abi.XDP}).Program, "xdp:a", o)
	attach(t, newCounter(t, "first", counting("", -1), object.Program{Type: abi.SchedCLS}).Program, "tcx-in:a", o)
	fmt.Println("attached")
	select {}
}

// attachedTo lists the programs that an interface runs, as the kernel tells it.
func attachedTo(t *testing.T, name string) (all []string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if x := l.Attrs().Xdp; x != nil && x.Attached {
		all = append(all, fmt.Sprintf("xdp program %d", x.ProgId))
	}
	for _, at := range []cilium.AttachType{cilium.AttachTCXIngress, cilium.AttachTCXEgress} {
		present, err := link.QueryPrograms(link.QueryOptions{Target: l.Attrs().Index, Attach: at})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range present.Programs {
			all = append(all, fmt.Sprintf("%v program %d", at, p.ID))
		}
	}
	return all
}

// TestAttachDescriptors attaches and detaches, also without success, and looks
// for descriptors that stay open.
func TestAttachDescriptors(t *testing.T) {
	n := newNetwork(t)
	round := func() {
		x := newCounterUntilClosed(t, abi.XDP, 2)
		defer x.of.Close()
		for _, hook := range []string{"xdp:a", "xdp:lo", "xdp:none"} {
			for _, ns := range []string{"", n.ns, "none"} {
				if a, err := x.Attach(parseHook(t, hook), kernel.AttachOptions{Netns: ns}); err == nil {
					x.Attach(a.Hook, kernel.AttachOptions{Netns: ns})
					a.Close()
				}
			}
		}
		s := newCounterUntilClosed(t, abi.SocketFilter, 0)
		defer s.of.Close()
		if a, err := s.Attach(parseHook(t, "socket:a"), kernel.AttachOptions{}); err == nil {
			a.Close()
		}
	}
	round() // what is opened once for all
	before := descriptors(t)
	for range 3 {
		round()
	}
	if after := descriptors(t); !slices.Equal(after, before) {
		t.Errorf("open before:\n%s\nand after:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

func newCounterUntilClosed(t *testing.T, typ abi.ProgType, verdict int) *counter {
	t.Helper()
	l := linked(t, "counting", counting("", verdict), counterMap)
	l.Programs[0].Program = &object.Program{Name: "counting", License: "GPL", Type: typ}
	c, err := kernel.NewCollection(l.Maps, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := c.Load(&l.Programs[0])
	if err != nil {
		t.Fatal(err)
	}
	return &counter{p, c}
}

// descriptors lists what the process has open.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasSuffix(to, "/fd") {
			open = append(open, to)
		}
	}
	slices.Sort(open)
	return open
}
