package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/pflag"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
)

var compileCommand = command{
	name:  "compile",
	args:  "FILTER…",
	short: "compile a filter to a classic or eBPF program",
	long: `
Compiles a pcap-filter(7) expression. Without --hook the result is a classic
program, by default in the form of tcpdump -d; -ddd gives what iptables' bpf
match and other tools take. With --hook it is an eBPF program that does the
same at that hook, by default as assembly text.

Without --live a filter is for packets as they stand in a capture file. On a
live Linux interface the VLAN tag has been taken out of the packet, and "vlan",
"inbound", "outbound" and "ifindex" must ask the kernel: that is --live.`,
	bind: bindCompile,
}

// filterFlags say how a filter is compiled.
type filterFlags struct {
	file       string
	noOptimize bool
	dns        bool
}

func (f *filterFlags) declare(flags *pflag.FlagSet) {
	flags.StringVarP(&f.file, "file", "F", "", "read the filter from `FILE`; \"# …\" to the end of a line is a comment")
	flags.BoolVar(&f.noOptimize, "no-optimize", false, "leave out the passes over the intermediate representation")
	flags.BoolVar(&f.dns, "dns", false, "ask the DNS for host names that /etc/hosts does not have")
}

func (f *filterFlags) options(link cbpf.LinkType) filter.Options {
	o := filter.Options{LinkType: link, NoOptimize: f.noOptimize}
	if f.dns {
		o.Names = filter.DNSNames(context.Background(), net.DefaultResolver, filter.SystemNames())
	}
	return o
}

type compileRun struct {
	*app
	filterFlags
	outputFlags
	targetFlags
	linkType string
	snapLen  uint32
	live     bool
	source   bool
}

func bindCompile(a *app, flags *pflag.FlagSet) func([]string) error {
	c := &compileRun{app: a}
	flags.StringVarP(&c.linkType, "linktype", "y", "", "`LINKTYPE` of the packets: "+linkTypeNames()+" (default EN10MB; RAW at cgroup_skb)")
	flags.Uint32VarP(&c.snapLen, "snaplen", "s", 262144, "what the program returns for a match: the `BYTES` to keep of the packet")
	c.filterFlags.declare(flags)
	flags.BoolVar(&c.live, "live", false, "for a live Linux interface: VLAN tags and directions are asked of the kernel")
	c.outputFlags.declareDump(flags)
	c.outputFlags.declare(flags, formatNames())
	flags.BoolVar(&c.source, "source", false, "show beside each instruction the part of the filter it comes from")
	c.targetFlags.declare(flags, "")
	return c.run
}

func (c *compileRun) run(args []string) error {
	link, err := c.link()
	if err != nil {
		return usage(err)
	}
	switch {
	case c.snapLen == 0:
		return usagef("a snapshot length of 0 rejects all packets")
	case c.hook == "" && (c.access != "" || c.returns != ""):
		return usagef("--access and --returns are about eBPF programs: say for which --hook")
	}
	text, err := c.expression(c.filterFlags.file, args)
	if err != nil {
		return err
	}
	options := c.filterFlags.options(link)
	options.SnapLen, options.Live = c.snapLen, c.live
	program, err := filter.Compile(text, options)
	if err != nil {
		return err
	}
	if program.RejectsAll {
		fmt.Fprintln(c.errOut, "bpflab compile: warning: the filter rejects all packets")
	}
	if c.hook == "" {
		return c.writeClassic(c.outputFlags, "d", program.Insns, c.comment(program, program.Origin))
	}
	return c.writeLifted(program)
}

// link returns the link type that the filter is for. Some hooks see packets
// from the network header on, so there only raw IP makes sense.
func (c *compileRun) link() (cbpf.LinkType, error) {
	hook, hookErr := abi.ParseHook(c.hook)
	fromNetwork := hookErr == nil && hook.Type().FromNetwork()
	switch {
	case c.linkType == "" && fromNetwork:
		return cbpf.LinkRaw, nil
	case c.linkType == "":
		return cbpf.LinkEthernet, nil
	}
	link, err := cbpf.ParseLinkType(c.linkType)
	if err == nil && fromNetwork && link != cbpf.LinkRaw && link != cbpf.LinkIPv4 && link != cbpf.LinkIPv6 {
		return 0, fmt.Errorf("programs at %s see packets without their link header: -y RAW, IPV4 or IPV6, not %v", hook, link)
	}
	return link, err
}

// comment returns the function that shows an instruction's part of the
// filter, nil unless --source asks for it.
func (c *compileRun) comment(p *filter.Program, origins origin.Table) func(int) string {
	if !c.source {
		return nil
	}
	return sourceComment(p.Expr, origins)
}

// writeLifted translates the program for the hook and writes the result.
func (c *compileRun) writeLifted(p *filter.Program) error {
	options, err := c.liftOptions()
	if err != nil {
		return err
	}
	lifted, err := lift.Lift(p.Insns, options)
	if err != nil {
		return inFilter(p, err)
	}
	return c.writeExtended(c.outputFlags, "asm", options.Hook.Info().Section, lifted.Insns, c.comment(p, lifted.Origin.Through(p.Origin)))
}

// inFilter gives an error about a classic instruction the place in the filter
// that the instruction comes from.
func inFilter(p *filter.Program, err error) error {
	var e *lift.Error
	if !errors.As(err, &e) || e.Index < 0 || len(p.Origin[e.Index]) == 0 {
		return err
	}
	return &filter.Error{Expr: p.Expr, At: p.Origin[e.Index][0], Msg: e.Msg, Err: err}
}

func linkTypeNames() string {
	var names string
	for i, t := range cbpf.LinkTypes() {
		if i > 0 {
			names += ", "
		}
		names += t.String()
	}
	return names
}
