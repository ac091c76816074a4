package abi

import "strconv"

// A ProgType is a program type, with the number that the kernel gives it
// (enum bpf_prog_type). It decides the context, the helpers and the meaning
// of the return value.
type ProgType uint32

// The program types that attach to packets and have a context here.
const (
	SocketFilter  ProgType = 1
	SchedCLS      ProgType = 3
	SchedACT      ProgType = 4
	XDP           ProgType = 6
	CGroupSKB     ProgType = 8
	LWTIn         ProgType = 10
	LWTOut        ProgType = 11
	LWTXmit       ProgType = 12
	FlowDissector ProgType = 22
)

// The program types that look at the running system. What R1 points to is the
// matter of the event: registers, arguments, a record; see
// [ProgType.HasByteContext].
const (
	Kprobe        ProgType = 2
	Tracepoint    ProgType = 5
	PerfEvent     ProgType = 7
	RawTracepoint ProgType = 17
	Tracing       ProgType = 26
	Syscall       ProgType = 31
)

// progTypes names the kernel's program types as libbpf and bpftool do;
// the index is the number.
var progTypes = [...]string{
	"unspec", "socket_filter", "kprobe", "sched_cls", "sched_act",
	"tracepoint", "xdp", "perf_event", "cgroup_skb", "cgroup_sock",
	"lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb",
	"cgroup_device", "sk_msg", "raw_tracepoint", "cgroup_sock_addr",
	"lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector",
	"cgroup_sysctl", "raw_tracepoint_writable", "cgroup_sockopt",
	"tracing", "struct_ops", "ext", "lsm", "sk_lookup", "syscall",
	"netfilter",
}

// String returns the kernel's name in lower case, such as "sched_cls", or the
// number of a type that Linux 6.12 does not have.
func (t ProgType) String() string {
	if int(t) < len(progTypes) {
		return progTypes[t]
	}
	return strconv.Itoa(int(t))
}

// A TypeSet is a set of program types.
type TypeSet uint64

// Types returns the set of the given program types.
func Types(types ...ProgType) TypeSet {
	var s TypeSet
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

// Has reports whether t is in the set.
func (s TypeSet) Has(t ProgType) bool { return t < 64 && s>>t&1 != 0 }

// The sets that the tables are written with.
var (
	schedTypes   = Types(SchedCLS, SchedACT)
	lwtTypes     = Types(LWTIn, LWTOut, LWTXmit)
	skbTypes     = schedTypes | lwtTypes | Types(SocketFilter, CGroupSKB)
	netTypes     = skbTypes | Types(XDP, FlowDissector)
	tracingTypes = Types(Kprobe, Tracepoint, PerfEvent, RawTracepoint, Tracing, Syscall)
	allTypes     = netTypes | tracingTypes
)

// HasByteContext reports whether the context of programs of type t is bytes
// that whoever runs the program gives, without a structure known here.
func (t ProgType) HasByteContext() bool { return tracingTypes.Has(t) }

// ContextBytes returns how many bytes of such a context the kernel lets programs
// read: the registers of x86-64 (kprobe_prog_is_valid_access), for perf events
// with a period and an address behind them, PERF_MAX_TRACE_SIZE, twelve arguments
// (bpf_tracing_ctx_access). It is 0 for types whose context depends on what the
// program is attached to, and for those that have a structure.
func (t ProgType) ContextBytes() int {
	switch t {
	case Kprobe:
		return 168
	case PerfEvent:
		return 168 + 16
	case Tracepoint:
		return 8192
	case RawTracepoint:
		return 12 * 8
	}
	return 0
}

// HasLegacyLoads reports whether programs of type t may use the packet loads
// that eBPF inherits from classic BPF, LD_ABS and LD_IND (may_access_skb in
// kernel/bpf/verifier.c).
func (t ProgType) HasLegacyLoads() bool { return t == SocketFilter || schedTypes.Has(t) }

// FromNetwork reports whether programs of type t see packets from the network
// header on, without the link header: in the sockets of a control group
// (__cgroup_bpf_run_filter_skb) and in routes (run_lwt_bpf). The others see the
// link header, though a socket may have taken it off before.
func (t ProgType) FromNetwork() bool { return t == CGroupSKB || lwtTypes.Has(t) }
