package amd64_test

import (
	"encoding/hex"
	"testing"

	. "github.com/bpflab/bpflab/jit/amd64"
)

// rows are instructions, their text as an assembler takes it, and their bytes as
// an assembler of others (LLVM's) makes them.
var rows = []struct {
	write func(a *Assembler)
	text  string
	bytes string
}{
	{func(a *Assembler) { a.MovRR(W64, R15, RAX) }, "mov r15, rax", "4989c7"},
	{func(a *Assembler) { a.MovRI(RAX, 1) }, "mov eax, 1", "b801000000"},
	{func(a *Assembler) { a.MovRI(RAX, ^uint64(0)) }, "mov rax, -1", "48c7c0ffffffff"},
	{func(a *Assembler) { a.MovRI(R9, 1<<40) }, "movabs r9, 1099511627776", "49b90000000000010000"},
	{func(a *Assembler) { a.Zero(R8) }, "xor r8d, r8d", "4531c0"},
	{func(a *Assembler) { a.Load(W8, RAX, At(RSP, 0)) }, "movzx eax, byte ptr [rsp]", "0fb60424"},
	{func(a *Assembler) { a.Load(W16, R10, AtIndex(R14, R13, 12)) }, "movzx r10d, word ptr [r14 + r13 + 12]", "470fb7542e0c"},
	{func(a *Assembler) { a.Store(W8, At(RBP, 0), RSI) }, "mov byte ptr [rbp], sil", "40887500"},
	{func(a *Assembler) { a.Store(W16, At(R13, 128), RDI) }, "mov word ptr [r13 + 128], di", "664189bd80000000"},
	{func(a *Assembler) { a.LoadBE(W16, RCX, At(RDX, 2)) }, "movbe cx, word ptr [rdx + 2]", "660f38f04a02"},
	{func(a *Assembler) { a.ALUMemImm(Cmp, W16, At(RBX, 12), 8) }, "cmp word ptr [rbx + 12], 8", "66837b0c08"},
	{func(a *Assembler) { a.ALUImm(Add, W64, RDX, 128) }, "add rdx, 128", "4881c280000000"},
	{func(a *Assembler) { a.Shlx(W64, RAX, R9, RCX) }, "shlx rax, r9, rcx", "c4c2f1f7c1"},
	{func(a *Assembler) { a.Mulx(W64, R8, RAX, RSI) }, "mulx r8, rax, rsi", "c462fbf6c6"},
	{func(a *Assembler) { a.Xadd(W32, At(R12, 0), R11) }, "lock xadd dword ptr [r12], r11d", "f0450fc11c24"},
	{func(a *Assembler) { a.Setcc(CondA, RDI) }, "seta dil", "400f97c7"},
}

func TestRows(t *testing.T) {
	for _, row := range rows {
		var a Assembler
		row.write(&a)
		code, err := a.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(code.Bytes); got != row.bytes {
			t.Errorf("%s: %s, want %s", row.text, got, row.bytes)
		}
	}
}
