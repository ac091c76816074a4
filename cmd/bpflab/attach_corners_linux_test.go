package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/testdata/require"
)

// writeProgram writes assembly text into a file.
func writeProgram(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// unclaimed is a frame with a VLAN tag and a protocol that nobody claims. The
// kernel counts it as dropped by the interface, behind the filter.
func unclaimed() []byte {
	f := append(bytes.Repeat([]byte{0xff}, 6), 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 7, 0x88, 0xb5)
	return append(f, make([]byte, 46)...)
}

// TestAttachLosses tells what the interface has dropped apart from what it has
// missed, and neither for all interfaces.
func TestAttachLosses(t *testing.T) {
	l := newLab(t)
	for range 2 { // each counts from its own beginning
		r := startAttach(t, 1, "--netns", l.ns, "-c", "3", "--to", "socket:a", "vlan 7")
		l.send(t, unclaimed(), unclaimed(), unclaimed())
		if r.end(t); !strings.Contains(r.said(), "3 packets matched, 3 shown, 0 lost for want of room, 0 missed by the interface, 3 dropped on the way in\n") {
			t.Error(r.said())
		}
	}
	r := startAttach(t, 1, "--netns", l.ns, "-c", "1", "--to", "socket:any", "udp")
	l.send(t, datagram(53, 60))
	if r.end(t); !strings.HasSuffix(r.said(), " 1 shown, 0 lost for want of room\n") {
		t.Error(r.said())
	}
}

// TestAttachCountsAgree ends in the middle of a flood: what is counted is counted
// of the same packets.
func TestAttachCountsAgree(t *testing.T) {
	l := newLab(t)
	frame := datagram(53, 60)
	counts := regexp.MustCompile(`(\d+) packets, (\d+) matched, 20 shown`)
	for range 5 {
		r := startAttach(t, 1, "--netns", l.ns, "-c", "20", "--to", "xdp:a", "udp")
		for len(r.status) == 0 {
			l.send(t, frame)
		}
		r.end(t)
		if m := counts.FindStringSubmatch(r.said()); m == nil || m[1] != m[2] {
			t.Errorf("all match, and it says\n%s", r.said())
		}
	}
}

// TestAttachEndsInFlood ends in order under a flood: what matched until then is
// written or was lost.
func TestAttachEndsInFlood(t *testing.T) {
	l := newLab(t)
	frame := datagram(53, 60)
	counts := regexp.MustCompile(`(\d+) (?:packets )?matched, (\d+) shown, (\d+) lost for want of room`)
	for _, hook := range []string{"socket:a", "xdp:a", "tcx-in:a"} {
		file := filepath.Join(t.TempDir(), "out.pcap")
		r := startAttach(t, 1, "--netns", l.ns, "--for", "100ms", "--to", hook, "-w", file, "udp")
		for len(r.status) == 0 {
			l.send(t, frame)
		}
		r.end(t)
		var matched, shown, lost int
		if m := counts.FindStringSubmatch(r.said()); m != nil {
			fmt.Sscan(strings.Join(m[1:], " "), &matched, &shown, &lost)
		}
		if matched == 0 || matched != shown+lost || shown != len(readCaptureFile(t, file)) {
			t.Errorf("%s: %d packets are written, and it says\n%s", hook, len(readCaptureFile(t, file)), r.said())
		}
	}
}

// TestAttachAnySocket runs a program on the packets of all interfaces.
func TestAttachAnySocket(t *testing.T) {
	l := newLab(t)
	r := startAttach(t, 1, "--netns", l.ns, "--to", "socket:any", "--promiscuous", "--every", "50ms", "--json",
		"--watch", "counts", "--var", "rate=1", programs+"sampler.o")
	l.send(t, datagram(53, 60))
	if out := r.stop(t); !strings.Contains(out, `{"map":"counts"`) {
		t.Errorf("%s%s", out, r.said())
	}
}

// TestAttachNowhere names what is not there to attach to.
func TestAttachNowhere(t *testing.T) {
	newLab(t)
	nothing := writeProgram(t, "nothing.asm", "r0 = 0\nexit\n")
	for hook, want := range map[string]string{
		"uprobe:" + nothing + ":main": "nothing.asm is no ELF file",
		"uprobe:/none:main":           "there is no file /none",
		"uprobe:/proc/self/exe:none":  `has no function "none"`,
		"raw_tp:none":                 `there is no tracepoint "none"`,
		"tp_btf:none":                 `there is no tracepoint "none"`,
		"xdp:none":                    `there is no interface "none"; there is `,
		"cgroup:/none":                "there is no control group /none",
	} {
		program := nothing
		if strings.HasPrefix(hook, "cgroup") {
			program = writeProgram(t, "one.asm", "r0 = 1\nexit\n")
		}
		if said := attachFails(t, exitInput, "--to", hook, program); !strings.Contains(said, want) {
			t.Errorf("%s: %s", hook, said)
		}
	}
}

// TestAttachPinsAllOrNone fails to pin the second program, and takes the first
// one away again.
func TestAttachPinsAllOrNone(t *testing.T) {
	l := newLab(t)
	bpffs := t.TempDir()
	if err := unix.Mount("bpf", bpffs, "bpf", 0, ""); err != nil {
		require.Skip(t, "needs a BPF file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(bpffs, unix.MNT_DETACH) })
	dir, second := filepath.Join(bpffs, "nat"), filepath.Join(bpffs, "nat", "nat_out-tcx-out")
	if err := os.MkdirAll(second, 0o700); err != nil {
		t.Fatal(err)
	}
	pin := func(dir string, status int) string {
		return attachFails(t, status, "--netns", l.ns, "--to", "tcx-in:a", "--to", "tcx-out:a", "--pin", dir, programs+"tc_nat.o")
	}
	said := pin(dir, exitUnsupported)
	if !strings.Contains(said, "something is pinned at "+second) {
		t.Error(said)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || len(onDevice(t, "a")) != 0 {
		t.Errorf("left are %v and %v, %v", left, onDevice(t, "a"), err)
	}
	elsewhere := filepath.Join(t.TempDir(), "nat")
	pin(elsewhere, exitUnsupported)
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Errorf("a directory is left where nothing could be pinned: %v", err)
	}
}

// TestAttachWatchRefused refuses to watch what cannot be listed before it
// attaches anything.
func TestAttachWatchRefused(t *testing.T) {
	l := newLab(t)
	program := writeProgram(t, "ring.asm", ".map events type ringbuf key 0 value 0 entries 4096\nr1 = map[events]\nr0 = 2\nexit\n")
	said := attachFails(t, exitUsage, "--netns", l.ns, "--to", "xdp:a", "--watch", "events", program)
	if !strings.Contains(said, "--watch events: a map of kind ringbuf does not show its elements") || strings.Contains(said, "attached") {
		t.Error(said)
	}
}

// TestAttachPerfEvents prints the records of a perf event array, which the
// kernel fills up with zeros.
func TestAttachPerfEvents(t *testing.T) {
	l := newLab(t)
	program := writeProgram(t, "perf.asm", `
	.map events type perf_event_array key 4 value 4 entries 128
		r2 = 42
		*(u64 *)(r10 -8) = r2
		r2 = map[events]
		w3 = -1
		r4 = r10
		r4 += -8
		r5 = 8
		call bpf_perf_event_output
		r0 = 2
		exit`)
	r := startAttach(t, 1, "--netns", l.ns, "--to", "xdp:a", "-c", "2", "--json", program)
	l.send(t, datagram(53, 60), datagram(53, 60), datagram(53, 60))
	if out := r.end(t); strings.Count(out, `{"map":"events","record":"2a00000000000000`) != 2 || strings.Count(out, "\n") != 2 {
		t.Error(out)
	}
	if !strings.Contains(r.said(), "no one structure has the size of the records of events") {
		t.Error(r.said())
	}
}

// TestAttachPerCPU adds up what each processor has counted.
func TestAttachPerCPU(t *testing.T) {
	l := newLab(t)
	program := writeProgram(t, "count.asm", `
	.map counts type percpu_array key 4 value 8 entries 4
		r2 = 1
		*(u32 *)(r10 -4) = r2
		r1 = map[counts]
		r2 = r10
		r2 += -4
		call 1
		if r0 == 0 goto out
		r1 = *(u64 *)(r0 +0)
		r1 += 1
		*(u64 *)(r0 +0) = r1
	out:	r0 = 2
		exit`)
	r := startAttach(t, 1, "--netns", l.ns, "--to", "xdp:a", "--every", "1h", "--json", "--watch", "counts", program)
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for cpu := range 2 { // the packet stays on the processor that sends it
		one.Zero()
		one.Set(cpu % all.Count())
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			require.Skip(t, "needs to choose the processor: %v", err)
		}
		for range 10 {
			l.send(t, datagram(53, 60))
		}
	}
	if err := unix.SchedSetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	var got struct {
		Elements []struct{ Key, Value int }
	}
	out := r.stop(t)
	if err := json.Unmarshal([]byte(out), &got); err != nil || fmt.Sprint(got.Elements) != "[{1 20}]" {
		t.Errorf("%v, %v of\n%s", got.Elements, err, out)
	}
}

// fullDevice is an output that takes nothing.
type fullDevice struct{}

func (fullDevice) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "output", Err: unix.ENOSPC}
}

