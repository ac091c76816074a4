package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
)

func askable(t *testing.T) {
	t.Helper()
	if err := kernel.Available(); err != nil {
		require.Skip(t, "needs eBPF in the kernel: %v", err)
	}
}

// verify runs the command and returns the status and what it printed.
func verify(input string, args ...string) (status int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	a := newApp(strings.NewReader(input), &stdout, &stderr)
	status = a.run(append([]string{"verify"}, args...))
	return status, stdout.String(), stderr.String()
}

// TestVerifyKernel asks the kernel, too, about all objects of the project.
func TestVerifyKernel(t *testing.T) {
	askable(t)
	objects, err := filepath.Glob("../../testdata/programs/*.o")
	if err != nil || len(objects) == 0 {
		t.Fatal("no objects", err)
	}
	for _, name := range objects {
		status, out, errOut := verify("", "--kernel", name)
		accepted, both := strings.Count(out, "accepted "), strings.Count(out, "accepted by the kernel: ")
		if status != 0 || accepted != 2*both || both == 0 {
			t.Errorf("%s: status %d\n%s%s", name, status, out, errOut)
		}
	}
}

// TestVerifyKernelRejects prints what the kernel says of a program that both
// reject, and of one that only one of them does.
func TestVerifyKernelRejects(t *testing.T) {
	askable(t)
	status, out, _ := verify("r0 = 0\nr0 = *(u8 *)(r0 +0)\nexit", "--kernel", "-")
	if status != exitNo || !strings.Contains(out, "rejected by the kernel: 2 steps, ") ||
		!strings.Contains(out, "\n  R0 invalid mem access 'scalar'\n") || !strings.Contains(out, "V105 ") {
		t.Errorf("status %d\n%s", status, out)
	}
	// That a pointer to the stack is not NULL the kernel does not know.
	const stack = "r0 = 2\nr1 = r10\nif r1 != 0 goto out\nr0 = *(u8 *)(r0 +0)\nout: exit"
	status, out, _ = verify(stack, "--kernel", "--json", "-")
	var got struct {
		Accepted bool
		Kernel   kernelVerdict
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if status != exitNo || !got.Accepted || got.Kernel.Accepted || got.Kernel.Stats.Steps == 0 || len(got.Kernel.Message) == 0 {
		t.Errorf("status %d\n%s", status, out)
	}
	// No program of a kernel has such a map.
	const hopeless = ".map m type hash key 4 value 8 entries 4000000000\nr1 = map[m]\nr0 = 2\nexit"
	status, out, errOut := verify(hopeless, "--kernel", "-")
	if status != exitUnsupported || !strings.HasPrefix(out, "accepted ") || !strings.Contains(errOut, `the kernel gives no verdict: `) ||
		!strings.Contains(errOut, `making map "m"`) {
		t.Errorf("status %d\n%s%s", status, out, errOut)
	}
}

// TestVerifyKernelNotPermitted asks as a user who may not.
func TestVerifyKernelNotPermitted(t *testing.T) {
	require.Root(t)
	dir := buildBinary(t)
	// Directories of tests are for their user only.
	for at := dir; at != filepath.Clean(os.TempDir()) && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(filepath.Join(dir, "bpflab"), "verify", "--kernel", "-")
	c.Stdin = strings.NewReader("r0 = 2\nexit")
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUnsupported || !strings.Contains(string(out), "it takes root") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestVerifyKernelContexts asks about the last byte of contexts that are bytes,
// and about the one behind it.
func TestVerifyKernelContexts(t *testing.T) {
	askable(t)
	for _, typ := range []abi.ProgType{abi.Kprobe, abi.Tracepoint, abi.RawTracepoint, abi.PerfEvent} {
		for beyond, want := range []string{"accepted", "rejected"} {
			text := fmt.Sprintf("r0 = *(u64 *)(r1 +%d)\nr0 = 0\nexit", typ.ContextBytes()-8+8*beyond)
			_, out, errOut := verify(text, "--kernel", "--type", typ.String(), "-")
			if !strings.HasPrefix(out, want+" standard input") || !strings.Contains(out, "\n"+want+" by the kernel") {
				t.Errorf("%v, want both to say %s:\n%s%s", typ, want, out, errOut)
			}
		}
	}
}
