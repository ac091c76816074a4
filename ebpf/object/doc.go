// Package object reads the ELF objects that clang makes of eBPF programs in C:
// programs, maps, global variables, and the lines of source behind each
// instruction.
//
// # What is in an object
//
// An object is a relocatable file, as for any processor. Each program is a
// function in a section of its own whose name says what it is for, "xdp" or
// "tc/ingress"; the loader learns the program type from it. The section
// ".text" holds functions that programs call; a program as the kernel takes it
// is one list of instructions, and so they are linked in behind each program
// that needs them. "license" holds the license, which decides about some
// helper functions.
//
// Maps are variables that are never stored anywhere: the loader creates a map
// for each, and puts a reference to it wherever code takes the variable's
// address. Three forms are in use. In the section ".maps" the BTF (the type
// information) describes the map by types of members; in "maps" a structure
// holds the numbers; iproute2's structure in "maps" has ids by which maps of
// maps, and sections such as "2/7" for slot 7 of the program array with id 2,
// refer to other maps. Global variables are maps, too: all variables of a
// section (.data, .rodata, .bss) are the value of the only element of one
// array, and code reaches them by an address inside of it.
//
// The BTF also names source lines, and marks the instructions that depend on
// the layout of kernel structures. Those are adapted to the kernel that the
// program is for (CO-RE, "compile once, run everywhere").
//
// # What Read makes of it
//
// [Read] does all that can be done without a kernel and gives plain data, from
// which an engine makes maps and runs programs. Reading itself is done by
// github.com/cilium/ebpf, so that what its users load is what is read here.
// What it does only while loading into the kernel is done here a second way:
// references to maps become indices into [Object.Maps], calls between functions
// distances, and relocations are applied. Kernel functions and variables that
// a program asks for stay named in [Program.Refs]: those declared weak are
// absent (their address is 0), for others it is up to the engine. Options of the
// kernel's configuration are variables that are 0 until they are set.
//
// Objects may come from anywhere. What a file could ask for in time and memory
// is bounded before the library sees it (limits.go), and an error names what is
// wrong.
//
// # Where to read on
//
// object.go has the types, read.go the way through. programs.go, resolve.go and
// core.go make the instructions, maps.go and tailcalls.go the maps; variables.go,
// kconfig.go and values.go find and set variables; link.go puts programs and
// maps together for an engine. limits.go and limits_content.go guard it all,
// with btf.go and symbols.go; adapt.go and adapt_old.go change what the library
// would refuse. error.go has the error.
package object