// TestAttachFullOutput says once that standard output takes no more.
func TestAttachFullOutput(t *testing.T) {
	l := newLab(t)
	var errOut bytes.Buffer
	status := newApp(strings.NewReader(""), fullDevice{}, &errOut).run([]string{"attach", "--netns", l.ns, "--to", "socket:a", "-w", "-", "udp"})
	if status != exitInput || strings.Count(errOut.String(), "no space left on device") != 1 {
		t.Errorf("status %d\n%s", status, errOut.String())
	}
}

// TestAttachSecondSignal interrupts a command whose output nobody takes: the
// first signal cannot end it in order, the second one ends it.
func TestAttachSecondSignal(t *testing.T) {
	l := newLab(t)
	c := exec.Command("bpflab", "attach", "--to", "socket:a", "-w", "-", "udp")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	process(t, c, 1)
	for range 500 {
		l.send(t, datagram(53, 1514)) // far more than the pipe holds
	}
	time.Sleep(100 * time.Millisecond)
	ended := make(chan struct{})
	go func() {
		c.Process.Wait()
		close(ended)
	}()
	for range 2 {
		if err := c.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		c.Process.Kill()
		t.Error("two signals do not end it")
	}
}

// TestAttachAtOnce reads the first packet while the command waits for more.
func TestAttachAtOnce(t *testing.T) {
	l := newLab(t)
	frame := datagram(53, 60)
	for _, test := range []struct {
		args []string
		size int // of what is printed for a packet, at least
	}{
		{[]string{"--to", "socket:a", "udp"}, 40},
		{[]string{"--to", "socket:a", "-w", "-", "udp"}, 24 + 16 + len(frame)},
		{[]string{"--to", "xdp:a", "--json", "udp"}, 40},
	} {
		c := exec.Command("bpflab", append([]string{"attach"}, test.args...)...)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		process(t, c, 1)
		timeout := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
		l.send(t, frame)
		if n, err := io.ReadFull(out, make([]byte, test.size)); err != nil {
			t.Errorf("%q: %d bytes of the first packet: %v", test.args, n, err)
		}
		timeout.Stop()
		c.Process.Kill()
		c.Wait()
	}
}

