package amd64_test

import (
	"testing"

	. "github.com/bpflab/bpflab/jit/amd64"
)

// filter writes code like that of a packet filter: 200 instructions with a
// branch among five, the farther ones long.
func filter(a *Assembler) {
	accept, reject := a.NewLabel(), a.NewLabel()
	for i := range 40 {
		a.LoadBE(W32, RAX, AtIndex(R14, RBX, int32(4*i)))
		a.ALUImm(And, W32, RAX, 0xff00)
		a.ALUMemImm(Cmp, W16, At(R13, int32(i)), 8)
		a.Lea(W64, RCX, AtIndex(R15, RAX, 14))
		if i%2 == 0 {
			a.Jcc(CondNE, reject)
		} else {
			a.Jcc(CondE, accept)
		}
	}
	a.Bind(accept)
	a.MovRI(RAX, 1)
	a.Ret()
	a.Bind(reject)
	a.Zero(RAX)
	a.Ret()
}

func BenchmarkFilter(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var a Assembler
		filter(&a)
		if _, err := a.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAllocations(t *testing.T) {
	n := testing.AllocsPerRun(10, func() { filter(new(Assembler)) })
	if n > 32 { // slices that double
		t.Errorf("200 instructions cost %v allocations", n)
	}
	var a Assembler
	filter(&a)
	n = testing.AllocsPerRun(10, func() { a.Finish() })
	if n > 3 {
		t.Errorf("Finish costs %v allocations", n)
	}
}
