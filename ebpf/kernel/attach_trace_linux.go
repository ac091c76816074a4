package kernel

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
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
			return noTracepoint(h, err)
		}
		return err
	case HookTracepointBTF:
		// Which tracepoint it is was settled when the program was loaded.
		return a.hold(links.AttachTracing(links.TracingOptions{Program: p.prog, AttachType: cilium.AttachTraceRawTp}))
	}
	return a.attachUprobe(p)
}

func noTarget(h Hook, err error, detail, hint string) error {
	return &AttachError{Hook: h, Reason: ErrNoTarget, Err: err, Detail: detail, Hint: hint}
}

// noTracepoint is the error of a hook without tracefs.
func noTracepoint(h Hook, err error) error {
	return noTarget(h, err, fmt.Sprintf("there is no tracepoint %q", h.Where), "sys_enter and sched_switch are some")
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
		return noTarget(a.Hook, err, fmt.Sprintf("there is no tracepoint %s", a.Hook.Where), "they are the directories in "+root+"/events")
	}
	return err
}

func (a *Attachment) attachUprobe(p *Program) error {
	file, err := links.OpenExecutable(a.Hook.Where)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return noTarget(a.Hook, err, fmt.Sprintf("there is no file %s", a.Hook.Where), "")
	case err != nil:
		return err
	}
	if a.Hook.Kind == HookUprobe {
		err = a.hold(file.Uprobe(a.Hook.Symbol, p.prog, nil))
	} else {
		err = a.hold(file.Uretprobe(a.Hook.Symbol, p.prog, nil))
	}
	var format *elf.FormatError
	switch {
	case errors.As(err, &format), errors.Is(err, io.EOF):
		return noTarget(a.Hook, err, fmt.Sprintf("%s is no ELF file", a.Hook.Where), "")
	case errors.Is(err, links.ErrNoSymbol):
		return noTarget(a.Hook, err, fmt.Sprintf("%s has no function %q", a.Hook.Where, a.Hook.Symbol), "nm and nm -D list those of a file that is not stripped")
	}
	return err
}

const mountTracefs = "mount -t tracefs tracefs /sys/kernel/tracing"

// tracefs returns where tracefs is mounted, "" if it is nowhere. As in the
// library it is the mounts of the process that count.
func tracefs() string { return mountOf("tracefs") }
