package kernel_test

import (
	"fmt"
	"log"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm/engine"
)

// What the running kernel says of a packet, without any privilege.
func ExampleNewClassic() {
	p, err := filter.Compile("udp", filter.Options{LinkType: cbpf.LinkEthernet, SnapLen: 40})
	if err != nil {
		log.Fatal(err)
	}
	e, err := kernel.NewClassic(p.Insns)
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
		fmt.Println(r.Return, "bytes kept")
	}
	// Output:
	// 0 bytes kept
	// 40 bytes kept
}
