package verifier

import (
	"encoding/binary"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// FuzzAnalyse analyses any valid program, and checks what holds for all.
func FuzzAnalyse(f *testing.F) {
	for _, test := range livenessTable {
		f.Add(ebpf.Append(nil, programOf(f, test.text).Insns, binary.LittleEndian))
	}
	for _, test := range relevanceTable {
		f.Add(ebpf.Append(nil, programOf(f, test.text).Insns, binary.LittleEndian))
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		insns, err := ebpf.Decode(code, binary.LittleEndian)
		if err != nil || ebpf.Validate(insns) != nil {
			return
		}
		p := &Program{Type: abi.XDP, Insns: insns, Maps: testMaps, Absent: map[int]string{1: "f", -1: "", len(insns): ""}}
		a, failed := analyse(p)
		if failed != nil {
			return
		}
		some, most := a.relevant(p), a.relevant(p)
		for i, ins := range insns {
			if isBranch(ins) || a.effects[i].matters {
				most.learn(int32(i))
			}
		}
		for i := range insns {
			if some.regs[i]&^most.regs[i] != 0 || some.slots[i]&^most.slots[i] != 0 {
				t.Fatalf("at %d less matters if more branches do\n%s", i, listing(p))
			}
			if most.regs[i]&^a.liveRegs[i] != 0 || most.slots[i]&^a.liveSlots[i] != 0 {
				t.Fatalf("at %d what matters is dead\n%s", i, listing(p))
			}
			if isCall(insns[i]) {
				a.duringCall(i)
			}
		}
		for _, b := range a.blocks {
			if b.loop != 0 && !hasCheckpoint(a, b.loop) {
				t.Fatalf("a cycle without checkpoint\n%s", listing(p))
			}
		}
	})
}

func hasCheckpoint(a *analysis, loop int32) bool {
	for i, n := range a.loop {
		if n == loop && a.checkpoint[i] {
			return true
		}
	}
	return false
}
