package verifier_test

import (
	"fmt"
	"log"
	"os"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// An XDP program that reads the EtherType of every packet, long enough or not,
// and then the same with a check.
func ExampleVerify() {
	const start = `
		r2 = *(u32 *)(r1 + 0)   ; data
		r3 = *(u32 *)(r1 + 4)   ; data_end
		r0 = 2                  ; XDP_PASS
		`
	const check = `
		r4 = r2
		r4 += 14
		if r4 > r3 goto out
		`
	const end = `
		r5 = *(u16 *)(r2 + 12)
		if r5 == 0x0008 goto out
		r0 = 1                  ; XDP_DROP
	out:	exit`

	for _, text := range []string{start + end, start + check + end} {
		prog, err := ebpf.Assemble(text)
		if err != nil {
			log.Fatal(err)
		}
		proof, report := verifier.Verify(&verifier.Program{Type: abi.XDP, Insns: prog}, verifier.Options{Facts: true})
		if report != nil {
			fmt.Println(report)
			continue
		}
		fmt.Println("r2 before the load:", proof.Facts(6).Registers[2])
		proof.WriteListing(os.Stdout, false)
	}
	// Output:
	// V101 at 3: nothing is known to be there: the access needs 14 bytes of the packet from data on
	// r2 before the load: packet, 14 bytes known
	//    0: r2 = *(u32 *)(r1 +0)                r1 = context
	//    1: r3 = *(u32 *)(r1 +4)                r1 = context; r2 = packet
	//    2: r0 = 2                              r3 = data_end
	//    3: r4 = r2                             r0 = 2
	//    4: r4 += 14                            r4 = packet
	//    5: if r4 > r3 goto pc+3 <9>            r4 = packet+14
	//    6: r5 = *(u16 *)(r2 +12)               r2 = packet, 14 bytes known
	//    7: if r5 == 0x8 goto pc+1 <9>          r5 = 0..65535
	//    8: r0 = 1
	//
	// from 5, 7, 8:
	//    9: exit                                r0 = 1..2
}
