package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/ebpf/object"
)

// attachFilter runs a filter at the only hook until the end.
func (r *attachRun) attachFilter(ctx context.Context, args []string) error {
	text, err := r.expression(r.filterFlags.file, args)
	if err != nil {
		return err
	}
	h, err := r.filterHook()
	if err != nil {
		return err
	}
	link, err := r.linkOf(h)
	if err != nil {
		return err
	}
	options := r.filterFlags.options(link)
	options.Live = h.Kind != kernel.HookXDP // where the tag is still in the bytes
	if h.Kind == kernel.HookSocket {
		options.SnapLen = uint32(r.snapLen)
	}
	p, err := filter.Compile(text, options)
	if err != nil {
		return err
	}
	if p.RejectsAll {
		r.say("warning: the filter rejects all packets")
	}
	return inFilter(p, r.runClassic(ctx, h, link, p.Insns))
}

// filterHook is the hook of a filter, which sees packets and nothing else.
func (r *attachRun) filterHook() (kernel.Hook, error) {
	if len(r.hooks) != 1 {
		return kernel.Hook{}, usagef("a filter takes one --to, such as --to socket:eth0; %d are given", len(r.hooks))
	}
	h := r.hooks[0]
	atSocket := h.Kind == kernel.HookSocket
	switch {
	case !seesPackets(h.Kind):
		return h, usagef("there are no packets at %v: a filter goes to a socket, xdp, tcx or cgroup hook", h)
	case atSocket && r.action != "":
		return h, usagef("a socket sees copies of packets: --action is for xdp, tcx and cgroup hooks")
	case atSocket && r.options.Pin != "":
		return h, usagef("a socket's filter ends with the socket: --pin is for other hooks")
	case r.action != "" && r.output == "" && (r.limit > 0 || r.json || r.snapLen > 0):
		return h, usagef("with --action packets go nowhere but to -w: -c, -s and --json have no place")
	case !atSocket && r.extended:
		return h, usagef("--ebpf is for socket hooks")
	case r.options.Pin != "" && r.action == "":
		return h, usagef("nobody would read what a pinned filter copies: --pin goes with --action, or with a program")
	case len(r.watch)+len(r.recordTypes)+len(r.maps)+len(r.vars)+len(r.sizes) > 0 || r.program+r.progType != "":
		return h, usagef("--prog, --type, --var, --map, --map-size, --watch and --record are for programs, not for filters")
	}
	return h, nil
}

func seesPackets(k kernel.HookKind) bool {
	return k == kernel.HookSocket || k == kernel.HookXDP || k.Type() == abi.SchedCLS || k.Type() == abi.CGroupSKB
}

// linkOf is what the packets at a hook begin with.
func (r *attachRun) linkOf(h kernel.Hook) (cbpf.LinkType, error) {
	if h.Kind.Type().FromNetwork() {
		return cbpf.LinkRaw, nil
	}
	link, err := kernel.DeviceLinkType(h.Where, r.options.Netns)
	switch {
	case err != nil:
		return 0, r.refused(err)
	case h.Kind == kernel.HookSocket || link == cbpf.LinkEthernet || link == cbpf.LinkRaw:
		return link, nil
	}
	// A packet socket makes a cooked header for such a device; other hooks have none.
	return 0, noKernel(fmt.Errorf("%s has link headers of its own, which %v hooks do not hide: attach to socket:%[1]s", h.Where, h.Kind))
}

