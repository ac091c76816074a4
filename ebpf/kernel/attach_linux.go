package kernel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	cilium "github.com/cilium/ebpf"
	links "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// An Attachment is a program that the kernel runs at a hook. It ends with Close
// and with the process, however that ends, because descriptors hold it; only
// what is pinned stays.
type Attachment struct {
	Hook Hook
	Mode XDPMode // at XDP: native or generic
	// Note says what turned out otherwise than asked for: that the driver
	// could not run the program, say. It is "" if nothing did.
	Note string

	holds []io.Closer
}

// Close detaches the program, unless the attachment is pinned.
func (a *Attachment) Close() error {
	var errs []error
	for _, h := range a.holds {
		errs = append(errs, h.Close())
	}
	a.holds = nil
	return errors.Join(errs...)
}

// Unpin takes a pinned attachment out of the BPF file system: it ends with Close
// again.
func (a *Attachment) Unpin() error {
	var errs []error
	for _, h := range a.holds {
		if l, ok := h.(links.Link); ok {
			errs = append(errs, l.Unpin())
		}
	}
	return errors.Join(errs...)
}

// Attach attaches the program to a hook. The error is an [*AttachError], if it
// is not about the options.
func (p *Program) Attach(h Hook, o AttachOptions) (*Attachment, error) {
	if want, have := h.Kind.Type(), abi.ProgType(p.prog.Type()); want != have {
		return nil, fmt.Errorf("attaching to %v: program %q is of type %v, the hook runs %v", h, p.name, have, want)
	}
	if o.Netns != "" && !h.Kind.OnInterface() {
		return nil, fmt.Errorf("attaching to %v: a network namespace is for hooks of an interface", h)
	}
	if o.Order != (Order{}) && h.Kind != HookTCXIn && h.Kind != HookTCXOut {
		return nil, fmt.Errorf("attaching to %v: only programs at tcx hooks have an order", h)
	}
	a := &Attachment{Hook: h}
	err := inNetns(o.Netns, func() error { return a.attach(p, o) })
	if err == nil && o.Pin != "" {
		err = a.pin(o.Pin)
	}
	if err != nil {
		return nil, errors.Join(attachError(h, err), a.Close())
	}
	return a, nil
}

func (a *Attachment) attach(p *Program, o AttachOptions) error {
	switch a.Hook.Kind {
	case HookSocket:
		return a.attachSocket(p, o.Promiscuous)
	case HookXDP:
		return a.attachXDP(p, o)
	case HookTCXIn:
		return a.attachTCX(p, cilium.AttachTCXIngress, o.Order)
	case HookTCXOut:
		return a.attachTCX(p, cilium.AttachTCXEgress, o.Order)
	case HookCGroup, HookCGroupIn, HookCGroupOut:
		return a.attachCGroup(p)
	}
	return a.attachTrace(p)
}

// hold keeps what an attaching function of the library returned.
func (a *Attachment) hold(l links.Link, err error) error {
	if err == nil {
		a.holds = append(a.holds, l)
	}
	return err
}

// interfaceIndex finds the hook's interface in the thread's network namespace.
func (h Hook) interfaceIndex() (int, error) {
	i, err := net.InterfaceByName(h.Where)
	if err == nil {
		return i.Index, nil
	}
	e := &AttachError{Hook: h, Reason: ErrNoTarget, Detail: fmt.Sprintf("there is no interface %q", h.Where)}
	var names []string
	if all, err := net.Interfaces(); err == nil {
		for _, i := range all {
			names = append(names, i.Name)
		}
	}
	if len(names) > 0 {
		e.Hint = "there is " + strings.Join(names, ", ")
	}
	return 0, e
}

// attachSocket makes a packet socket of its own that runs the program on every
// packet of the interface. Nobody reads the socket: this is for programs that
// fill maps. [OpenCapture] reads what a program lets through.
func (a *Attachment) attachSocket(p *Program, promiscuous bool) error {
	if a.Hook.Where != AnyDevice {
		if _, err := a.Hook.interfaceIndex(); err != nil {
			return err
		}
	}
	s, err := openSocket(a.Hook.Where)
	if err != nil {
		return err
	}
	a.holds = append(a.holds, os.NewFile(uintptr(s.fd), "packet socket"))
	if err := s.filter(CaptureOptions{Program: p}); err != nil {
		return err
	}
	return s.bind(promiscuous)
}

// pin keeps the attachment in a BPF file system.
func (a *Attachment) pin(path string) error {
	suffixes := []string{""}
	if len(a.holds) == 2 {
		suffixes = []string{"-in", "-out"}
	}
	for i, h := range a.holds {
		l, ok := h.(links.Link)
		if !ok {
			return &AttachError{Hook: a.Hook, Reason: ErrNotSupported, Detail: "a socket's filter ends with the socket: it cannot be pinned"}
		}
		if err := l.Pin(path + suffixes[i]); err != nil {
			for j := range i {
				a.holds[j].(links.Link).Unpin()
			}
			return a.pinError(path+suffixes[i], err)
		}
	}
	return nil
}

func (a *Attachment) pinError(path string, err error) error {
	e := &AttachError{Hook: a.Hook, Err: err, Detail: fmt.Sprintf("pinning at %s: %v", path, err)}
	var fs unix.Statfs_t
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, os.ErrExist):
		e.Reason, e.Detail, e.Hint = ErrInUse, "something is pinned at "+path, "remove it, or choose another name"
	case unix.Statfs(dir, &fs) == nil && int64(fs.Type) != unix.BPF_FS_MAGIC:
		e.Reason, e.Detail = ErrNotSupported, dir+" is not in a BPF file system"
		e.Hint = "choose a path below /sys/fs/bpf, or mount one: mount -t bpf bpf DIRECTORY"
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		e.Reason = ErrNotPermitted
	}
	return e
}

// attachError gives an error of attaching its reason.
func attachError(h Hook, err error) error {
	var known *AttachError
	if errors.As(err, &known) {
		return known
	}
	e := &AttachError{Hook: h, Err: err}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		e.Reason, e.Detail = ErrNotPermitted, fmt.Sprintf("not permitted (%v)", rootCause(err))
		e.Hint = "it takes root, or " + capabilitiesFor(h.Kind)
	case errors.Is(err, os.ErrNotExist): // the network namespace
		e.Reason = ErrNoTarget
	case errors.Is(err, cilium.ErrNotSupported), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		e.Reason = ErrNotSupported
	}
	return e
}

func rootCause(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// capabilitiesFor names what a user needs to attach to a kind of hooks.
func capabilitiesFor(k HookKind) string {
	switch k {
	case HookSocket:
		return "CAP_NET_RAW for the socket and CAP_BPF for the program"
	case HookXDP, HookTCXIn, HookTCXOut, HookCGroup, HookCGroupIn, HookCGroupOut:
		return "CAP_NET_ADMIN with CAP_BPF"
	}
	return "CAP_PERFMON with CAP_BPF"
}
