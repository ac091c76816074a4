package vm_test

import (
	"fmt"
	"log"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// An XDP program that drops packets shorter than an Ethernet header and marks
// the others by setting their first byte.
func ExampleNew() {
	prog, err := ebpf.Assemble(`
		r2 = *(u32 *)(r1 + 0)   ; data
		r3 = *(u32 *)(r1 + 4)   ; data_end
		r0 = 1                  ; XDP_DROP
		r4 = r2
		r4 += 14
		if r4 > r3 goto end
		*(u8 *)(r2 + 0) = 0x02
		r0 = 2                  ; XDP_PASS
	end:	exit`)
	if err != nil {
		log.Fatal(err)
	}
	m, err := vm.New(abi.XDP, prog, vm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	in := []engine.Packet{{Data: make([]byte, 10)}, {Data: make([]byte, 60)}}
	out := make([]engine.Result, len(in))
	if err := m.Run(in, out); err != nil {
		log.Fatal(err)
	}
	for _, r := range out {
		fmt.Println(abi.HookXDP.VerdictName(r.Return), r.Executed, "instructions, first byte", r.Data[0])
	}
	// Output:
	// XDP_DROP 7 instructions, first byte 0
	// XDP_PASS 9 instructions, first byte 2
}

// A program without the bounds check is stopped where it goes wrong.
func ExampleFault() {
	prog, err := ebpf.Assemble(`
		r2 = *(u32 *)(r1 + 0)
		r0 = *(u16 *)(r2 + 12)
		exit`)
	if err != nil {
		log.Fatal(err)
	}
	m, err := vm.New(abi.XDP, prog, vm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	out := make([]engine.Result, 1)
	if err := m.Run([]engine.Packet{{Data: make([]byte, 10)}}, out); err != nil {
		log.Fatal(err)
	}
	fmt.Println(out[0].Fault)
	// Output:
	// instruction 1 (r0 = *(u16 *)(r2 +12)): load of 2 bytes at 0x5010c (r2+12): 2 bytes behind the packet [0x50100, 0x5010a)
}

// A program that is proved runs without checks. The machine takes it from the
// proof.
func ExampleLoadProved() {
	prog, err := ebpf.Assemble(`
		r2 = *(u32 *)(r1 + 0)   ; data
		r3 = *(u32 *)(r1 + 4)   ; data_end
		r0 = 1                  ; XDP_DROP
		r4 = r2
		r4 += 14
		if r4 > r3 goto end
		*(u8 *)(r2 + 0) = 0x02
		r0 = 2                  ; XDP_PASS
	end:	exit`)
	if err != nil {
		log.Fatal(err)
	}
	proof, report := verifier.Verify(&verifier.Program{Type: abi.XDP, Insns: prog}, verifier.Options{})
	if report != nil {
		log.Fatalf("%+v", report)
	}
	m, err := vm.LoadProved(vm.Options{}, proof)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	in := []engine.Packet{{Data: make([]byte, 10)}, {Data: make([]byte, 60)}}
	out := make([]engine.Result, len(in))
	if err := m.Run(in, out); err != nil {
		log.Fatal(err)
	}
	for _, r := range out {
		fmt.Println(abi.HookXDP.VerdictName(r.Return), len(r.Data))
	}
	// Output:
	// XDP_DROP 10
	// XDP_PASS 60
}
