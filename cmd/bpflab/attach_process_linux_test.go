package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/testdata/require"
)

// process starts the command as a process of its own and waits until it has
// attached as many programs as it is to. What it says is given to said.
func process(t *testing.T, c *exec.Cmd, programs int) (said *bytes.Buffer) {
	t.Helper()
	words, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said = new(bytes.Buffer)
	for lines := bufio.NewScanner(words); programs > 0 && lines.Scan(); {
		fmt.Fprintln(said, lines.Text())
		if strings.Contains(lines.Text(), "attached to ") {
			programs--
		}
	}
	if programs > 0 {
		t.Fatalf("%q does not attach:\n%s", c.Args, said)
	}
	go bufio.NewReader(words).WriteTo(said)
	return said
}

// onDevice lists the programs that an interface runs, as the kernel tells it.
func onDevice(t *testing.T, name string) (all []string) {
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

// TestAttachKilled kills the command, which leaves nothing attached, and ends it
// in order, which also leaves a whole capture.
func TestAttachKilled(t *testing.T) {
	l := newLab(t)
	binary := "bpflab" // the test itself under that name; see TestMain
	file := filepath.Join(t.TempDir(), "out.pcap")
	for _, signal := range []os.Signal{unix.SIGKILL, unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		for _, hook := range []string{"xdp:a", "tcx-in:a", "tcx-out:a", "socket:a"} {
			if signal != unix.SIGKILL && signal != unix.SIGTERM && hook != "xdp:a" {
				continue
			}
			// The process is in the namespace of the thread that starts it.
			c := exec.Command(binary, "attach", "--to", hook, "-w", file, "udp")
			process(t, c, 1)
			if hook != "socket:a" && len(onDevice(t, "a")) == 0 {
				t.Errorf("%s: nothing is attached", hook)
			}
			l.send(t, datagram(53, 60), datagram(80, 60))
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err := c.Wait()
			if left := onDevice(t, "a"); len(left) > 0 {
				t.Errorf("%s, %v: left attached: %q", hook, signal, left)
			}
			if signal == unix.SIGKILL {
				continue
			}
			if got := readCaptureFile(t, file); err != nil || hook != "tcx-out:a" && len(got) != 2 {
				t.Errorf("%s, %v: %v, %d packets", hook, signal, err, len(got))
			}
		}
	}
}

// TestAttachUnprivileged captures as root of a user namespace, who may load no
// programs but attach classic filters to sockets, and is told so by the rest.
func TestAttachUnprivileged(t *testing.T) {
	binary := "bpflab" // the test itself under that name; see TestMain
	inNamespace := func(args ...string) *exec.Cmd {
		c := exec.Command(binary, append([]string{"attach"}, args...)...)
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		return c
	}
	out, err := inNamespace("--for", "10ms", "--to", "socket:any", "tcp port 80").CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		require.Skip(t, "needs user namespaces: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "attached to socket:any") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, hook := range []string{"xdp:lo", "tcx-in:lo"} {
		c := inNamespace("--for", "10ms", "--to", hook, "tcp port 80")
		out, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != exitUnsupported || !strings.Contains(string(out), "it takes root, or CAP_BPF") || !strings.Contains(string(out), "bpflab doctor") {
			t.Errorf("%s: %v\n%s", hook, c.ProcessState, out)
		}
	}
}

// TestAttachTraced runs the tracers of the project in a process with mounts of
// its own, where tracefs is mounted.
func TestAttachTraced(t *testing.T) {
	if os.Getenv("BPFLAB_TEST_TRACERS") != "" {
		if err := unix.Mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, ""); err != nil && err != unix.EBUSY {
			require.Skip(t, "needs tracefs: %v", err)
		}
		fileOpens(t)
		syscallCounts(t)
		return
	}
	require.Root(t)
	askable(t)
	c := exec.Command("/proc/self/exe", "-test.run", "^TestAttachTraced$")
	c.Env = append(os.Environ(), "BPFLAB_TEST_TRACERS=1")
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// fileOpens shows what this process opens.
func fileOpens(t *testing.T) {
	const object = "../../testdata/programs/file_open.o"
	paths := []string{"/proc/self/no-such-file", "/" + strings.Repeat("long/", 80)}
	pid := fmt.Sprintf("pid=%d", os.Getpid())
	r := startAttach(t, 1, "--json", "-c", "2", "--var", pid, object)
	for _, path := range paths {
		if f, err := os.Open(path); err == nil {
			f.Close()
		}
	}
	lines := strings.Split(strings.TrimSpace(r.end(t)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for i, line := range lines {
		var got struct {
			Map    string
			Record struct {
				PID  int
				Comm string
				Path string
			}
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if want := paths[i][:min(len(paths[i]), 255)]; got.Map != "opens" || got.Record.PID != os.Getpid() || got.Record.Path != want || got.Record.Comm == "" {
			t.Errorf("record %d is %s", i, line)
		}
	}
	if said := r.said(); !strings.Contains(said, "attached to tp:syscalls/sys_enter_openat") || !strings.Contains(said, "struct open_event") {
		t.Error(said)
	}
	r = startAttach(t, 1, "-c", "1", "--var", pid, "--record", "opens=open_event", object)
	if f, err := os.Open(paths[0]); err == nil {
		f.Close()
	}
	if out := r.end(t); !strings.HasPrefix(out, `opens {"time":`) || strings.Contains(r.said(), "which has their size") {
		t.Errorf("%s%s", out, r.said())
	}
	if said := attachFails(t, exitUsage, "--record", "nothing", object); !strings.Contains(said, "no struct nothing") {
		t.Error(said)
	}
}

// syscallCounts watches the counts of a call that nothing else here makes.
func syscallCounts(t *testing.T) {
	r := startAttach(t, 2, "--json", "--every", "100ms", "--watch", "calls",
		"--var", fmt.Sprintf("pid=%d", os.Getpid()), "../../testdata/programs/syscall_count.o")
	for i := range 10 {
		unix.Getpgid(i % 2 * (1 << 30)) // no process has that number
	}
	lines := strings.Split(strings.TrimSpace(r.stop(t)), "\n")
	var last struct {
		Map      string
		Elements []struct {
			Key   string
			Value struct{ Calls, Errors, NS uint64 }
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	for _, e := range last.Elements {
		if e.Key == "sys_getpgid" {
			if last.Map != "calls" || e.Value.Calls != 10 || e.Value.Errors != 5 || e.Value.NS == 0 {
				t.Errorf("%+v", e)
			}
			return
		}
	}
	t.Errorf("getpgid was not counted: %s", lines)
}
