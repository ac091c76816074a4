package kernel_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
)

// TestProbeHooks tries all hooks as root, which leaves nothing behind: no
// interface, no control group, no file, no descriptor.
func TestProbeHooks(t *testing.T) {
	require.Root(t)
	available(t)
	things := func() (all []string) {
		interfaces, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range interfaces {
			all = append(all, i.Name)
		}
		for _, pattern := range []string{"/sys/fs/cgroup/bpflab-*", "/sys/fs/cgroup/unified/bpflab-doctor-*", filepath.Join(os.TempDir(), "bpflab-doctor-*")} {
			found, err := filepath.Glob(pattern)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, found...)
		}
		return append(all, descriptors(t)...)
	}
	kernel.Probe() // what is opened once for all
	before := things()
	works := map[string]bool{}
	for _, c := range kernel.Probe() {
		works[c.Name] = c.OK
	}
	if after := things(); !slices.Equal(before, after) {
		t.Errorf("there was\n%q\nand is\n%q", before, after)
	}
	for _, name := range []string{
		"classic filters, own sockets", "hook socket, classic", "hook socket, eBPF", "hook xdp, native", "hook xdp, generic",
		"hook tcx-in", "hook tcx-out", "hook cgroup", "hook raw_tp", "hook tp_btf", "hook uprobe",
	} {
		if !works[name] {
			require.Skip(t, "needs the %s", name)
		}
	}
	if tracefs, ok := works["tracefs"]; !ok || works["hook tp"] != tracefs {
		t.Errorf("hook tp: %v, tracefs: %v", works["hook tp"], tracefs)
	}
}
