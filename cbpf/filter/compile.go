package filter

import (
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// DefaultSnapLen is what a filter returns for a packet that matches, unless
// told otherwise: the number of bytes to keep, more than any packet has.
const DefaultSnapLen = 262144

// Options say what a filter is compiled for. The zero value is for capture
// files of BSD loopback packets; set LinkType.
type Options struct {
	LinkType cbpf.LinkType

	// SnapLen is what the program returns for a match, 0 meaning
	// DefaultSnapLen.
	SnapLen uint32

	// NoOptimize leaves out every pass that changes the graph. The program
	// gives the same verdicts.
	NoOptimize bool

	// Live compiles for packets as the Linux kernel hands them to a socket:
	// "vlan" also looks at the tag that the kernel has taken out of the bytes,
	// "inbound", "outbound" and "ifindex" ask the kernel. Otherwise the
	// filter sees what a capture file has.
	Live bool

	// BigEndian says that a big-endian machine wrote the capture. It matters
	// for NULL only, whose address family has the byte order of its host.
	BigEndian bool

	// Netmask of the network captured from, for "ip broadcast": 0xffffff00
	// is a /24. It counts only if NetmaskKnown is set.
	Netmask      uint32
	NetmaskKnown bool

	// Names looks up the names of hosts, networks, ports and protocols. Nil
	// means SystemNames().
	Names Resolver
}

// A Program is a compiled filter.
type Program struct {
	Expr   string
	Insns  []bpf.RawInstruction
	Origin origin.Table // for each instruction the bytes of Expr that it stands for

	// RejectsAll says that no packet can match, such as "tcp and udp" or
	// "ip6" on a link that carries IPv4 only, as far as the compiler sees.
	RejectsAll bool

	tree    Node
	options Options
}

// Compile compiles an expression of the pcap-filter(7) language to a classic
// BPF program. The empty expression accepts every packet. What is wrong with
// an expression, or cannot be asked of the link type, is an [*Error].
//
// The program is valid for the kernel but for its length: a filter with many
// terms can be longer than the 4096 instructions that a socket takes, see
// [cbpf.Check].
func Compile(expr string, o Options) (*Program, error) {
	if o.SnapLen == 0 {
		o.SnapLen = DefaultSnapLen
	}
	if o.Names == nil {
		o.Names = SystemNames()
	}
	p := &Program{Expr: expr, options: o}
	syntax, err := parse(expr)
	if err != nil {
		return nil, inExpr(err, expr)
	}
	if syntax != nil {
		if p.tree, err = resolve(syntax, o.Names); err != nil {
			return nil, inExpr(err, expr)
		}
	}
	f, err := lower(p.tree, &o)
	if err != nil {
		return nil, inExpr(err, expr)
	}
	f, p.RejectsAll = middle(f, &o)
	p.Insns, p.Origin, err = emit(f, o.SnapLen)
	if err != nil {
		return nil, inExpr(err, expr)
	}
	return p, nil
}

// middle runs the passes. A graph in which no way leads to the accepting block
// becomes one that rejects at once: what it evaluates could only fault, which
// is to reject.
func middle(f *ir.Func, o *Options) (out *ir.Func, rejectsAll bool) {
	if !o.NoOptimize {
		optimize(f)
	}
	for _, b := range f.Blocks {
		if b.Kind == ir.Accept && len(b.Preds) > 0 {
			return f, false
		}
	}
	f = ir.NewFunc()
	entry := f.NewBlock(ir.Jump)
	f.NewBlock(ir.Accept)
	f.Connect(ir.Edge{From: entry}, f.NewBlock(ir.Reject))
	return f, true
}

// A Stage is the filter after a part of the compiler, as text for people.
type Stage struct {
	Name string // "tree", "lowered" or "emitted"
	Text string
}

// Stages returns what the filter was on its way from the expression to the
// instructions: the tree with all names looked up, the graph as lowering made
// it, and the graph that was emitted, after the passes. They are made anew from the tree, so
// that Compile does not pay for them.
func (p *Program) Stages() []Stage {
	f, err := lower(p.tree, &p.options)
	if err != nil {
		panic("filter: lowered once, refused twice: " + err.Error())
	}
	lowered := f.String()
	f, _ = middle(f, &p.options)
	return []Stage{{"tree", treeText(p.tree)}, {"lowered", lowered}, {"emitted", f.String()}}
}
