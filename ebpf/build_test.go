package ebpf_test

import (
	"testing"

	. "github.com/bpflab/bpflab/ebpf"
)

// TestConstructors reads what the constructors build as text.
func TestConstructors(t *testing.T) {
	tests := []struct {
		ins  Instruction
		text string
	}{
		{Mov64(R1, R2), "r1 = r2"},
		{Mov64Imm(R1, -5), "r1 = -5"},
		{Mov32(R1, R2), "w1 = w2"},
		{Mov32Imm(R1, 5), "w1 = 5"},
		{ALU64(Sub, R1, R2), "r1 -= r2"},
		{ALU64Imm(Arsh, R1, 5), "r1 s>>= 5"},
		{ALU32(Xor, R1, R2), "w1 ^= w2"},
		{ALU32Imm(Mod, R1, 5), "w1 %= 5"},
		{ToBE(R1, 32), "r1 = be32 r1"},
		{Load(SizeH, R1, R2, 4), "r1 = *(u16 *)(r2 +4)"},
		{Store(SizeB, R1, -4, R2), "*(u8 *)(r1 -4) = r2"},
		{StoreImm(SizeDW, FP, -8, 1), "*(u64 *)(r10 -8) = 1"},
		{LoadAbs(SizeW, 26), "r0 = *(u32 *)skb[26]"},
		{LoadInd(SizeB, R7, 2), "r0 = *(u8 *)skb[r7 + 2]"},
		{LoadImm(R1, 7)[0], "r1 = 0x7 ll"},
		{Jump(3), "goto pc+3"},
		{JumpIf(Jsgt, R1, R2, -3), "if r1 s> r2 goto pc-3"},
		{JumpIfImm(Jset, R1, 16, 3), "if r1 & 0x10 goto pc+3"},
		{JumpIf32(Jle, R1, R2, 3), "if w1 <= w2 goto pc+3"},
		{JumpIf32Imm(Jne, R1, -1, 3), "if w1 != 0xffffffff goto pc+3"},
		{CallTo(26), "call bpf_skb_load_bytes#26"},
		{Return(), "exit"},
		{Instruction{Op: 0xff}, "invalid ff 00 00 00 00 00 00 00"},
	}
	for _, tt := range tests {
		if got := tt.ins.String(); got != tt.text {
			t.Errorf("%q, want %q", got, tt.text)
		}
	}
	wide := LoadImm(R1, 0x123456789abcdef0)
	if got := Disassemble(wide[:])[0]; got != "r1 = 0x123456789abcdef0 ll" {
		t.Errorf("%q", got)
	}
}
