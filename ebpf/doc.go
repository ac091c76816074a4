// Package ebpf holds the eBPF instruction set: the machine that RFC 9669
// describes and that Linux runs. It reads and writes programs as bytes, as
// text and in other formats, and says what is wrong with them one instruction
// at a time. It runs nothing and knows nothing of the kernel around a program;
// contexts, helpers and hooks are in package abi, running is for the engines.
//
// # The machine
//
// An eBPF program is a function that the kernel calls when something happens:
// a packet arrives, a system call is made. It gets the address of a context
// (what happened) and returns a number (what to do about it). The machine is a
// plain 64-bit one, close enough to real processors that a just-in-time
// compiler turns nearly every instruction into one of theirs.
//
// There are eleven registers of 64 bits:
//
//	r0       the result: of the program, of the functions it calls
//	r1 - r5  the arguments; r1 holds the context at the start.
//	         A call leaves nothing usable in them
//	r6 - r9  kept across calls
//	r10      the frame pointer, read-only: [r10 -512, r10) is the stack
//
// Memory is reached by loads and stores of 1, 2, 4 or 8 bytes at a register
// plus a constant: the stack, the context, packets, values of maps. The
// machine has no protection of its own. Instead, nothing is run before a
// verifier has proved that every path through the program ends and touches
// only what it may.
//
// # Instructions
//
// This program for a traffic-control hook lets packets pass that are IPv6 and
// drops all others:
//
//	        r2 = *(u32 *)(r1 +76)       ; where the packet's bytes start
//	        r3 = *(u32 *)(r1 +80)       ; and end
//	        r0 = 2                      ; TC_ACT_SHOT
//	        r4 = r2
//	        r4 += 14                    ; an Ethernet header
//	        if r4 > r3 goto out         ; is not there: too short
//	        r5 = *(u16 *)(r2 +12)       ; the EtherType, big endian on the wire
//	        r5 = be16 r5
//	        if r5 != 0x86dd goto out
//	        r0 = 0                      ; TC_ACT_OK
//	out:    exit
//
// Arithmetic has two operands, and the first also takes the result:
// "r1 += r2", "r1 <<= 3". The second is a register or a constant of 32 bits.
// Written with r, an operation works on 64 bits and a constant is extended
// with its sign; written with w, on the lower 32, and the upper 32 of the
// result are 0. Division by zero gives 0, the remainder of one leaves the
// first operand, shifts use the low 5 or 6 bits of their distance: nothing
// traps. "s/=", "s%=" and "s>>=" are the signed forms, "r1 = (s8)r2" extends a
// sign, "be16", "le32", "bswap64" and their kin swap bytes.
//
// Jumps go forwards or back by a number of slots, counted from the next
// instruction: "goto pc+3", "if r1 s> r2 goto pc-7", on 64 bits or on 32
// ("if w1 == 0 ..."). The distance has 16 bits, that of "gotol" 32.
// "may_goto" is a conditional jump that the kernel takes when the program has
// looped for too long.
//
// Atomic operations act on 4 or 8 bytes of memory that other processors use
// too: "lock *(u64 *)(r1 +0) += r2", with a result
// "r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)", exchange and
// compare-and-exchange, and loads and stores with ordering.
//
// "call" calls a helper function of the kernel by its number (package abi has
// the prototypes), a function of the program itself ("call pc+12"; it gets a
// stack frame of its own), or a kernel function by its type id. "exit" returns.
//
// Two kinds of instruction are older than the rest. "r0 = *(u16 *)skb[12]" and
// "r0 = *(u16 *)skb[r7 + 2]" are the packet loads of classic BPF: they check
// the bounds themselves, convert from network byte order, end the program with
// 0 if the bytes are not there, want the context in r6 and lose r1 to r5.
//
// "callx r2" calls the function whose address is in a register, which a load of
// a function's address has put there. Compilers make it of calls through
// pointers; RFC 9669 does not have it and no kernel loads it, but other machines
// for eBPF run it, and so does package vm.
//
// # Encoding
//
// An instruction is a slot of 8 bytes, the kernel's struct bpf_insn:
//
//	byte  0       opcode
//	byte  1       destination register (low four bits), source register (high)
//	bytes 2 - 3   offset, signed
//	bytes 4 - 7   immediate, signed
//
// all in the byte order of the machine that runs it; on a big-endian one the
// registers also change places. The low three bits of the opcode are the
// class, which says what the others mean. [Instruction] is the same as a
// structure, and a program is a []Instruction. Fields that an instruction does
// not use are 0. Only one instruction takes two slots: "r1 = 0x123456789 ll",
// whose second slot holds the upper half of the constant. Jumps count slots,
// and so does every index in this project.
//
// # Text
//
// [Disassemble] writes what the Linux verifier prints in its log, so that the
// two can be read side by side; [Assemble] reads it back, with labels in place
// of distances for people. What the kernel's text does not tell is added: "ll"
// behind 64-bit constants (the kernel writes "r1 = 0x5" for these, too), and
// what a 64-bit constant stands for if a loader fills it in:
//
//	r1 = map[fd:5]           the map with that descriptor
//	r1 = map[fd:5][0]+8      byte 8 of its value
//	r1 = map[hits]           a map by the name that a line above declares
//	r1 = map[idx:0]          a map by its place in the loader's list
//	r1 = subprog[+12]        the address of a function of the program
//	r1 = subprog[visit]      likewise, by its label
//	r1 = btf[id:7 fd:0]      the address of a kernel variable
//
// Where maps are called by name, lines such as ".map hits type array key 4 value 8
// entries 256" declare them ([MapDeclaration]).
//
// One habit of the kernel's text needs care: it prints the constants of
// comparisons as 32 bits in hexadecimal. "if r1 == 0xffffffff" compares with
// -1, on 64 bits too. The assembler reads it so; where a decimal number or
// another instruction would be misread in this way, it refuses.
//
// # Where to read on
//
// instruction.go has the names of all fields, build.go makes instructions,
// opcodes.go says which opcodes exist and which fields they use, validate.go has
// the rules, encode.go the bytes, helpers.go the names of helper functions,
// disassemble.go the text, scan.go, assemble.go, operands.go, atomics.go,
// references.go and unit.go the way back, and the format files everything else
// that programs are written as.
package ebpf
