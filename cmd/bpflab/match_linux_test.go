package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/testdata/require"
)

// TestMatchWithoutMachineCode runs match in a process that may make no memory
// executable: what was asked for by name is refused, all else works.
func TestMatchWithoutMachineCode(t *testing.T) {
	const inChild = "BPFLAB_TEST_NO_MACHINE_CODE"
	if os.Getenv(inChild) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMatchWithoutMachineCode$", "-test.v")
		cmd.Env = append(os.Environ(), inChild+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if bytes.Contains(out, []byte("--- SKIP")) {
			require.Skip(t, "needs prctl(PR_SET_MDWE) and seccomp(2)")
		}
		return
	}
	if err := forbidExecutableMemory(); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		engine string
		status int
	}{{"auto", exitDone}, {"all", exitDone}, {"jit", exitUnsupported}} {
		var stderr strings.Builder
		args := []string{"match", "--engine", c.engine, "-q", "-r", "../../testdata/captures/mixed.pcap", "tcp"}
		if got := run(args, nil, &bytes.Buffer{}, &stderr); got != c.status {
			t.Errorf("--engine %s: exit status %d, want %d: %s", c.engine, got, c.status, stderr.String())
		}
		if c.status != exitDone && !strings.Contains(stderr.String(), "no machine code on this host") {
			t.Errorf("--engine %s: %q", c.engine, stderr.String())
		}
	}
}
