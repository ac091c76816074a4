package verifier_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// randomLoop makes a program whose callback reads and changes three numbers on
// the caller's stack, and uses them as indexes, as the caller does afterwards.
func randomLoop(g *rand.Rand) string {
	var b strings.Builder
	b.WriteString("r9 = r1\nr1 = *(u32 *)(r9 +0)\n")
	for i := range 3 {
		fmt.Fprintf(&b, "r2 = %d\n*(u64 *)(r10 -%d) = r2\n", g.IntN(4), 8*(i+1))
	}
	switch n := g.IntN(12); {
	case n > 8:
		b.WriteString("r1 &= 7\n")
	default:
		fmt.Fprintf(&b, "r1 = %d\n", n)
	}
	b.WriteString("r2 = subprog[f]\nr3 = r10\nr3 += -24\nr4 = 0\ncall bpf_loop\nr7 = r10\nr7 += -24\n")
	randomUse(&b, g, "end")
	b.WriteString("end: r0 = 0\nexit\nf: r7 = r2\n")
	for i := range 1 + g.IntN(6) {
		randomUse(&b, g, fmt.Sprint("skip", i))
		fmt.Fprintf(&b, "skip%d: r3 = r3\n", i)
	}
	fmt.Fprintf(&b, "r0 = 0\nr3 = *(u64 *)(r7 +%d)\nif r3 != %d goto back\nr0 = 1\nback: exit\n", 8*g.IntN(3), g.IntN(5))
	return strings.Replace(b.String(), "f: r7", "f: r3 = 0\nr7", 1)
}

// randomUse does something with the numbers at R7, or goes to a label.
func randomUse(b *strings.Builder, g *rand.Rand, label string) {
	x, y := 8*g.IntN(3), 8*g.IntN(3)
	fmt.Fprintf(b, "r3 = *(u64 *)(r7 +%d)\n", x)
	switch g.IntN(5) {
	case 0:
		fmt.Fprintf(b, "r3 += %d\n*(u64 *)(r7 +%d) = r3\n", g.IntN(4), y)
	case 1:
		fmt.Fprintf(b, "if r3 > %d goto %s\nr3 += 1\n*(u64 *)(r7 +%d) = r3\n", g.IntN(20), label, y)
	case 2:
		fmt.Fprintf(b, "r4 = map[fd:2][0]+0\nr4 += r3\nr5 = *(u8 *)(r4 +%d)\n", g.IntN(12))
	case 3:
		fmt.Fprintf(b, "if r3 > %d goto %s\nr4 = map[fd:2][0]+0\nr4 += r3\nr5 = *(u8 *)(r4 +0)\n", g.IntN(20), label)
	case 4:
		fmt.Fprintf(b, "r3 &= %d\n*(u64 *)(r7 +%d) = r3\n", g.IntN(8), y)
	}
}

// TestRandomLoops runs the accepted ones of random programs with bpf_loop: no
// round may fault, whatever the rounds before have done.
func TestRandomLoops(t *testing.T) {
	g := rand.New(rand.NewPCG(4, 1))
	accepted := 0
	for range 1000 {
		c := callCase{name: "random", text: randomLoop(g)}
		p := c.program(t)
		_, r := verifier.Verify(p, verifier.Options{})
		if r != nil {
			continue
		}
		accepted++
		runLoop(t, p)
	}
	if accepted < 200 {
		t.Errorf("only %d of 1000 programs were accepted", accepted)
	}
}

func runLoop(t *testing.T, p *verifier.Program) {
	machine, err := vm.Load(vm.Collection{Programs: []vm.Program{{Name: "p", Type: abi.SchedCLS, Insns: p.Insns}}, Maps: testMaps[:mapConst]}, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	var in []engine.Packet
	for n := range 8 {
		in = append(in, engine.Packet{Data: make([]byte, 64+n), WireLen: uint32(64 + n)})
	}
	out := make([]engine.Result, len(in))
	if err := machine.Run(in, out); err != nil {
		t.Fatal(err)
	}
	for _, r := range out {
		if r.Fault != nil {
			t.Fatalf("%v", r.Fault)
		}
	}
}
