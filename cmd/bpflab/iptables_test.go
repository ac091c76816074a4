package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/testdata/require"
)

// TestIptablesTakesBytecode pastes compiled filters into iptables' bpf match, in
// a network namespace of its own, and compares what iptables lists with what
// was compiled: its own form and that of tcpdump -ddd with its lines joined.
func TestIptablesTakesBytecode(t *testing.T) {
	require.Root(t)
	iptables := require.Command(t, "iptables")
	unshare := require.Command(t, "unshare")
	bytecode := compileText(t, "-y", "RAW", "-f", "xtbpf", "tcp port 80")
	joined := strings.ReplaceAll(compileText(t, "-y", "RAW", "-ddd", "tcp port 80"), "\n", ",")
	script := fmt.Sprintf(`
		%[1]s -A INPUT -m bpf --bytecode "%[2]s" -j DROP &&
		%[1]s -A INPUT -m bpf --bytecode "%[3]s" -j DROP &&
		%[1]s -S INPUT`, iptables, bytecode, joined)
	out, err := exec.Command(unshare, "-n", "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("iptables: %v\n%s", err, out)
	}
	rule := fmt.Sprintf("-A INPUT -m bpf --bytecode %q -j DROP", bytecode)
	if n := strings.Count(string(out), rule); n != 2 {
		t.Errorf("iptables lists the rule %d times, want 2:\n%s\nwant %s", n, out, rule)
	}
}

// compileText returns what bpflab compile prints, without the last line break.
func compileText(t *testing.T, args ...string) string {
	var out, errOut strings.Builder
	if status := run(append([]string{"compile"}, args...), strings.NewReader(""), &out, &errOut); status != 0 {
		t.Fatalf("compile %q: status %d: %s", args, status, errOut.String())
	}
	return strings.TrimSuffix(out.String(), "\n")
}
