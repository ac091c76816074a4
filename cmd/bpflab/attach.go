package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/ebpf/kernel"
)

var attachCommand = command{
	name:  "attach",
	args:  "FILTER…|PROG",
	short: "run a filter or a program in the kernel, at a hook",
	long: `
Puts a filter or a program where --to says, and takes it away again at the end:
after --for, after -c packets, at ^C, and also if bpflab is killed.

The hooks are socket:, xdp:, tcx-in: and tcx-out:INTERFACE, cgroup:, cgroup-in:
and cgroup-out:PATH, tp:CATEGORY/NAME, raw_tp: and tp_btf:NAME,
uprobe: and uretprobe:BINARY:SYMBOL.

A filter prints the packets that it matches as lines, or writes them with -w. At
a socket it runs in the kernel as classic BPF (--ebpf: translated); at xdp, tcx
and cgroup hooks a program built around it copies what matches to a ring buffer
and leaves the packets alone, unless --action says otherwise: "drop" drops what
matches, "pass" drops what does not.

PROG is an ELF object, assembly text or another form of an eBPF program; -p
names it where its name could be a filter. The sections of an object tell what
its programs attach to, as "tracepoint/syscalls/sys_enter_openat" does; where
they leave it open, as "xdp" does, --to says it. The records that programs put
into ring buffers and perf event arrays are printed, as the types of the object
describe them, and --watch prints a map whenever it has changed.

bpflab's verifier looks at a program first, and if it rejects it nothing is
loaded; --no-verify leaves it to the kernel's.

With --json, one object a line: for packets {"number", "time", "caplen",
"wirelen", "linktype", "summary"}, for records {"map", "record"}, for maps {"map",
"time", "elements"}.`,
	bind: bindAttach,
}

type attachRun struct {
	*app
	filterFlags
	objectFlags
	to          []string
	file        string
	hooks       []kernel.Hook
	mode        string
	order       string
	options     kernel.AttachOptions
	netns       string
	action      string
	extended    bool
	snapLen     int
	noVerify    bool
	kernelLog   bool
	maps        []string
	watch       []string
	recordTypes []string
	every       time.Duration

	output string
	limit  uint64
	span   time.Duration
	json   bool
}

func bindAttach(a *app, flags *pflag.FlagSet) func([]string) error {
	r := &attachRun{app: a}
	flags.StringArrayVar(&r.to, "to", nil, "attach to `HOOK`, such as xdp:eth0; can be given several times for an object")
	flags.StringVarP(&r.output, "write", "w", "", "write the packets to `FILE`: pcapng if its name ends so, otherwise pcap; - is standard output")
	flags.Uint64VarP(&r.limit, "limit", "c", 0, "end after `N` packets or records")
	flags.DurationVar(&r.span, "for", 0, "end after `TIME`, such as 10s")
	flags.BoolVar(&r.json, "json", false, "one JSON object a line")
	flags.IntVarP(&r.snapLen, "snaplen", "s", 0, "keep `N` bytes of a packet (default all)")
	flags.BoolVar(&r.options.Promiscuous, "promiscuous", false, "at a socket: receive packets to other hosts, too")
	flags.BoolVar(&r.extended, "ebpf", false, "at a socket: translate the filter to eBPF instead of leaving that to the kernel")
	flags.StringVar(&r.action, "action", "", "at xdp, tcx and cgroup: `drop` what matches and pass the rest, or pass what matches and drop the rest")
	flags.StringVar(&r.mode, "mode", "auto", "at xdp, `MODE`: native (the driver), generic (any driver, slower), or auto, native if possible")
	flags.StringVar(&r.order, "order", "tail", "at tcx, `PLACE` among the other programs: head, tail, before:PROGRAM, after:PROGRAM")
	flags.BoolVar(&r.options.Replace, "replace", false, "at xdp: take away the program that is there, for good")
	flags.StringVar(&r.options.Pin, "pin", "", "leave it attached, until `PATH` in a BPF file system is removed; with several programs PATH is a directory")
	flags.StringVar(&r.netns, "netns", "", "the network namespace of the interface, by `NAME` (ip netns) or path")
	flags.StringVarP(&r.file, "program", "p", "", "attach the program in `FILE`")
	flags.StringVar(&r.program, "prog", "", "the program of the object, by `NAME` (default all that have a hook)")
	a.declareBTF(flags)
	r.objectFlags.declare(flags, "that of the hook")
	flags.StringArrayVar(&r.maps, "map", nil, "fill a map of the program: `NAME=FILE` in bpftool's JSON; can be given several times")
	flags.StringArrayVar(&r.watch, "watch", nil, "print the map `NAME` whenever it has changed; can be given several times")
	flags.StringArrayVar(&r.recordTypes, "record", nil, "the records of ring buffers and perf event arrays are of `STRUCT`, or MAP=STRUCT (default the one structure that has their size)")
	flags.DurationVar(&r.every, "every", time.Second, "look at watched maps every `TIME`")
	flags.BoolVar(&r.noVerify, "no-verify", false, "leave verifying to the kernel")
	flags.BoolVar(&r.kernelLog, "kernel-log", false, "print the whole log of the kernel's verifier if it refuses the program")
	r.filterFlags.declare(flags)
	return r.run
}

