// Package kernel runs eBPF programs in the running Linux kernel: it loads them
// through its verifier, test-runs them on packets, attaches them to interfaces,
// control groups and events, and captures live. It is the referee for the other
// engines, and where a program goes in the end.
//
// [Load] puts a program into the kernel; if the kernel's verifier refuses it,
// the error is a [*VerifierError] with the verifier's log, and [Program.Code]
// shows what the kernel has made of one that it accepts. [Program.TestRun] runs
// it on one packet. A [Collection] loads programs that share maps, those of an
// object: it makes the maps, fills and freezes them, and tells the kernel the
// types of functions. [NewEngine] and [NewObjectEngine] make an engine for whole
// captures of either. [NewClassic] makes one of a classic program, which takes no
// privilege. [Available] says in one sentence why none of the rest works here;
// [Probe] says it in detail, with what to do about it.
//
// # Attaching
//
// [ParseHook] reads where to, as "xdp:eth0", and [Program.Attach] attaches a
// program there. What attaches it is a descriptor (a bpf_link), so that an
// [Attachment] ends with the process at the latest. The [*AttachError] says who
// is in the way, what is not there or what the user lacks. A network namespace
// belongs to a thread; [AttachOptions] and [CaptureOptions] name one by its path.
//
// [NewFilterProgram] builds a program around a classic filter, which counts,
// acts and copies packets for [Packets] to read. [Map.Records] reads what any
// program puts into a ring buffer or a perf event array, [Map.Elements] what is
// in a map, and [Types] tells what the bytes mean.
//
// # What test runs are not
//
// The kernel's test runs (BPF_PROG_TEST_RUN) are not the real thing in every
// respect, and none of it can be configured away. Where a packet or what is known
// of it cannot be had, an engine does not run the program on another one
// instead: the fault is a [*PacketError], which names the limit.
//
//   - A packet must have a whole Ethernet header, an IPv4 or IPv6 packet also
//     its whole fixed network header, and it must fit in one page with its
//     headroom: shorter ones, and those longer than about 3700 bytes, are
//     refused (EINVAL). XDP programs run on longer ones, but see only about
//     3500 bytes of them; the engine refuses those itself.
//   - Of the context of skb programs, mark, priority, ingress_ifindex, cb,
//     tstamp, wire_len, gso_segs and gso_size can be set. The other fields are
//     those of a frame that has arrived on the loopback device: protocol by
//     its EtherType, pkt_type by its address, which is another host's unless
//     it is 0 or a group's, ifindex 1, no VLAN tag beside the bytes, and 0 for
//     hash, queue_mapping and tc_index. In that of XDP programs nothing can be
//     set: ingress_ifindex is 1, rx_queue_index 0. A packet of which the
//     metadata say otherwise is refused to programs that may read the field.
//   - The packet is complete by definition: len is the number of bytes given.
//     Programs that may read it are refused packets of which the capture has a
//     part only.
//   - Socket filters are started at the network header. The engine therefore
//     runs them as traffic-control classifiers, which see the same context
//     and may use the same legacy packet loads, from the link header on.
//   - Where a packet is redirected to does not show, nor what trace_printk
//     prints, nor how many instructions ran. A VLAN tag that a program pushes
//     stands beside the bytes, where it does not show either.
//   - What a program does to the system, it does: a clone that it redirects is
//     sent. Engines run such programs in a network namespace of their own.
//
// # Live capture
//
// [OpenCapture] reads the packets of a device through a filter that runs in the
// kernel: a packet socket (AF_PACKET) with a classic program, or an eBPF one, and
// a ring of memory that the kernel fills and the reader empties (TPACKET_V3).
//
//	link, err := kernel.DeviceLinkType("eth0", "")
//	p, err := filter.Compile("tcp port 80", filter.Options{LinkType: link, Live: true})
//	c, err := kernel.OpenCapture("eth0", kernel.CaptureOptions{Filter: p.Insns})
//	defer c.Close()
//	for {
//		p, err := c.Next()
//		...
//	}
//
// What the filter sees is not always what was on the wire:
//
//   - The outer VLAN tag of an incoming packet is not in its bytes. A program for
//     live packets asks the kernel for it, and one that does not ask takes tagged
//     packets for untagged ones: "tcp port 80" matches them live, but not in the
//     capture, where the tag is in the bytes again.
//   - Outgoing packets are seen before the device completes them: checksums are
//     missing, and what the device will split is one long packet.
//   - Packets of devices that have no link header, or none that we know, get a
//     cooked one behind the filter. Most of it is there for the filter, too: what
//     is not is refused.
//
// [CaptureStats] says what was lost, and where.
//
// # Files
//
// In reading order. What the package is about, on any system: kernel.go, packet.go,
// verify.go. Loading: load_linux.go, verify_linux.go (what the kernel has made of a
// program), collection_linux.go and maps_linux.go (programs that share maps). Test
// runs: testrun_linux.go, engine_linux.go with engine_fields.go (what a program may
// read of its context) and the other engine_*.go, socketpair_linux.go (classic
// programs). Attaching: hook.go, attach.go, attach_linux.go, one attach_*_linux.go for
// each kind of hook; observe*.go, the programs around filters; map_linux.go,
// records_linux.go and types.go, what programs leave. Live capture: live.go,
// live_linux.go, ring_linux.go, socket_*.go. What this machine allows:
// probe_linux.go, hook_probe_linux.go.
//
// On systems other than Linux what needs the kernel returns [ErrNotSupported]
// (other.go, live_other.go).
package kernel
