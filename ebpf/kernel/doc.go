// Package kernel runs eBPF programs in the running Linux kernel: it loads them
// through its verifier and test-runs them on packets, without attaching them
// to anything. It is the referee for the other engines, and the last step
// before a program goes to a real interface.
//
// [Load] puts a program into the kernel; if the kernel's verifier refuses it,
// the error is a [*VerifierError] with the verifier's log. [Program.TestRun]
// runs it on one packet, [NewEngine] wraps it as an engine for whole captures.
// A [Collection] loads programs that share maps, those of an object: it makes
// the maps, fills and freezes them, and tells the kernel the types of functions.
// [Available] says in one sentence why none of this works here; [Probe] says
// it in detail, with what to do about it.
//
// The kernel's test runs (BPF_PROG_TEST_RUN) are not the real thing in every
// respect, and none of it can be configured away:
//
//   - A packet must have a whole Ethernet header, an IPv4 or IPv6 packet also
//     its whole fixed network header, and it must fit in one page with its
//     headroom: shorter and longer ones are refused (EINVAL). XDP programs
//     run on longer ones, but see only a page of them; [NewEngine] refuses
//     those itself.
//   - The packet is complete by definition: its length on the wire is the
//     number of bytes given.
//   - Socket filters are started at the network header. [NewEngine] therefore
//     runs them as traffic-control classifiers, which see the same context
//     and may use the same legacy packet loads, from the link header on.
//   - The packet arrives on the loopback device; VLAN tags that the hardware
//     has taken out cannot be given.
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
// On systems other than Linux every function returns [ErrNotSupported].
package kernel
