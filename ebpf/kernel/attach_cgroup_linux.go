package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	cilium "github.com/cilium/ebpf"
	links "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// directions returns the ways of packets that a hook stands for. The kernel
// lets a program run in either, whatever it was loaded for, unless it uses the
// return values 2 and 3 of outgoing packets.
func (k HookKind) directions() []cilium.AttachType {
	switch k {
	case HookCGroupIn:
		return []cilium.AttachType{cilium.AttachCGroupInetIngress}
	case HookCGroupOut:
		return []cilium.AttachType{cilium.AttachCGroupInetEgress}
	}
	return []cilium.AttachType{cilium.AttachCGroupInetIngress, cilium.AttachCGroupInetEgress}
}

// attachCGroup attaches to a control group, beside the programs that are there
// and in the groups above.
func (a *Attachment) attachCGroup(p *Program) error {
	dir := a.Hook.Where
	if err := a.checkCGroup(dir); err != nil {
		return err
	}
	for _, at := range a.Hook.Kind.directions() {
		err := a.hold(links.AttachCgroup(links.CgroupOptions{Path: dir, Attach: at, Program: p.prog}))
		if errors.Is(err, unix.EPERM) {
			err = a.excluded(dir, at, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// excluded explains a refusal (EPERM): the kernel also says so where a program was
// attached so that it tolerates no other (hierarchy_allows_attach).
func (a *Attachment) excluded(dir string, at cilium.AttachType, refusal error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return refusal
	}
	present := exclusiveProgram(dir, at)
	if present == nil {
		return refusal
	}
	return &AttachError{
		Hook: a.Hook, Reason: ErrInUse, Err: refusal, Programs: []ProgramRef{*present},
		Detail: fmt.Sprintf("%v is attached so that it excludes others", *present), Hint: "detach it: bpftool cgroup detach",
	}
}

// checkCGroup refuses what is not a control group of version 2.
func (a *Attachment) checkCGroup(dir string) error {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &AttachError{Hook: a.Hook, Reason: ErrNoTarget, Err: err, Detail: "there is no control group " + dir, Hint: "mkdir makes one"}
	case err != nil:
		return fmt.Errorf("%s: %w", dir, err)
	case int64(fs.Type) != unix.CGROUP2_SUPER_MAGIC:
		return &AttachError{
			Hook: a.Hook, Reason: ErrNotSupported, Detail: dir + " is not in a file system of control groups, version 2",
			Hint: "it is often /sys/fs/cgroup or /sys/fs/cgroup/unified; mount -t cgroup2 none DIRECTORY makes one",
		}
	}
	return nil
}

// exclusiveProgram finds a program in a control group or above, by an absolute
// path: on the way up every such path leaves the file system of control groups.
func exclusiveProgram(dir string, at cilium.AttachType) *ProgramRef {
	for {
		f, err := os.Open(dir)
		if err != nil {
			return nil
		}
		present, err := links.QueryPrograms(links.QueryOptions{Target: int(f.Fd()), Attach: at})
		f.Close()
		if err != nil {
			return nil // not a control group any more
		}
		if len(present.Programs) > 0 {
			ref := programRef(present.Programs[0].ID)
			return &ref
		}
		dir = filepath.Dir(dir)
	}
}
