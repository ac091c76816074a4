package kernel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	cilium "github.com/cilium/ebpf"
	links "github.com/cilium/ebpf/link"
)

// attachTCX puts the program among those of an interface, in its place.
func (a *Attachment) attachTCX(p *Program, at cilium.AttachType, o Order) error {
	index, err := a.Hook.interfaceIndex()
	if err != nil {
		return err
	}
	anchor, err := a.anchor(index, at, o)
	if err != nil {
		return err
	}
	err = a.hold(links.AttachTCX(links.TCXOptions{Program: p.prog, Interface: index, Attach: at, Anchor: anchor}))
	if errors.Is(err, cilium.ErrNotSupported) {
		return &AttachError{
			Hook: a.Hook, Reason: ErrNotSupported, Err: err,
			Detail: "this kernel has no tcx", Hint: "it takes Linux 6.6 or later, built with CONFIG_NET_XGRESS",
		}
	}
	return err
}

func (a *Attachment) anchor(index int, at cilium.AttachType, o Order) (links.Anchor, error) {
	switch {
	case o.Head:
		return links.Head(), nil
	case o.Program == "":
		return links.Tail(), nil
	}
	id, err := a.neighbour(index, at, o.Program)
	switch {
	case err != nil:
		return nil, err
	case o.Before:
		return links.BeforeProgramByID(id), nil
	}
	return links.AfterProgramByID(id), nil
}

// neighbour finds a program of the hook by its name or id.
func (a *Attachment) neighbour(index int, at cilium.AttachType, name string) (cilium.ProgramID, error) {
	present, err := links.QueryPrograms(links.QueryOptions{Target: index, Attach: at})
	if err != nil {
		return 0, err
	}
	var others []string
	for _, p := range present.Programs {
		ref := programRef(p.ID)
		if name == ref.Name || name == strconv.Itoa(int(ref.ID)) {
			return p.ID, nil
		}
		others = append(others, ref.String())
	}
	if len(others) == 0 {
		others = []string{"none at all"}
	}
	return 0, &AttachError{
		Hook: a.Hook, Reason: ErrNoTarget, Detail: fmt.Sprintf("there is no program %s at the hook", name),
		Hint: "there is " + strings.Join(others, ", "),
	}
}
