package kernel_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
)

// TestLoadNarrowed loads programs with the capabilities that a service may have.
// The messages say what more there is to ask for.
func TestLoadNarrowed(t *testing.T) {
	require.Root(t)
	available(t)
	runtime.LockOSThread() // capabilities are those of a thread; it ends with the test
	const bpf, admin, perfmon = 1 << unix.CAP_BPF, 1 << unix.CAP_NET_ADMIN, 1 << unix.CAP_PERFMON
	const length = `
		r0 = *(u32 *)(r1 +4)
		r1 = *(u32 *)(r1 +0)
		r0 -= r1
		exit`
	for _, test := range []struct {
		capabilities uint64 // effective
		typ          abi.ProgType
		text, want   string
	}{
		{bpf | admin, abi.XDP, "r0 = 2\nexit", ""},
		{bpf | admin | perfmon, abi.XDP, length, ""},
		{bpf | admin, abi.XDP, length, "pointer -= pointer prohibited; without CAP_PERFMON it forbids"},
		{bpf, abi.XDP, length, "it takes root, or CAP_BPF with CAP_NET_ADMIN"},
		{bpf, abi.RawTracepoint, "r0 = 0\nexit", "it takes root, or CAP_BPF with CAP_PERFMON"},
		{bpf | perfmon, abi.RawTracepoint, "r0 = 0\nexit", ""},
		{bpf | perfmon, abi.XDP, "exit", "CAP_NET_ADMIN"},
	} {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		if err := unix.Capget(&header, &sets[0]); err != nil {
			t.Fatal(err)
		}
		sets[0].Effective, sets[1].Effective = uint32(test.capabilities), uint32(test.capabilities>>32)
		if err := unix.Capset(&header, &sets[0]); err != nil {
			t.Fatal(err)
		}
		p, err := kernel.Load("narrowed", test.typ, assemble(t, test.text))
		switch {
		case err == nil:
			p.Close()
		case errors.Is(err, kernel.ErrNotSupported):
			require.Skip(t, "%v", err)
		}
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%#x, %v: %v", test.capabilities, test.typ, err)
		}
	}
}
