// Package filter compiles the pcap-filter(7) language, the one of tcpdump, to
// classic BPF.
//
//	p, err := filter.Compile("tcp port 80 and host 10.0.0.1",
//		filter.Options{LinkType: cbpf.LinkEthernet})
//
// # The stages
//
//	expression ─scan, parse─▶ syntax tree ─resolve─▶ tree of tests
//	    ─lower─▶ graph (package ir) ─passes─▶ graph ─emit─▶ instructions
//
// Parsing knows the text alone, resolving looks up names and judges qualifiers,
// and neither knows what a packet looks like. Lowering knows that: it turns
// "tcp port 80" on Ethernet into loads and compares. From there on there are
// only blocks, which branch on comparisons of values, and the back end decides
// about accumulators and jumps. [Program.Stages] shows what a filter was after
// each stage, and every piece of it knows the part of the expression that it
// came from, down to the instructions: [Program.Origin].
//
// # Lowering
//
// A piece of the filter is given the edges that lead to it and returns those
// that leave it when it holds and when it does not; "and" and "or" are then a
// matter of which edges lead where, and "not" swaps them. Small tests (all,
// anyOf, equal, …) are put together the same way, so that the functions for
// hosts, ports and protocols read as the definition of what they test.
//
// Where the headers are is a value of its own, a stack of layers, passed along
// the text. Each layer has a link type, which is a row of the table linkLayers,
// and the offsets of its header, type field and payload. "vlan", "mpls",
// "pppoes" and "geneve" change the stack for the text after them. Offsets are
// constants as long as they can be; behind Geneve, and behind the VLAN tag of a
// live packet, they have a part that is known at run time only. Each edge
// carries the values of these parts, and where edges meet that disagree, the
// graph gets a phi.
//
// # Faults
//
// A load behind the captured bytes ends the filter and rejects the packet,
// whatever "not" and "or" stand around it. So on truncated packets the answer
// depends on which loads come first, and evaluation order is part of the
// language's meaning. The reference is the code that libpcap 1.10 makes
// without its optimizer, run by libpcap's interpreter: lowering evaluates the
// same loads on the same ways, and the passes keep that. (libpcap's own
// optimizer does not: it drops loads whose value it does not need, and one
// filter in eight changes its answer on some truncated packet.)
//
// Machines differ on the same program: the kernel computes the address X + k
// modulo 2^32 where libpcap's interpreter faults, reads its metadata at large
// constant addresses, and takes a shift by X modulo 32 where libpcap gives 0.
// Lowering emits a comparison where a filter could reach such a place, so that
// its programs answer the same on both.
//
// # What is as in libpcap, though it may surprise
//
//   - "and" and "or" have the same precedence and associate to the left.
//   - "vlan" and the other encapsulations change the meaning of all text after
//     them, also behind "or", "not" and closing parentheses: "vlan or ip" looks
//     for IP behind a VLAN tag that need not be there.
//   - tcp[…], udp[…] and their like look at IPv4 only, at whole packets and
//     first fragments. "port" looks at IPv6 as well, but only if TCP, UDP or
//     SCTP follows the fixed header; "ip6 proto" looks behind one fragment
//     header and no other.
//   - The right operand of an operator is not tested for its header:
//     "1 + tcp[13] = 3" looks at the packets of all protocols.
//   - Arithmetic wraps to 32 bits, so tcp[-4] is the end of the IP header.
//   - "ip multicast" begins at 224.0.0.0 and has no end.
//   - On PPP an EtherType without a PPP number is looked for as a PPP number;
//     Linux cooked captures v2 have no 802.2 protocols.
//   - Inside Geneve behind an MPLS label nothing is found, because the label is
//     looked for before the start of the packet.
//   - A live "vlan" takes the headers to be behind a tag in the bytes also where
//     the packet has no tag at all.
//   - BSD loopback captures (NULL) are taken to be of a little-endian machine.
//     In a capture the IPv6 address families of all BSDs count, live only
//     Linux's, as if libpcap read a file and an interface.
//
// # What is different from libpcap, on purpose
//
//   - No scratch memory is read before it was written. libpcap does so after
//     "geneve or …" and "not geneve and …" on packets that are not Geneve (here
//     the unknown offsets are 0), and live after "vlan and geneve" and "vlan
//     and pppoes". Live filters that have arithmetic before "vlan" use one word
//     of scratch memory for two things in libpcap, which then looks in the
//     wrong place.
//   - Live "inbound", "outbound" and "ifindex" ask for what they say also behind
//     "pppoes" and "geneve", where libpcap asks for other metadata.
//   - "byte N & V" and "byte N | V" are refused: libpcap never loads the byte.
//   - Division by ip[0] is allowed: libpcap takes the index for the divisor.
//   - A filter that rejects everything is a program, with RejectsAll set, not
//     an error.
//   - Names are not looked up in the DNS unless asked for ([DNSNames]).
//
// # What is not there yet
//
// It is refused with "not supported yet" and its name: the other link types,
// 802.11 (and its address fields), "llc", ATM, SS7 and pf log primitives,
// "protochain", "gateway", DECnet addresses.
package filter
