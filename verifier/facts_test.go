package verifier_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// TestFactsWhereWaysMeet says that what is known where ways meet holds on both,
// whichever is followed first: on the one R0, and then the stack slot at R10-8,
// is the address of a value, on the other what a lookup has found.
func TestFactsWhereWaysMeet(t *testing.T) {
	maps := []abi.MapSpec{{Name: "m0", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1}}
	const address = "r0 = map[m0][0]+0"
	for _, ways := range [][2]string{{"r0 = r7", address}, {address, "r0 = r7"}} {
		prog, err := ebpf.Assemble(`
			.map m0 type array key 4 value 8 entries 1
			r6 = *(u32 *)(r1 +0)
			*(u32 *)(r10 -12) = r6
			r2 = r10
			r2 += -12
			r1 = map[m0]
			call bpf_map_lookup_elem
			r7 = r0
			if r6 == 0 goto second
			` + ways[0] + `
			goto join
		second:	` + ways[1] + `
		join:	*(u64 *)(r10 -8) = r0
			r1 = *(u64 *)(r10 -8)
			if r0 == 0 goto out
			if r1 == 0 goto out
			r0 = *(u64 *)(r1 +0)
		out:	r0 = 0
			exit`)
		if err != nil {
			t.Fatal(err)
		}
		proof, report := verifier.Verify(&verifier.Program{Type: abi.SchedCLS, Insns: prog, Maps: maps}, verifier.Options{Facts: true})
		if report != nil {
			t.Fatal(report)
		}
		const store, load = 13, 14
		facts := proof.Facts(load)
		spilled := facts.Stack[0]
		if got := proof.Facts(store).Registers[0].String(); got != "value of m0 or NULL" {
			t.Errorf("%q: R0 is %s", ways, got)
		}
		if got := spilled.Value.String(); spilled.Offset != -8 || got != "value of m0 or NULL" {
			t.Errorf("%q: R10%+d is %s", ways, spilled.Offset, got)
		}
	}
}
