package ebpf_test

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/bpflab/bpflab/ebpf"
)

func Example() {
	prog, err := ebpf.Assemble(`
		r0 = *(u32 *)(r1 + 0)    // the packet's length
		if r0 > 1500 goto drop
		r0 = 0
		exit
	drop:	r0 = 2
		exit`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("% x\n", ebpf.Append(nil, prog[:2], binary.LittleEndian))
	ebpf.Write(os.Stdout, ebpf.FormatAsm, prog, ebpf.WriteOptions{})
	// Output:
	// 61 10 00 00 00 00 00 00 25 00 02 00 dc 05 00 00
	//    0: (61) r0 = *(u32 *)(r1 +0)
	//    1: (25) if r0 > 0x5dc goto pc+2
	//    2: (b7) r0 = 0
	//    3: (95) exit
	//    4: (b7) r0 = 2
	//    5: (95) exit
}

func ExampleAssemble_error() {
	_, err := ebpf.Assemble("r0 = 0\nr1 &= 0xffffff00\nexit")
	fmt.Println(err)
	// Output:
	// line 2, column 7: the immediate must lie in -2147483648 to 2147483647 because it is sign-extended to 64 bits; load it into a register ("r1 = … ll") instead
}
