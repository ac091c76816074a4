//go:build amd64

package jit

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/testdata/require"
)

// A mapping is a line of /proc/self/maps.
type mapping struct {
	start, end uintptr
	perms      string
}

func mappings(t *testing.T) []mapping {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	var all []mapping
	for line := range strings.Lines(string(text)) {
		var m mapping
		if _, err := fmt.Sscanf(line, "%x-%x %s", &m.start, &m.end, &m.perms); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if strings.Contains(m.perms, "w") && strings.Contains(m.perms, "x") {
			t.Errorf("writable and executable: %s", line)
		}
		all = append(all, m)
	}
	return all
}

// permsAt returns how the address is mapped, "" if it is not.
func permsAt(t *testing.T, addr uintptr) string {
	t.Helper()
	for _, m := range mappings(t) {
		if m.start <= addr && addr < m.end {
			return m.perms
		}
	}
	return ""
}

func TestMemory(t *testing.T) {
	for _, size := range []int{1, lineSize - 1, lineSize, pageSize - 1, pageSize, pageSize + 1, sharedSize - 1, sharedSize, 3 * sharedSize} {
		bytes := make([]byte, size)
		bytes[size-1] = ret
		m, err := newMemory(bytes)
		if err != nil {
			t.Fatal(err)
		}
		first, last := m.addr(), m.addr()+uintptr(size-1)
		for _, addr := range []uintptr{first, last} {
			if perms := permsAt(t, addr); perms[:3] != "r-x" {
				t.Errorf("%d bytes: mapped %q at %#x, want r-x", size, perms, addr)
			}
		}
		if err := guarded(last, 0, nil); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if m.bytes[size] != hlt {
			t.Errorf("%d bytes: nothing stops what runs on", size)
		}
		shared := m.shared
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		for _, addr := range []uintptr{first, last} {
			if perms := permsAt(t, addr); !shared && perms != "" {
				t.Errorf("%d bytes: still mapped %q at %#x after Close", size, perms, addr)
			}
			if err := guarded(addr, 0, nil); shared && err == nil {
				t.Errorf("%d bytes: code that has been closed runs on", size)
			}
		}
	}
}

// TestSharedCode makes and frees pieces in a random order. Each is where no other
// is, runs, and is followed by what stops code that runs on.
func TestSharedCode(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 0))
	var list []*memory
	for round := range 3000 {
		if len(list) > 0 && rnd.IntN(5) < 2 {
			i := rnd.IntN(len(list))
			if err := list[i].Close(); err != nil {
				t.Fatal(err)
			}
			list[i] = list[len(list)-1]
			list = list[:len(list)-1]
			continue
		}
		code := make([]byte, 8+rnd.IntN(3000))
		code[0] = 0xb8 // mov eax, round
		binary.LittleEndian.PutUint32(code[1:], uint32(round))
		code[5] = ret
		m, err := newMemory(code)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.bytes[:len(code)], code) || m.bytes[len(code)] != astray[0] {
			t.Fatalf("round %d: %x", round, m.bytes)
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *memory) int { return cmp.Compare(a.addr(), b.addr()) })
	for i, m := range list {
		if i > 0 && list[i-1].addr()+uintptr(len(list[i-1].bytes)) > m.addr() {
			t.Errorf("%#x and %#x overlap", list[i-1].addr(), m.addr())
		}
		if m.bytes[0] != 0xb8 || m.bytes[5] != ret {
			t.Errorf("%#x has been overwritten: %x", m.addr(), m.bytes[:6])
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMemoryIsFreed(t *testing.T) {
	executable := func() (pages uintptr) {
		for _, m := range mappings(t) {
			if strings.Contains(m.perms, "x") {
				pages += (m.end - m.start) / pageSize
			}
		}
		return pages
	}
	theSharedCode() // exists from the first piece on
	before := executable()
	for i := range 1000 {
		m, err := newMemory(make([]byte, 1+i%50/49*sharedSize))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := executable(); after != before {
		t.Errorf("%d executable pages before, %d after", before, after)
	}
}

// Under a policy against new executable memory, the kernel's own in this case,
// Supported says so, and by which error. A file that is mapped executable is no
// offence against it, so there must be none.
func TestSupportedUnderPolicy(t *testing.T) {
	if os.Getenv("BPFLAB_TEST_POLICY") != "" {
		err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
		if err != nil {
			fmt.Println("no policy:", err)
			os.Exit(3)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
			fmt.Println("no limit:", err)
			os.Exit(3)
		}
		err = Supported()
		fmt.Println(err)
		if !errors.Is(err, ErrUnsupported) || !errors.Is(err, unix.EACCES) {
			os.Exit(1)
		}
		os.Exit(0)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSupportedUnderPolicy$")
	cmd.Env = append(os.Environ(), "BPFLAB_TEST_POLICY=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() == 3 {
		require.Skip(t, "%s", out)
	}
	if err != nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v: %s", err, out)
	}
}
