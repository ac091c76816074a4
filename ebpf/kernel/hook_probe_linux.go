package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	cilium "github.com/cilium/ebpf"
	links "github.com/cilium/ebpf/link"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/object"
)

// probeDevice is the virtual Ethernet device that XDP is tried on.
const probeDevice = "probe"

// A hookProbe tries a hook with a program that does nothing.
type hookProbe struct {
	name    string // of the check
	works   string // what to say if it works
	hook    Hook
	options AttachOptions
	verdict int32
}

// probeHooks attaches a program to each kind of hook: to interfaces of a network
// namespace made for it, to a control group made for it, to an event that is
// rare, to a file that nobody runs. All of it is gone afterwards.
func probeHooks() []Check {
	done := make(chan []Check)
	go func() {
		// The thread and its namespace end with the goroutine.
		runtime.LockOSThread()
		apart := unix.Unshare(unix.CLONE_NEWNET)
		checks := []Check{probeOwnSockets(), probeUserNamespaces(), probeCapture()}
		for _, p := range interfaceProbes {
			checks = append(checks, p.onInterface(apart))
		}
		checks = append(checks, probeCGroup())
		for _, p := range eventProbes {
			checks = append(checks, p.check())
		}
		done <- append(checks, probeUprobe())
	}()
	return <-done
}

var interfaceProbes = []hookProbe{
	{name: "hook socket, eBPF", works: "SO_ATTACH_BPF at a packet socket", hook: Hook{Kind: HookSocket, Where: "lo"}},
	{name: "hook xdp, native", works: "a virtual Ethernet device runs it; of others the driver decides", hook: Hook{Kind: HookXDP, Where: probeDevice}, options: AttachOptions{Mode: XDPNative}, verdict: 2},
	{name: "hook xdp, generic", works: "any interface", hook: Hook{Kind: HookXDP, Where: "lo"}, options: AttachOptions{Mode: XDPGeneric}, verdict: 2},
	{name: "hook tcx-in", works: "any interface", hook: Hook{Kind: HookTCXIn, Where: "lo"}, verdict: -1},
	{name: "hook tcx-out", works: "any interface", hook: Hook{Kind: HookTCXOut, Where: "lo"}, verdict: -1},
}

var eventProbes = []hookProbe{
	{name: "hook tp", works: "tracepoints, by tracefs", hook: Hook{Kind: HookTracepoint, Where: "sched/sched_process_exec"}},
	{name: "hook raw_tp", works: "tracepoints, without tracefs", hook: Hook{Kind: HookRawTracepoint, Where: "sched_process_exec"}},
	{name: "hook tp_btf", works: "tracepoints with typed arguments", hook: Hook{Kind: HookTracepointBTF, Where: "sched_process_exec"}},
}

// onInterface tries a hook of an interface, unless there is no namespace for it:
// the interfaces of the host are not to be touched.
func (p *hookProbe) onInterface(apart error) Check {
	if apart != nil {
		c := Check{Name: p.name, Detail: fmt.Sprintf("not tried: no network namespace to try it in (%v)", apart)}
		c.Hint = "run with sudo"
		return c
	}
	if err := p.makeInterface(); err != nil {
		return Check{Name: p.name, Detail: fmt.Sprintf("not tried: no virtual Ethernet device to try it on (%v)", err), Hint: "modprobe veth"}
	}
	return p.check()
}

// makeInterface makes the interface or puts it up.
func (p *hookProbe) makeInterface() error {
	if p.hook.Where == probeDevice {
		return addVeth(probeDevice)
	}
	return putUp(p.hook.Where)
}

// putUp is "ip link set up".
func putUp(name string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// check loads a program, attaches and detaches it.
func (p *hookProbe) check() Check {
	c := Check{Name: p.name}
	err := p.try(func(prog *Program) error {
		a, err := prog.Attach(p.hook, p.options)
		if err != nil {
			return err
		}
		return a.Close()
	})
	return c.result(p.works, err)
}

// try loads a program that returns the verdict.
func (p *hookProbe) try(use func(*Program) error) error {
	c, err := NewCollection(nil, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	o := &object.Program{Name: "probe", Type: p.hook.Kind.Type(), License: license}
	if p.hook.Kind == HookTracepointBTF {
		o.AttachType, o.AttachTo = uint32(cilium.AttachTraceRawTp), p.hook.Where
	}
	insns := []ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, p.verdict), ebpf.Return()}
	prog, _, err := c.Load(&object.LinkedProgram{Program: o, Insns: insns})
	if err != nil {
		return err
	}
	return use(prog)
}

