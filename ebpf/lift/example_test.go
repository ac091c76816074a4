package lift_test

import (
	"log"
	"os"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
)

// What "tcpdump -ddd arp" prints, as an XDP program that drops what it matches.
func ExampleLift() {
	classic, _, err := cbpf.ParseAny([]byte("4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n"))
	if err != nil {
		log.Fatal(err)
	}
	const drop, pass = 1, 2 // XDP_DROP, XDP_PASS
	p, err := lift.Lift(classic, lift.Options{
		Hook:    abi.HookXDP,
		Access:  lift.Direct,
		Returns: &lift.Returns{Match: drop, NoMatch: pass},
	})
	if err != nil {
		log.Fatal(err)
	}
	ebpf.Write(os.Stdout, ebpf.FormatAsm, p.Insns, ebpf.WriteOptions{})
	// Output:
	//    0: (61) r2 = *(u32 *)(r1 +0)
	//    1: (61) r3 = *(u32 *)(r1 +4)
	//    2: (bf) r6 = r2
	//    3: (07) r6 += 14
	//    4: (2d) if r6 > r3 goto pc+4
	//    5: (69) r0 = *(u16 *)(r2 +12)
	//    6: (56) if w0 != 0x608 goto pc+2
	//    7: (b4) w0 = 1
	//    8: (95) exit
	//    9: (b4) w0 = 2
	//   10: (95) exit
}
