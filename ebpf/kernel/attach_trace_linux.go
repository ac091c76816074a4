package kernel

import (
	"errors"
	"fmt"
	"os"
	"strings"

	cilium "github.com/cilium/ebpf"
	links "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachTrace attaches to an event of the kernel or of a program.
func (a *Attachment) attachTrace(p *Program) error {
	h := a.Hook
	switch h.Kind {
	case HookTracepoint:
		return a.attachTracepoint(p)
	case HookRawTracepoint:
		err := a.hold(links.AttachRawTracepoint(links.RawTracepointOptions{Name: h.Where, Program: p.prog}))
		if errors.Is(err, unix.ENOENT) {
			return a.noTarget(err, fmt.Sprintf("there is no tracepoint %q", h.Where), "sys_enter and sched_switch are some")
		}
		return err
	case HookTracepointBTF:
		// Which tracepoint it is was settled when the program was loaded.
		return a.hold(links.AttachTracing(links.TracingOptions{Program: p.prog, AttachType: cilium.AttachTraceRawTp}))
	}
	return a.attachUprobe(p)
}

func (a *Attachment) noTarget(err error, detail, hint string) error {
	return &AttachError{Hook: a.Hook, Reason: ErrNoTarget, Err: err, Detail: detail, Hint: hint}
}

// attachTracepoint asks first whether tracefs is mounted: the library keeps a
// "no" for as long as the process lives.
func (a *Attachment) attachTracepoint(p *Program) error {
	root := tracefs()
	if root == "" {
		return &AttachError{
			Hook: a.Hook, Reason: ErrNotSupported, Detail: "tracefs, which numbers the tracepoints, is not mounted",
			Hint: mountTracefs + "; raw_tp hooks do without",
		}
	}
	category, name, _ := strings.Cut(a.Hook.Where, "/")
	err := a.hold(links.Tracepoint(category, name, p.prog, nil))
	if errors.Is(err, os.ErrNotExist) {
		return a.noTarget(err, fmt.Sprintf("there is no tracepoint %s", a.Hook.Where), "they are the directories in "+root+"/events")
	}
	return err
}

func (a *Attachment) attachUprobe(p *Program) error {
	file, err := links.OpenExecutable(a.Hook.Where)
	if err != nil {
		return a.noTarget(err, fmt.Sprintf("there is no file %s", a.Hook.Where), "")
	}
	if a.Hook.Kind == HookUprobe {
		err = a.hold(file.Uprobe(a.Hook.Symbol, p.prog, nil))
	} else {
		err = a.hold(file.Uretprobe(a.Hook.Symbol, p.prog, nil))
	}
	if errors.Is(err, links.ErrNoSymbol) {
		return a.noTarget(err, fmt.Sprintf("%s has no function %q", a.Hook.Where, a.Hook.Symbol), "nm and nm -D list those of a file that is not stripped")
	}
	return err
}

const mountTracefs = "mount -t tracefs tracefs /sys/kernel/tracing"

// tracefs returns where tracefs is mounted, "" if it is nowhere. As in the
// library it is the mounts of the process that count.
func tracefs() string { return mountOf("tracefs") }
