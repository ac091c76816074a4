//go:build amd64

package jit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	for _, size := range []int{1, pageSize - 1, pageSize, pageSize + 1, 1 << 20} {
		bytes := make([]byte, size)
		bytes[size-1] = ret
		m, err := newMemory(bytes)
		if err != nil {
			t.Fatal(err)
		}
		first, last := m.addr(), m.addr()+uintptr(size-1)
		for _, addr := range []uintptr{first, last} {
			if perms := permsAt(t, addr); perms != "r-xp" {
				t.Errorf("%d bytes: mapped %q at %#x, want r-xp", size, perms, addr)
			}
		}
		if err := guarded(last, 0, nil); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		for _, addr := range []uintptr{first, last} {
			if perms := permsAt(t, addr); perms != "" {
				t.Errorf("%d bytes: still mapped %q at %#x after Close", size, perms, addr)
			}
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
	before := executable()
	for range 1000 {
		m, err := newMemory([]byte{ret})
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
// Supported says so, and by which error.
func TestSupportedUnderPolicy(t *testing.T) {
	if os.Getenv("BPFLAB_TEST_POLICY") != "" {
		err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
		if err != nil {
			fmt.Println("no policy:", err)
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
