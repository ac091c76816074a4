// Package abi holds what Linux fixes about running eBPF programs beyond the
// instruction set: program types, the contexts that programs receive, the
// prototypes of helper functions, the hooks of the network stack and the
// meaning of what a program returns there. It is tables and no behaviour; the
// translator, the verifier, the machine and the kernel loader all read the
// same ones, so that a field or a helper is described once.
//
// A program starts with R1 pointing to its context. The context a program
// sees is not a kernel structure but a stable picture of one: the kernel
// rewrites every access to a field of struct __sk_buff or struct xdp_md into
// the access to the real structure behind it. That is why a context has rules
// that memory has not: which fields may be read or written depends on the
// program type, most may be read in parts but only written whole, and some
// loads give pointers ([Packet], [PacketEnd]) although the field is 32 bits
// wide. The rules here are those of the *_is_valid_access functions in
// net/core/filter.c of Linux 6.12, for programs loaded with CAP_BPF.
//
// Files: progtype.go, context.go (the types and the one access rule),
// skbuff.go, xdpmd.go, flowkeys.go and sock.go (the fields), helper.go,
// helper_number.go and helper_table.go, hook.go, verdict.go, mapkind.go.
package abi