// runClassic runs a classic program at a hook.
func (r *attachRun) runClassic(ctx context.Context, h kernel.Hook, link cbpf.LinkType, prog []bpf.RawInstruction) error {
	if h.Kind == kernel.HookSocket {
		return r.captureClassic(ctx, h, link, prog)
	}
	o := r.filterOptions(h)
	linked, err := kernel.NewFilterProgram(h.Kind, prog, o)
	if err != nil {
		return err
	}
	c, loaded, err := r.load(linked, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	packets, err := c.NewPackets(link)
	if err != nil {
		return r.refused(err)
	}
	defer packets.Close()
	a, err := r.attachTo(loaded[0], h, r.options)
	if err != nil {
		return err
	}
	defer a.Close()
	var n uint64
	switch {
	case r.options.Pin != "":
		return nil
	case o.Copy:
		// What comes while the rest is read would put off the end.
		stop := func() error { return errors.Join(a.Close(), packets.Stop()) }
		n, err = r.readPackets(ctx, packets, link, stop)
	default:
		<-ctx.Done()
	}
	// Detached, so that the counts are of the same packets.
	return errors.Join(err, a.Close(), r.sayFiltered(packets, n))
}

// filterOptions are what --action makes of a filter: verdicts, and whether
// packets are copied.
func (r *attachRun) filterOptions(h kernel.Hook) kernel.FilterOptions {
	untouched := kernel.Untouched(h.Kind)
	o := kernel.FilterOptions{
		Match: untouched, NoMatch: untouched,
		Copy: r.action == "" || r.output != "", SnapLen: r.snapLen,
	}
	switch r.action {
	case "drop":
		o.Match = kernel.Dropped(h.Kind)
	case "pass":
		o.NoMatch = kernel.Dropped(h.Kind)
	}
	return o
}

// sayFiltered tells what a filter program has counted.
func (r *attachRun) sayFiltered(p *kernel.Packets, read uint64) error {
	stats, err := p.Stats()
	if err != nil {
		return r.refused(err)
	}
	switch {
	case r.action != "":
		r.say("%d packets, %d matched", stats.Seen, stats.Matched)
	default:
		r.say("%d packets, %d matched, %d shown, %d lost for want of room", stats.Seen, stats.Matched, read, stats.Lost)
	}
	return nil
}

// captureClassic captures with a classic program at a socket, or with its
// translation.
func (r *attachRun) captureClassic(ctx context.Context, h kernel.Hook, link cbpf.LinkType, prog []bpf.RawInstruction) error {
	if !r.extended {
		return r.capture(ctx, h, kernel.CaptureOptions{Filter: prog})
	}
	prog, err := kernel.SocketFilter(prog, link)
	if err != nil {
		return err
	}
	lifted, err := lift.Lift(prog, lift.Options{Hook: abi.HookSocket, Access: lift.Abs})
	if err != nil {
		return err
	}
	p := linkedProgram("bpflab_filter", lifted.Type, lifted.Insns)
	c, loaded, err := r.load(&object.Linked{Programs: []object.LinkedProgram{p}}, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	return r.capture(ctx, h, kernel.CaptureOptions{Program: loaded[0]})
}

// capture captures at a socket.
func (r *attachRun) capture(ctx context.Context, h kernel.Hook, o kernel.CaptureOptions) error {
	c, err := r.openCapture(h, o)
	if err != nil {
		return err
	}
	defer c.Close()
	return r.readCapture(ctx, c, h)
}

// openCapture begins to capture at a socket as the flags say.
func (r *attachRun) openCapture(h kernel.Hook, o kernel.CaptureOptions) (*kernel.Capture, error) {
	o.Netns, o.Promiscuous, o.SnapLen = r.options.Netns, r.options.Promiscuous, r.snapLen
	c, err := kernel.OpenCapture(h.Where, o)
	if err != nil {
		return nil, r.refused(err)
	}
	r.say("attached to %v", h)
	return c, nil
}

// readCapture shows what is captured, and in the end what was lost.
func (r *attachRun) readCapture(ctx context.Context, c *kernel.Capture, h kernel.Hook) error {
	n, err := r.readPackets(ctx, c, c.LinkType(), func() error { c.Stop(); return nil })
	return errors.Join(err, r.sayCaptured(c, h, n))
}

// sayCaptured tells what the kernel has counted at a socket. Only what the
// interface has missed is lost for sure: among what was dropped on its way in
// there may be packets that the filter has seen.
func (r *attachRun) sayCaptured(c *kernel.Capture, h kernel.Hook, read uint64) error {
	stats, err := c.Stats()
	if err != nil {
		return r.refused(err)
	}
	text := fmt.Sprintf("%d packets matched, %d shown, %d lost for want of room", stats.Received, read, stats.Dropped)
	if h.Where != kernel.AnyDevice { // whose counters there are none of
		text += fmt.Sprintf(", %d missed by the interface, %d dropped on the way in", stats.InterfaceMissed, stats.InterfaceDropped)
	}
	r.say("%s", text)
	return nil
}

// say prints a line about what is going on, beside the data.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.errOut, "bpflab attach: "+format+"\n", args...)
}

// refused gives an error of attaching its status.
func (r *attachRun) refused(err error) error {
	var no *kernel.VerifierError
	var at *kernel.AttachError
	switch {
	case errors.As(err, &no) && r.kernelLog:
		return answerNo{fmt.Errorf("%+v", no)}
	case errors.As(err, &no):
		return answerNo{fmt.Errorf("%w (--kernel-log shows how it got there)", no)}
	case errors.Is(err, kernel.ErrInUse) && errors.As(err, &at) && at.Hook.Kind == kernel.HookXDP && r.options.Pin == "":
		return noKernel(fmt.Errorf("%w (--replace)", err))
	case errors.Is(err, kernel.ErrNoTarget), errors.Is(err, syscall.ENODEV), errors.Is(err, fs.ErrNotExist):
		return ioError(err)
	case isSyntax(err):
		return err
	}
	return noKernel(err)
}