// result completes a check that tried something.
func (c Check) result(works string, err error) Check {
	var at *AttachError
	switch {
	case err == nil:
		c.OK, c.Detail = true, works
	case errors.As(err, &at) && at.Detail != "":
		c.Detail, c.Hint = at.Detail, at.Hint
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		c.Detail, c.Hint = err.Error(), "run with sudo"
	case errors.Is(err, cilium.ErrNotSupported), errors.Is(err, unix.ENOSYS):
		c.Detail, c.Hint = err.Error(), "use a newer kernel, or one with the subsystem built in"
	default:
		c.Detail, c.Hint = err.Error(), "see the error"
	}
	if !c.OK && c.Hint == "" {
		c.Hint = "see the error"
	}
	return c
}

// keepAll is a classic program.
var keepAll = []bpf.RawInstruction{{Op: cbpf.ClassRET | cbpf.SrcK, K: 1 << 18}}

// probeOwnSockets tries what any user may do: a classic filter at a socket of
// one's own.
func probeOwnSockets() Check {
	c := Check{Name: "classic filters, own sockets"}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return c.result("", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	code := unix.SockFilter{Code: keepAll[0].Op, K: keepAll[0].K}
	err = unix.SetsockoptSockFprog(pair[0], unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &code})
	return c.result("SO_ATTACH_FILTER; it takes no rights", err)
}

const ownNamespace = "unshare --user --map-root-user --net"

// probeUserNamespaces tries what gives a user network devices of one's own, and
// packet sockets on them.
func probeUserNamespaces() Check {
	c := Check{Name: "user namespaces"}
	child := exec.Command("true")
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := child.Run(); err != nil {
		c.Detail = err.Error()
		c.Hint = "look at the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns"
		return c
	}
	c.OK, c.Detail = true, ownNamespace+": interfaces of one's own, and live capture on them"
	return c
}

// probeCapture opens a capture with a classic filter.
func probeCapture() Check {
	c := Check{Name: "hook socket, classic"}
	capture, err := OpenCapture(AnyDevice, CaptureOptions{Filter: keepAll, RingSize: 1})
	if err == nil {
		err = capture.Close()
	}
	var device *DeviceError
	if errors.As(err, &device) {
		c.Detail, c.Hint = fmt.Sprintf("%s: %v", device.Op, device.Err), device.Hint
		if c.Hint == "" {
			c.Hint = "see the error"
		}
		return c
	}
	return c.result("SO_ATTACH_FILTER at a packet socket, and live capture", err)
}

// probeCGroup tries a control group made for it.
func probeCGroup() Check {
	p := hookProbe{name: "hook cgroup", works: "control groups, version 2", hook: Hook{Kind: HookCGroup}, verdict: 1}
	root := mountOf("cgroup2")
	if root == "" {
		return Check{Name: p.name, Detail: "no file system of control groups, version 2, is mounted", Hint: "mount -t cgroup2 none DIRECTORY"}
	}
	p.hook.Where = filepath.Join(root, fmt.Sprintf("bpflab-doctor-%d", os.Getpid()))
	if err := os.Mkdir(p.hook.Where, 0o700); err != nil {
		return Check{Name: p.name, Detail: fmt.Sprintf("no control group to try it on: %v", err), Hint: "run with sudo"}
	}
	defer os.Remove(p.hook.Where)
	return p.check()
}

// probeUprobe tries a file that nobody runs.
func probeUprobe() Check {
	p := hookProbe{name: "hook uprobe", works: "functions of programs", hook: Hook{Kind: HookUprobe}}
	c := Check{Name: p.name}
	f, err := os.CreateTemp("", "bpflab-doctor-*")
	if err != nil {
		return c.result("", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := f.Truncate(int64(os.Getpagesize())); err != nil {
		return c.result("", err)
	}
	return c.result(p.works, p.try(func(prog *Program) error {
		file, err := links.OpenExecutable(f.Name())
		if err != nil {
			return err
		}
		// With an address the library looks for no symbol.
		l, err := file.Uprobe("probe", prog.prog, &links.UprobeOptions{Address: 64})
		if err != nil {
			return attachError(p.hook, err)
		}
		return l.Close()
	}))
}

// mountOf finds a mount of a type of file systems, as the process sees them.
func mountOf(typ string) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		mount, rest, _ := strings.Cut(line, " - ") // proc_pid_mountinfo(5)
		if fields := strings.Fields(mount); len(fields) > 4 && strings.HasPrefix(rest, typ+" ") {
			return fields[4]
		}
	}
	return ""
}
