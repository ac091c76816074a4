package kernel

import (
	"errors"
	"fmt"

	cilium "github.com/cilium/ebpf"
	links "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachXDP attaches to an interface, which has room for one program. Left to
// itself the kernel takes the driver if it knows XDP at all, and fails where the
// driver then refuses (a large MTU, too few queues); here generic mode is next.
func (a *Attachment) attachXDP(p *Program, o AttachOptions) error {
	index, err := a.Hook.interfaceIndex()
	if err != nil {
		return err
	}
	if err := a.makeRoom(index, o.Replace); err != nil {
		return err
	}
	attach := func(mode XDPMode, flags links.XDPAttachFlags) error {
		a.Mode = mode
		return a.hold(links.AttachXDP(links.XDPOptions{Program: p.prog, Interface: index, Flags: flags}))
	}
	if o.Mode == XDPGeneric {
		return attach(XDPGeneric, links.XDPGenericMode)
	}
	err = attach(XDPNative, links.XDPDriverMode)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return err
	case o.Mode == XDPNative:
		return &AttachError{
			Hook: a.Hook, Reason: ErrNotSupported, Err: err,
			Detail: fmt.Sprintf("the driver does not run the program (%v)", rootCause(err)), Hint: "any driver can in generic mode",
		}
	}
	refusal := rootCause(err)
	if err := attach(XDPGeneric, links.XDPGenericMode); err != nil {
		return err
	}
	a.Note = fmt.Sprintf("the driver does not run the program (%v): it runs in generic mode, behind the driver", refusal)
	return nil
}

// makeRoom refuses an interface that runs a program, or takes that away. An
// interface in native mode has no room for one in generic mode either.
func (a *Attachment) makeRoom(index int, replace bool) error {
	present, err := xdpPrograms(index)
	if err != nil || len(present) == 0 {
		return err
	}
	var programs []ProgramRef
	for _, x := range present {
		programs = append(programs, programRef(cilium.ProgramID(x.program)))
	}
	if !replace {
		return &AttachError{
			Hook: a.Hook, Reason: ErrInUse, Programs: programs,
			Detail: fmt.Sprintf("%s runs %v already", a.Hook.Where, programs[0]),
			Hint:   "an interface has room for one: replacing takes that one away for good",
		}
	}
	for i, x := range present {
		if err := detachXDP(index, x); err != nil {
			return fmt.Errorf("taking away %v: %w", programs[i], err)
		}
	}
	return nil
}

// detachXDP takes a program from an interface: by its link, if it has one,
// because the kernel refuses any other way then.
func detachXDP(index int, x xdpProgram) error {
	l, err := xdpLink(index, x.program)
	switch {
	case err != nil:
		return err
	case l == nil:
		return clearXDP(index, x.flags)
	}
	defer l.Close()
	return l.Detach()
}

// xdpLink finds the link by which a program is attached to an interface; nil if
// there is none.
func xdpLink(index int, program uint32) (links.Link, error) {
	var all links.Iterator
	defer all.Close()
	for all.Next() {
		info, err := all.Link.Info()
		if err != nil || uint32(info.Program) != program {
			continue
		}
		if x := info.XDP(); x != nil && int(x.Ifindex) == index {
			return all.Take(), nil
		}
	}
	return nil, all.Err()
}

// programRef asks the kernel for a program's name.
func programRef(id cilium.ProgramID) ProgramRef {
	ref := ProgramRef{ID: uint32(id)}
	p, err := cilium.NewProgramFromID(id)
	if err != nil {
		return ref // who may not open it learns its number
	}
	defer p.Close()
	if info, err := p.Info(); err == nil {
		ref.Name = info.Name
	}
	return ref
}
