// Package lift translates classic BPF programs to eBPF.
//
// The kernel does the same whenever a classic filter is attached, but only for
// sockets, instruction by instruction, and inside. Here the result is an
// ordinary eBPF program that can be read, verified, interpreted, compiled and
// loaded, for any hook of the network stack, and it is the program that one
// would write by hand: `tcp port 80` for XDP is 20 classic instructions, 140
// in the kernel's translation and about 40 here.
//
// # The two machines
//
// The classic machine has an accumulator A and an index register X of 32 bits,
// sixteen words of scratch memory, loads from the packet that swap to host
// order and end the program with 0 if the bytes are not there, and jumps that
// only go forward. All of that has a place in eBPF: A is R0, X another
// register, scratch memory the stack; 32-bit instructions ("w0 += 1") wrap and
// mask shifts as classic ones do in the kernel, and 32-bit jumps compare
// without sign. What is left are the two things that eBPF does differently.
//
// The return value. "ret #262144" would be a nonsensical verdict for XDP. What
// a match and no match return belongs to the hook ([Returns]); a match is any
// value but 0. Division by a zero X, an access out of bounds and "ret #0" are
// all no match.
//
// The packet. There are three ways to it ([Access]), and not every hook has
// every one. The legacy loads (Abs) are what classic loads became. Packet
// pointers (Direct) are the fastest, but the verifier wants to see that every
// byte is there before it is read. Copying to the stack (LoadBytes) needs no
// proof and reaches every part of a packet, at the price of a call; one call
// copies all that is sure to be wanted.
//
// # How it is done
//
// The files, in the order in which a program passes through them:
//
//   - lift.go: the package's face.
//   - insn.go, extensions.go: classic instructions without their encodings; a
//     SKF_AD_ extension is a context field or a helper call, if the hook has it.
//   - blocks.go: basic blocks. As jumps go forward there are no cycles, and
//     every analysis below is a single pass.
//   - prune.go, liveness.go: what cannot matter goes.
//   - needs.go: how long a packet must be, at each point, to match at all. A
//     load that fails means no match, so does a program that gets where it
//     will fail. Hence one check, or one copy, may stand for all the loads that
//     every match has to pass from there on, and never changes a verdict.
//   - ranges.go: how large X can be; `ldxb 4*([14]&0xf)` gives 60 at most, so
//     that no sum with it can wrap.
//   - order.go: values that are only compared with constants stay in network
//     order, and the constants are swapped instead.
//   - layout.go: the order of blocks in the program.
//   - translate.go: from instructions to slots; access_abs.go,
//     access_direct.go and access_loadbytes.go the packet loads, with flow.go
//     for what their checks have shown; emit.go fills in the jumps.
//
// # What is exact and what is not
//
// The verdict is that of the classic program in the running kernel, as
// [cbpf.Machine] has it, with these limits:
//
//   - Direct access reaches the linear part of a packet, and of that the first
//     65535 bytes (65280 where X is in the address): the verifier follows
//     pointers no further.
//   - An offset that a program computes ("ld [x + k]") as 2^31 or more counts
//     from a header in the kernel. Abs does that too where the hook's value
//     for no match is 0; elsewhere such a load does not match. At constant
//     offsets SKF_NET_OFF and SKF_LL_OFF work wherever the hook knows the
//     header: in XDP packets start with the link-layer header, and the network
//     header is not known.
//   - `len` is the length on the wire from a struct __sk_buff, and the length
//     of the buffer in XDP, which has no other. There it takes the difference
//     of two pointers, which the kernel allows to loaders with CAP_PERFMON.
//   - Abs in tc compares with the packet's length first, because a legacy load
//     that fails returns 0, which is TC_ACT_OK there. The kernel has all bytes
//     that the length counts; in a capture that cut its packets short they may
//     be missing all the same, and the program then returns 0.
//   - `queue` in XDP is the receive queue's number, while in an sk_buff that
//     came from a queue the kernel stores the number plus one.
//
// The programs need Linux 5.1 for its 32-bit jumps, 5.18 for LoadBytes in XDP,
// and 6.6 if they are longer than 32767 slots, as only programs of thousands of
// classic instructions become.
package lift
