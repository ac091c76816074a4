package kernel_test

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/testdata/require"
)

// TestRecords reads what a program puts into a ring buffer and into a perf event
// array: a number for each of our calls of getpgid.
func TestRecords(t *testing.T) {
	newNetwork(t)
	// r6 is the number of the system call, as syscallOf leaves it.
	const store = `
		*(u64 *)(r10 -8) = r6`
	for _, test := range []struct {
		m    abi.MapSpec
		text string
	}{
		{abi.MapSpec{Name: "records", Kind: abi.RingBuf, MaxEntries: 4096}, store + `
		r1 = map[records]
		r2 = r10
		r2 += -8
		r3 = 8
		r4 = 0
		call 130
	out:	r0 = 0
		exit`},
		{abi.MapSpec{Name: "records", Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4}, store + `
		r1 = r9
		r2 = map[records]
		w3 = -1
		r4 = r10
		r4 += -8
		r5 = 8
		call 25
	out:	r0 = 0
		exit`},
	} {
		text := ours() + "\nr9 = r6" + syscallOf(unix.SYS_GETPGID) + test.text
		l := linked(t, "records", text, test.m)
		l.Programs[0].Program = &object.Program{Name: "records", Type: abi.RawTracepoint, License: "GPL"}
		p, records := loaded(t, l)
		a := attach(t, p, "raw_tp:sys_enter", kernel.AttachOptions{})
		for range 3 {
			unix.Getpgid(0)
		}
		if err := errors.Join(a.Close(), records.Stop()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			data, lost, err := records.Next()
			if err != nil || lost > 0 || len(data) < 8 || binary.NativeEndian.Uint64(data) != unix.SYS_GETPGID {
				t.Errorf("%v: % x, %d lost, %v", test.m.Kind, data, lost, err)
			}
		}
		if _, _, err := records.Next(); err != io.EOF {
			t.Errorf("%v: after the last record: %v", test.m.Kind, err)
		}
		if err := records.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRecordsLost fills a perf buffer. How many records did not fit the kernel
// tells with the next one that does.
func TestRecordsLost(t *testing.T) {
	newNetwork(t)
	var all, one unix.CPUSet // each processor has a buffer of its own
	one.Set(0)
	if err := errors.Join(unix.SchedGetaffinity(0, &all), unix.SchedSetaffinity(0, &one)); err != nil {
		require.Skip(t, "needs to choose the processor: %v", err)
	}
	defer unix.SchedSetaffinity(0, &all)
	l := linked(t, "records", `
		r2 = 7
		*(u64 *)(r10 -512) = r2
		r2 = map[records]
		w3 = -1
		r4 = r10
		r4 += -512
		r5 = 512
		call bpf_perf_event_output
		r0 = 0
		exit`, abi.MapSpec{Name: "records", Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4})
	l.Programs[0].Program = &object.Program{Name: "records", Type: abi.SchedCLS, License: "GPL"}
	p, records := loaded(t, l)
	defer records.Close()
	run := func(times int) (read, lost uint64) {
		for range times {
			if _, _, err := p.TestRun(packet(60)); err != nil {
				t.Fatal(err)
			}
		}
		if err := records.Stop(); err != nil {
			t.Fatal(err)
		}
		for {
			data, missing, err := records.Next()
			switch {
			case err == io.EOF:
				return read, lost
			case err != nil:
				t.Fatal(err)
			case data != nil:
				read++
			}
			lost += missing
		}
	}
	read, lost := run(600)
	if read == 0 || read == 600 || lost != 0 {
		t.Errorf("%d records read, %d lost", read, lost)
	}
	if last, lost := run(1); last != 1 || read+lost != 600 {
		t.Errorf("of 600 records %d were read, of one %d, and %d lost", read, last, lost)
	}
}

// loaded loads the program and opens its map "records".
func loaded(t *testing.T, l *object.Linked) (*kernel.Program, *kernel.Records) {
	t.Helper()
	c := collection(t, l)
	p, _, err := c.Load(&l.Programs[0])
	if err != nil {
		t.Fatalf("%+v", err)
	}
	m, err := c.Map("records")
	if err != nil {
		t.Fatal(err)
	}
	records, err := m.Records()
	if err != nil {
		t.Fatal(err)
	}
	return p, records
}
