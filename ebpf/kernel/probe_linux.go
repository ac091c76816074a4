package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// Probe looks at everything that running programs in the kernel depends on,
// from the kernel's version to the single hooks, and says of what is missing how
// to get it. It tries hooks by attaching to things that it makes for that and
// takes away again; what is there is left alone.
func Probe() []Check {
	have, err := capabilities()
	checks := []Check{
		probeKernel(),
		probeUser(have, err),
		probeCapability(have, "CAP_BPF", "loading programs", unix.CAP_BPF),
		probeCapability(have, "CAP_NET_ADMIN", "XDP, tc and test runs", unix.CAP_NET_ADMIN),
		probeCapability(have, "CAP_NET_RAW", "packet sockets, live capture", unix.CAP_NET_RAW),
		probeCapability(have, "CAP_PERFMON", "tracing programs", unix.CAP_PERFMON),
		probeSyscall(),
		probeUnprivileged(have),
		probeJIT(),
		probeHardening(),
		probeBTF(),
		probeTracefs(),
	}
	return slices.Concat(checks, probeTypes(), probeHooks())
}

func probeKernel() Check {
	c := Check{Name: "kernel version"}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		c.Detail, c.Hint = err.Error(), "uname(2) must work"
		return c
	}
	c.Detail = unix.ByteSliceToString(u.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(c.Detail, "%d.%d", &major, &minor); err != nil {
		c.Hint = "the version cannot be read; 5.8 or later is wanted"
		return c
	}
	if c.OK = major > 5 || major == 5 && minor >= 8; !c.OK {
		c.Hint = "before 5.8 there are no bounded loops, no ring buffers or no separate CAP_BPF: use a newer kernel"
	}
	return c
}

// capSet is a set of capabilities as the kernel numbers them.
type capSet uint64

func (s capSet) has(n int) bool { return s>>n&1 != 0 }

// capabilities reads the effective set. CAP_SYS_ADMIN stands in for CAP_BPF and
// CAP_PERFMON, as it does in the kernel.
func capabilities() (capSet, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var set capSet
		if n, _ := fmt.Sscanf(line, "CapEff: %x", &set); n == 1 {
			if set.has(unix.CAP_SYS_ADMIN) {
				set |= 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON
			}
			return set, nil
		}
	}
	return 0, errors.New("no CapEff line in /proc/thread-self/status")
}

func probeUser(have capSet, err error) Check {
	c := Check{Name: "user", OK: os.Geteuid() == 0 || have.has(unix.CAP_BPF)}
	c.Detail = fmt.Sprintf("effective user id %d", os.Geteuid())
	if err != nil {
		c.Detail += fmt.Sprintf(", capabilities unknown: %v", err)
	}
	if !c.OK {
		c.Hint = "run with sudo, or give the binary what it needs: setcap cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep FILE"
	}
	return c
}

func probeCapability(have capSet, name, use string, n int) Check {
	c := Check{Name: name, OK: have.has(n), Detail: use}
	if !c.OK {
		c.Detail += ": missing"
		c.Hint = fmt.Sprintf("run with sudo, or setcap %s+ep FILE", strings.ToLower(name))
	}
	return c
}

func probeSyscall() Check {
	c := Check{Name: "bpf() and test runs"}
	err := Available()
	switch {
	case err == nil:
		c.OK, c.Detail = true, "a program loads and runs"
		return c
	case errors.Is(err, ErrNotSupported):
		c.Hint = "use a kernel built with CONFIG_BPF_SYSCALL"
	case errors.Is(err, unix.EPERM):
		c.Hint = "run as root in the initial user namespace; in a container add CAP_BPF and CAP_NET_ADMIN and let its seccomp profile pass bpf()"
	default:
		c.Hint = "a kernel from 4.12 on test-runs programs; look for lockdown (/sys/kernel/security/lockdown) and seccomp"
	}
	c.Detail = err.Error()
	return c
}

// sysctl returns the trimmed content of a file under /proc/sys.
func sysctl(path string) (string, error) {
	b, err := os.ReadFile("/proc/sys/" + path)
	return strings.TrimSpace(string(b)), err
}

func probeUnprivileged(have capSet) Check {
	c := Check{Name: "unprivileged_bpf_disabled"}
	v, err := sysctl("kernel/unprivileged_bpf_disabled")
	switch {
	case err != nil:
		c.Detail = err.Error()
	case v == "0":
		c.Detail = "0: any user may load socket filters"
	default:
		c.Detail = v + ": only with CAP_BPF"
	}
	c.OK = err == nil && v == "0" || have.has(unix.CAP_BPF)
	if !c.OK {
		c.Hint = "get CAP_BPF (sudo, setcap); opening bpf() to all users again is not advised"
	}
	return c
}

func probeJIT() Check {
	c := Check{Name: "kernel JIT"}
	v, err := sysctl("net/core/bpf_jit_enable")
	switch {
	case err != nil:
		c.Detail = err.Error()
	case v == "0":
		c.Detail = "off: programs are interpreted, which is slower"
	default:
		c.OK, c.Detail = true, "on (bpf_jit_enable="+v+")"
	}
	if !c.OK {
		c.Hint = "sysctl net.core.bpf_jit_enable=1"
	}
	return c
}

// probeHardening reports constant blinding, which makes the machine code
// longer and slower than what one would read or measure without it.
func probeHardening() Check {
	c := Check{Name: "JIT hardening"}
	v, err := sysctl("net/core/bpf_jit_harden")
	switch {
	case errors.Is(err, os.ErrNotExist):
		c.OK, c.Detail = true, "not in this kernel"
	case err != nil:
		c.Detail, c.Hint = err.Error(), "only root can read bpf_jit_harden"
	case v == "0":
		c.OK, c.Detail = true, "off"
	case v == "1":
		c.OK, c.Detail = true, "for users without CAP_BPF"
	default:
		c.Detail = v + ": constants are blinded for everybody; machine code is longer and slower"
		c.Hint = "sysctl net.core.bpf_jit_harden=1"
	}
	return c
}

func probeBTF() Check {
	const path = "/sys/kernel/btf/vmlinux"
	c := Check{Name: "kernel BTF", Detail: path}
	if _, err := os.Stat(path); err != nil {
		c.Detail = err.Error()
		c.Hint = "use a kernel built with CONFIG_DEBUG_INFO_BTF, or give a BTF file for CO-RE relocations"
		return c
	}
	c.OK = true
	return c
}

func probeTracefs() Check {
	c := Check{Name: "tracefs"}
	if path := tracefs(); path != "" {
		c.OK, c.Detail = true, path
		return c
	}
	c.Detail = "not mounted: no tracepoints"
	c.Hint = mountTracefs
	return c
}

// probeTypes tries the program types that bpflab attaches.
func probeTypes() []Check {
	var checks []Check
	for _, t := range []abi.ProgType{
		abi.SocketFilter, abi.SchedCLS, abi.XDP, abi.CGroupSKB,
		abi.ProgType(cilium.TracePoint), abi.ProgType(cilium.RawTracepoint),
	} {
		c := Check{Name: "program type " + t.String()}
		err := features.HaveProgramType(cilium.ProgramType(t))
		switch {
		case err == nil:
			c.OK, c.Detail = true, "loads"
		case errors.Is(err, cilium.ErrNotSupported):
			c.Detail, c.Hint = "this kernel does not have it", "use a newer kernel, or one with the subsystem built in"
		case errors.Is(err, unix.EPERM):
			c.Detail, c.Hint = "not permitted", "run with sudo"
		default:
			c.Detail, c.Hint = err.Error(), "see the error"
		}
		checks = append(checks, c)
	}
	return checks
}
