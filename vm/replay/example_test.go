package replay_test

import (
	"fmt"
	"log"
	"os"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/replay"
)

// A filter against another one's translation for XDP: they disagree about the
// first packet that only one of them matches.
func ExampleCompare() {
	compiled := func(text string) *filter.Program {
		p, err := filter.Compile(text, filter.Options{LinkType: cbpf.LinkEthernet})
		if err != nil {
			log.Fatal(err)
		}
		return p
	}
	classic, err := vm.NewClassic(compiled("udp port 53").Insns, vm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	lifted, err := lift.Lift(compiled("udp dst port 53").Insns, lift.Options{Hook: abi.HookXDP, Access: lift.Direct})
	if err != nil {
		log.Fatal(err)
	}
	xdp, err := vm.New(lifted.Type, lifted.Insns, vm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer xdp.Close()

	file, err := os.Open("../../testdata/captures/mixed.pcap")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	r, err := capture.NewReader(file)
	if err != nil {
		log.Fatal(err)
	}
	const pass = 2 // XDP_PASS
	difference, err := replay.Compare(r, replay.AlwaysSides(
		replay.Side{Engine: classic, Verdict: replay.NonZero},
		replay.Side{Engine: xdp, Verdict: replay.Equals(pass)},
	), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(difference)
	// Output:
	// packet 5: engines cbpf and interp disagree about the verdict: cbpf returned 262144, interp returned 1
}
