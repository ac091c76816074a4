package jit_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// udp proves the translation of a filter for XDP.
func udp() *verifier.Proof {
	classic, err := filter.Compile("udp", filter.Options{LinkType: cbpf.LinkEthernet})
	if err != nil {
		log.Fatal(err)
	}
	program, err := lift.Lift(classic.Insns, lift.Options{Hook: abi.HookXDP, Access: lift.Direct})
	if err != nil {
		log.Fatal(err)
	}
	proof, report := verifier.Verify(&verifier.Program{Type: program.Type, Insns: program.Insns}, verifier.Options{})
	if report != nil {
		log.Fatalf("%+v", report)
	}
	return proof
}

// A filter as machine code; where there can be none, the interpreter takes the same
// proof and gives the same results.
func ExampleNew() {
	proof := udp()
	var e engine.Engine
	e, err := jit.New(vm.Options{}, proof)
	if errors.Is(err, jit.ErrUnsupported) {
		e, err = vm.LoadProved(vm.Options{}, proof)
	}
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	short := make([]byte, 20)
	datagram := make([]byte, 60)
	datagram[12], datagram[13] = 8, 0 // IPv4
	datagram[23] = 17                 // UDP
	in := []engine.Packet{{Data: short, WireLen: 20}, {Data: datagram, WireLen: 60}}
	out := make([]engine.Result, len(in))
	if err := e.Run(in, out); err != nil {
		log.Fatal(err)
	}
	for _, r := range out {
		fmt.Println(abi.HookXDP.VerdictName(r.Return))
	}
	// Output:
	// XDP_DROP
	// XDP_PASS
}

// The code of a program, on any host.
func ExampleList() {
	prog, err := ebpf.Assemble(`
		r2 = *(u32 *)(r1 + 0)   ; data
		r3 = *(u32 *)(r1 + 4)   ; data_end
		r0 = 2                  ; XDP_PASS
		r4 = r2
		r4 += 14
		if r4 > r3 goto end
		r5 = *(u16 *)(r2 + 12)
		if r5 != 0x0008 goto end
		r0 = 1                  ; XDP_DROP
	end:	exit`)
	if err != nil {
		log.Fatal(err)
	}
	proof, report := verifier.Verify(&verifier.Program{Type: abi.XDP, Insns: prog}, verifier.Options{})
	if report != nil {
		log.Fatalf("%+v", report)
	}
	listing, err := jit.List(vm.Options{}, proof)
	if err != nil {
		log.Fatal(err)
	}
	for _, ins := range listing.Programs[0].Insns {
		if ins.Insn == "exit" {
			break // and the loop over packets around the program
		}
		for _, piece := range ins.Code {
			for _, line := range piece.Lines {
				fmt.Printf("%-28v %s\n", ins.Insn, line.Text)
			}
		}
	}
	// Output:
	// r0 = 2                       mov eax, 0x2
	// if r4 > r3 goto pc+3         cmp edx, 0xe
	// if r4 > r3 goto pc+3         jb 0x35
	// r5 = *(u16 *)(r2 +12)        cmp word ptr [r14+0xc], 0x8
	// r5 = *(u16 *)(r2 +12)        jne 0x35
	// r0 = 1                       mov eax, 0x1
}