// TestAttachGuess finds the type of records by their size, behind which a perf
// event array may have up to seven bytes.
func TestAttachGuess(t *testing.T) {
	a := newApp(strings.NewReader(""), io.Discard, io.Discard)
	f, err := os.Open(programs + "file_open.o")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	obj, err := object.Read(f, object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	types, err := kernel.NewTypes(obj.Types)
	if err != nil {
		t.Fatal(err)
	}
	s := &show{attachRun: &attachRun{app: a}, types: types}
	const size = 8 + 4 + 4 + 16 + 256 // of struct open_event
	for _, test := range []struct {
		padding, size int
		want          string
	}{
		{0, size, "open_event"}, {0, size + 4, ""}, {7, size + 4, "open_event"}, {7, size + 8, ""}, {7, 0, ""},
	} {
		r := recordReader{name: "opens", padding: test.padding}
		if r.guess(s, test.size); r.typ.Name() != test.want || !r.known {
			t.Errorf("%d bytes, %d of them padding: struct %q, want %q", test.size, test.padding, r.typ.Name(), test.want)
		}
	}
}

// TestAttachLeavesNothing detaches a program under a flood before it reads what
// is left: as many records as the program has counted.
func TestAttachLeavesNothing(t *testing.T) {
	l := newLab(t)
	program := writeProgram(t, "flood.asm", `
	.map records type ringbuf key 0 value 0 entries 8388608
	.map counts type array key 4 value 8 entries 1
		r2 = 0
		*(u64 *)(r10 -8) = r2
		r1 = map[counts]
		r2 = r10
		r2 += -8
		call 1
		if r0 == 0 goto out
		r1 = 1
		lock *(u64 *)(r0 +0) += r1
		r1 = map[records]
		r2 = r10
		r2 += -8
		r3 = 8
		r4 = 0
		call 130
	out:	r0 = 2
		exit`)
	frame := datagram(53, 60)
	r := startAttach(t, 1, "--netns", l.ns, "--to", "xdp:a", "--for", "100ms", "--every", "1h", "--json", "--watch", "counts", program)
	for len(r.status) == 0 {
		l.send(t, frame)
	}
	out := r.end(t)
	records := strings.Count(out, `{"map":"records"`)
	if want := fmt.Sprintf(`"elements":[{"key":0,"value":%d,`, records); records == 0 || !strings.Contains(out, want) {
		t.Errorf("%d records, but\n%s", records, out[max(0, strings.Index(out, `{"map":"counts"`)):][:120])
	}
}
