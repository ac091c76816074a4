package kernel_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
)

// flood sends a frame of 64 bytes many times as fast as the device takes it. Each
// was sent or lost by the receiving end, which then counts it.
func flood(fd, index, n int) error {
	frame := make([]byte, 64)
	frame[12], frame[13] = 0x88, 0xb5
	to := unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Ifindex: int32(index)}
	part := unix.Iovec{Base: &frame[0], Len: uint64(len(frame))}
	var messages [64]struct {
		unix.Msghdr
		_ [8]byte // msg_len and padding
	}
	for i := range messages {
		messages[i].Msghdr = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&to)), Namelen: unix.SizeofSockaddrLinklayer, Iov: &part, Iovlen: 1}
	}
	for n > 0 {
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages)), uintptr(min(n, len(messages))), 0, 0, 0)
		switch {
		case errno == 0:
			n -= int(sent)
		case errno == unix.ENOBUFS:
			n--
		case errno != unix.EINTR:
			return errno
		}
	}
	return nil
}

// Whatever is sent at full speed is delivered, or counted as dropped by the ring
// or by the interface.
func TestCaptureCounts(t *testing.T) {
	require.Root(t)
	w := newWire(t)
	const packets = 100_000
	for _, test := range []struct {
		name  string
		o     kernel.CaptureOptions
		pause time.Duration // of the reader, every 1000 packets
	}{
		{"ring of 32 MiB", kernel.CaptureOptions{}, 0},
		{"slow reader, ring of 1 MiB", kernel.CaptureOptions{RingSize: 1 << 20}, 5 * time.Millisecond},
	} {
		c := open(t, w.there, test.o)
		sent := make(chan error)
		go func() {
			err := flood(w.fd, w.index, packets)
			c.Stop()
			sent <- err
		}()
		read := uint64(0)
		for {
			p, err := c.Next()
			if err != nil {
				break // after Stop: what is missing is an error below
			}
			if len(p.Data) != 64 {
				t.Fatalf("%x", p.Data)
			}
			if read++; read%1000 == 0 {
				time.Sleep(test.pause)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		stats, err := c.Stats()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d read, %+v", test.name, read, stats)
		if stats.Received != read+stats.Dropped || packets != stats.Received+stats.InterfaceDropped+stats.InterfaceMissed {
			t.Errorf("%s: %d of %d packets were read, the kernel counted %+v", test.name, read, packets, stats)
		}
		if test.pause > 0 && (stats.Dropped == 0 || stats.Freezes == 0) {
			t.Errorf("%s: the test is to drop packets: %+v", test.name, stats)
		}
	}
}

// The sender of the benchmarks, a process of its own so that the reader's time
// is that of the other.
func TestFloodProcess(t *testing.T) {
	var index, n int
	if _, err := fmt.Sscanf(os.Getenv("BPFLAB_FLOOD"), "%d %d", &index, &n); err != nil {
		return // run by itself
	}
	if err := flood(sender(t), index, n); err != nil {
		t.Fatal(err)
	}
}

// benchmarkReader measures the processor time of reading b.N packets that another
// process sends at full speed. read reads at least one packet.
func benchmarkReader(b *testing.B, w *wire, read func() (int, error)) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestFloodProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("BPFLAB_FLOOD=%d %d", w.index, b.N))
	start := cpuTime(b)
	b.ResetTimer()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	got := 0
	for got < b.N {
		n, err := read()
		if err != nil {
			break // stopped: the rest has been dropped
		}
		got += n
	}
	b.StopTimer()
	used := cpuTime(b) - start
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(got), "cpu-ns/packet")
	b.ReportMetric(float64(b.N-got), "lost")
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCapture is the ring; run with -benchtime 1000000x.
func BenchmarkCapture(b *testing.B) {
	require.Root(b)
	w := newWire(b)
	c := open(b, w.there, kernel.CaptureOptions{Filter: compile(b, "ether proto 0x88b5", w.there)})
	total := 0
	watch := time.AfterFunc(10*time.Second, c.Stop)
	defer watch.Stop()
	benchmarkReader(b, w, func() (int, error) {
		p, err := c.Next()
		if err != nil {
			return 0, err
		}
		total += len(p.Data)
		return 1, nil
	})
}

// BenchmarkReadLoop is what the ring is better than: a system call a packet.
func BenchmarkReadLoop(b *testing.B) {
	require.Root(b)
	w := newWire(b)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	attachClassic(b, fd, compile(b, "ether proto 0x88b5", w.there))
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20); err != nil {
		b.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		b.Fatal(err)
	}
	there := linkUp(b, w.there)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: there}); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	benchmarkReader(b, w, func() (int, error) {
		_, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			return 0, nil
		}
		return 1, err
	})
}

func attachClassic(b *testing.B, fd int, prog []bpf.RawInstruction) {
	code := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		code[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	if err != nil {
		b.Fatal(err)
	}
}
