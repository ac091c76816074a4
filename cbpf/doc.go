// Package cbpf holds classic BPF, the machine that packet filters have been
// written for since 1993: its instructions, the rules that Linux has for
// programs, a machine that runs them, and readers and writers for all the forms
// in which people keep them.
//
// Programs are []bpf.RawInstruction of golang.org/x/net/bpf, the type that Go
// programs attach to sockets.
//
// # The machine
//
// A program looks at one packet and returns a number: how many bytes of the
// packet to keep. Returning 0 drops the packet, and filters return something
// large (libpcap's is 262144) to keep all of it.
//
// There are two registers of 32 bits: A, the accumulator, which loads and
// arithmetic work on, and X, the index register. Sixteen words of scratch
// memory, M[0] to M[15], hold what does not fit. A and X are 0 at the start;
// scratch memory holds nothing, and a program that could read a word before it
// wrote it is not valid. All arithmetic is unsigned and wraps.
//
// An instruction is 64 bits: an opcode of 16 bits, two jump distances Jt and Jf
// of 8 bits, and a constant K of 32 bits. The lowest three bits of the opcode
// are its class:
//
//	ld    A = what the addressing mode says
//	ldx   X = the same, with fewer modes
//	st    M[k] = A
//	stx   M[k] = X
//	alu   A = A op K, or A op X: add sub mul div mod and or xor lsh rsh; neg
//	jmp   ja, always; jeq, jgt, jge, jset compare A with K or X
//	ret   return K or A
//	misc  tax: X = A; txa: A = X
//
// Loads address in these modes, as the assembler writes them:
//
//	ld #5              the constant K
//	ld [12]            4 bytes of the packet at offset 12; ldh 2 bytes, ldb 1 byte
//	ld [x + 12]        the same at offset X + 12
//	ld M[3]            scratch memory
//	ld #len            the length that the packet had on the wire
//	ldxb 4*([14]&0xf)  4 times the low half of a byte: the length of an IPv4 header
//
// Bytes of the packet are in network byte order. A load that is not wholly
// inside the packet ends the program with 0, and so does a division by an X
// that is 0: a filter needs no bounds checks, it just does not match packets
// that are too short.
//
// Jumps only go forward: ja by K instructions, the others by Jt if the
// condition holds and by Jf if not, both counted from the next instruction. So
// every program ends, after at most as many instructions as it has.
//
// A filter for IPv4 over TCP on Ethernet, as tcpdump -d prints it ("ip and
// tcp"; the numbers behind jt and jf are the indices jumped to):
//
//	(000) ldh      [12]
//	(001) jeq      #0x800           jt 2	jf 5
//	(002) ldb      [23]
//	(003) jeq      #0x6             jt 4	jf 5
//	(004) ret      #262144
//	(005) ret      #0
//
// # What Linux adds
//
// Offsets are signed to Linux, and negative ones mean something else. From
// [NetOff] on they count from the network header, from [LLOff] on from the
// link-layer header, whatever the packet's data begins with. Absolute loads
// from [AdOff] on are extensions: they do not read the packet but what the
// kernel knows of it (the interface, the VLAN tag that the hardware took out),
// or compute something (the offset of the payload, a netlink attribute, a
// random number). Constants beginning with Ad name them, and [Metadata] holds
// what they read. A load of any size does.
//
// Linux checks a program when it is attached. [Check] applies its rules and
// says which one a program breaks, and where.
//
// # Where machines differ
//
// Three machines are in wide use, and there are valid programs on which they
// disagree. [Machine] is always with the Linux kernel; the others are libpcap's
// bpf_filter, which tcpdump uses on capture files, and golang.org/x/net/bpf's VM:
//
//	                           Linux       libpcap       x/net/bpf
//	shift by X of 32 or more   X modulo 32 gives 0       gives 0
//	X+k beyond 32 bits         wraps       ends with 0   ends with 0
//	offsets below 0            see above   ends with 0   ends with 0
//	extensions                 yes         ends with 0   refused, but for len
//	constant shift above 31    refused     runs          runs
//	M[k] read before written   refused     0             0
//	neg                        yes         yes           error
//	ldx #len                   yes         yes           ignored
//	jump backwards             refused     runs forever  refused
//	unknown opcode, not run    refused     runs          runs
//
// A packet in a capture file may be cut, so that less of it is there than was
// on the wire. Loads see only what is there, "ld #len" reads the wire length.
//
// # Formats
//
// [Parse] and [Write] know the forms that tcpdump (-d, -dd, -ddd), the kernel's
// bpf_asm and iptables use, C and Go source, struct sock_filter as bytes in both
// byte orders, JSON, and drawings for Graphviz; [ParseAny] finds out which one it
// is given. JSON is an array with one object an instruction,
//
//	{"code":40,"jt":0,"jf":0,"k":12,"text":"ldh [12]","comment":"EtherType"}
//
// of which "text" and "comment" may be left out, and so may jt, jf and k if
// they are 0.
//
// Numbers are read in decimal, in hexadecimal with 0x, in octal with 0 and in
// binary with 0b. Where K stands it may be negative.
package cbpf
