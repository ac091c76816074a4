// Package vm is the machine: it runs eBPF programs over packets, in user
// space, on any system, without root.
//
//	m, err := vm.New(abi.XDP, prog, vm.Options{})
//	…
//	defer m.Close()
//	in := []engine.Packet{{Data: frame, WireLen: uint32(len(frame))}}
//	out := make([]engine.Result, len(in))
//	err = m.Run(in, out) // out[0].Return is XDP_PASS, XDP_DROP, …
//
// [New] makes the engine "interp" for an eBPF program, [NewClassic] the engine
// "cbpf" for a classic one. Both answer [engine.Engine]. Package jit makes the
// engine "jit" of such a machine.
//
// [Load] makes a machine of several programs and of maps. Programs refer to maps
// by index; program arrays name programs, which call each other by tail calls:
//
//	m, err := vm.Load(vm.Collection{
//		Programs: []vm.Program{{Name: "main", Type: abi.XDP, Insns: prog}, …},
//		Maps:     []abi.MapSpec{{Name: "counters", Kind: abi.ArrayMap, …}, …},
//	}, vm.Options{})
//	…
//	err = m.Maps().ByName("counters").Lookup(key, value)
//
// [CollectionOf] makes such a collection of an ELF object, as package object
// has read it, and [Assemble] of a text. [LoadProved] takes programs that the
// verifier has proved, and runs them without the checks that the proof spares.
//
// A machine runs one program at a time. [Machine.Share] makes another one for
// the same programs and maps, for another goroutine.
//
// # Memory
//
// A program's addresses are offsets into one [arena.Arena]. The context that
// R1 points to is the kernel's struct __sk_buff or struct xdp_md as user space
// knows it (see package abi), as plain memory; its fields data and data_end
// hold the addresses of the packet, which lies with free space before and
// behind it where an XDP program may move its bounds. Each active function has
// 512 bytes of stack below R10.
//
// Programs of types that trace the system ([abi.ProgType.HasByteContext]) get
// plain memory instead: R1 is the address of a copy of [engine.Packet.Data] and
// R2 its length, and all of it may be read and written. That is also the way to
// run a program that is about no event at all, such as those of conformance
// suites.
//
// The kernel has another structure behind the context and rewrites each access
// to it when it loads a program. Here nothing is rewritten, so the index of an
// instruction means the same everywhere: in a fault, in a trace, in the
// verifier's report.
//
// # Checked mode
//
// The machine runs programs that no verifier has seen. So it checks every
// access as it happens: against the packet, against the stack of the active
// functions, against the values of maps, against the fields of the context that
// the program type may read or write, in the widths in which it may. What a
// program does otherwise ends it with a [*Fault], which names the instruction,
// the register, the address and by how much it missed the nearest memory. An
// instruction budget ends programs that do not end by themselves.
//
// A verifier refuses more than that: it also wants what a program does to make
// sense on every path. Where a program does what a verifier would refuse but no
// memory is touched that is not the program's, the machine goes on, and always
// in the same way: registers and stack that were never written are 0, an
// address is a number that may be computed in any way, a helper leaves R1 to
// R5 as they are. The same program and packets give the same results on every
// run and every machine; random numbers and time come from [Options], and are
// fixed sequences unless these say otherwise.
//
// # Trusted mode
//
// [LoadProved] takes programs that package verifier has proved, and everything
// else that the machine is made of, from the proofs. It leaves out what these
// show to be superfluous: most checks, and branches that no run takes. The
// results are the same as in checked mode, and so is every address.
//
// # Helpers
//
// Helper functions do what the kernel's do, with its error numbers; package abi
// has their prototypes. What they would ask of the system is fixed or given:
// time and random numbers, the routes of [Network], and a system without
// processes and sockets. What they would do to it becomes part of the result:
// where a packet is redirected to, and events for what is printed, cloned or
// sent through ring buffers and perf event arrays. A call of a helper that the
// machine does not have is an error when the program is loaded; users may give
// it helpers of their own ([Helper]).
//
// The struct bpf_flow_keys that a flow dissector has filled is an event, too.
//
// A VLAN tag that a program pushes is kept beside the bytes, as in the kernel,
// and stands in the bytes of the result.
//
// # The interpreter
//
// When a program is loaded, each instruction becomes one op (op.go, decode.go):
// a dense code instead of class, operation and source bits, immediates as 64
// bits, jump targets as indexes. The loop (interp.go) is one switch over these
// codes, which Go compiles to a jump table. Files in reading order: machine.go,
// program.go, object.go, assemble.go, proved.go, share.go, packet.go, context.go,
// context_input.go, flowkeys.go, op.go, decode.go, interp.go, memory.go, values.go
// (maps), rare.go, atomic.go, frames.go, legacy.go, call.go, callback.go,
// trace.go; the helpers: helpers.go (their table), helpers_map.go, adjust.go
// (XDP), skbuff.go, room.go, vlan.go, ecn.go, checksum.go, redirect.go, fib.go,
// tunnel.go, output.go, format.go, strto.go, system.go, lock.go; and fault.go.
// classic.go stands apart.
//
// # Machine code
//
// Registers, frames and budget of a run are one piece of plain memory in the
// arena (state.go). So code that another package has made of a program can run
// in the interpreter's place, and leave to it, or to a helper function in Go,
// what it cannot do itself: [Machine.Native] (native.go) is that package's way
// into the machine, and of no use to others.
//
// All arithmetic is that of a little-endian machine. Hosts of the other kind
// are not supported: New says so.
package vm