func (r *attachRun) run(args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	file, err := r.programFile(args)
	if err != nil {
		return err
	}
	ctx, end := r.untilEnd()
	defer end()
	if file == "" {
		return r.attachFilter(ctx, args)
	}
	return r.attachProgram(ctx, file)
}

// check reads the flags that are more than text.
func (r *attachRun) check() (err error) {
	for _, text := range r.to {
		h, err := kernel.ParseHook(text)
		if err != nil {
			return usage(err)
		}
		r.hooks = append(r.hooks, h)
	}
	if r.options.Mode, err = kernel.ParseXDPMode(r.mode); err != nil {
		return usage(err)
	}
	if r.options.Order, err = kernel.ParseOrder(r.order); err != nil {
		return usage(err)
	}
	r.options.Netns = r.netns
	if r.netns != "" && !strings.Contains(r.netns, "/") {
		r.options.Netns = filepath.Join("/run/netns", r.netns)
	}
	switch {
	case r.action != "" && r.action != "drop" && r.action != "pass":
		return usagef("--action takes drop or pass, not %q", r.action)
	case r.span < 0 || r.every <= 0 || r.snapLen < 0:
		return usagef("--for, --every and -s are not negative")
	case r.output == "-" && r.json:
		return usagef("-w - leaves no room for --json on standard output")
	case r.output == "-" && r.tty:
		return usagef("a capture is binary: redirect the output of -w -")
	case r.options.Pin != "" && (r.output != "" || r.limit > 0 || r.span > 0 || len(r.watch) > 0):
		return usagef("with --pin the program stays and bpflab ends at once: -w, -c, --for and --watch have no place")
	}
	return r.checkHooks()
}

// checkHooks refuses flags of which no hook of --to takes notice. Those that
// sections name are never on an interface.
func (r *attachRun) checkHooks() error {
	at := func(kinds ...kernel.HookKind) bool {
		return slices.ContainsFunc(r.hooks, func(h kernel.Hook) bool { return slices.Contains(kinds, h.Kind) })
	}
	onInterface := slices.ContainsFunc(r.hooks, func(h kernel.Hook) bool { return h.Kind.OnInterface() })
	switch o := &r.options; {
	case (o.Mode != kernel.XDPAuto || o.Replace) && !at(kernel.HookXDP):
		return usagef("--mode and --replace are for xdp hooks")
	case o.Order != (kernel.Order{}) && !at(kernel.HookTCXIn, kernel.HookTCXOut):
		return usagef("--order is for tcx hooks")
	case o.Promiscuous && !at(kernel.HookSocket):
		return usagef("--promiscuous is for socket hooks")
	case o.Netns != "" && !onInterface:
		return usagef("--netns is for hooks of an interface")
	}
	return nil
}

// untilEnd returns a context that ends with --for or with a signal.
func (r *attachRun) untilEnd() (context.Context, func()) {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	context.AfterFunc(ctx, stop) // a second signal does not wait for an orderly end
	if r.span == 0 {
		return ctx, stop
	}
	ctx, cancel := context.WithTimeout(ctx, r.span)
	return ctx, func() { cancel(); stop() }
}

// programFile returns the file of the program, "" if the arguments are a filter.
// A single argument that names a file is a program if the file holds one.
func (r *attachRun) programFile(args []string) (string, error) {
	if r.file != "" {
		if len(args) > 0 || r.filterFlags.file != "" {
			return "", usagef("both a program and a filter given")
		}
		return r.file, nil
	}
	if len(args) != 1 || r.filterFlags.file != "" {
		return "", nil
	}
	if info, err := os.Stat(args[0]); err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return "", err
	}
	if isELF(data) {
		return args[0], nil
	}
	if _, err := r.programIn(args[0], data, 0); err != nil {
		return "", nil
	}
	return args[0], nil
}
