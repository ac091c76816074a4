package amd64_test

import (
	"encoding/hex"
	"testing"

	. "github.com/bpflab/bpflab/jit/amd64"
)

// rows are instructions, their text, and the bytes that LLVM's assembler makes
// of the text.
var rows = []struct {
	write func(a *Assembler)
	text  string
	bytes string
}{
	// Mov and its kin: each operand needs a bit of REX from R8 on.
	{func(a *Assembler) { a.MovRR(W64, R15, RAX) }, "mov r15, rax", "4989c7"},
	{func(a *Assembler) { a.MovRR(W64, RAX, R15) }, "mov rax, r15", "4c89f8"},
	{func(a *Assembler) { a.MovRR(W32, RDX, RBX) }, "mov edx, ebx", "89da"},
	{func(a *Assembler) { a.MovRR(W16, R8, RCX) }, "mov r8w, cx", "664189c8"},
	{func(a *Assembler) { a.MovRR(W8, RSI, RDX) }, "mov sil, dl", "4088d6"},
	{func(a *Assembler) { a.MovRI(RAX, 1) }, "mov eax, 0x1", "b801000000"},
	{func(a *Assembler) { a.MovRI(R9, 1<<31) }, "mov r9d, -0x80000000", "41b900000080"},
	{func(a *Assembler) { a.MovRI(RDI, ^uint64(0)) }, "mov rdi, -0x1", "48c7c7ffffffff"},
	{func(a *Assembler) { a.MovRI(R12, 1<<40) }, "mov r12, 0x10000000000", "49bc0000000000010000"},
	{func(a *Assembler) { a.Zero(R8) }, "xor r8d, r8d", "4531c0"},
	{func(a *Assembler) { a.MovZX(W8, RAX, RCX) }, "movzx eax, cl", "0fb6c1"},
	{func(a *Assembler) { a.MovZX(W8, RAX, RDI) }, "movzx eax, dil", "400fb6c7"},
	{func(a *Assembler) { a.MovZX(W16, R11, RSP) }, "movzx r11d, sp", "440fb7dc"},
	{func(a *Assembler) { a.MovZX(W32, RCX, RCX) }, "mov ecx, ecx", "89c9"},
	{func(a *Assembler) { a.MovSX(W8, W64, RBP, RBP) }, "movsx rbp, bpl", "480fbeed"},
	{func(a *Assembler) { a.MovSX(W16, W32, RBX, R10) }, "movsx ebx, r10w", "410fbfda"},
	{func(a *Assembler) { a.MovSX(W32, W64, RSI, RSI) }, "movsxd rsi, esi", "4863f6"},

	// Memory: RSP and R12 need a SIB byte, RBP and R13 a displacement.
	{func(a *Assembler) { a.Load(W64, RAX, At(RBX, 0)) }, "mov rax, qword ptr [rbx]", "488b03"},
	{func(a *Assembler) { a.Load(W64, RAX, At(RSP, 0)) }, "mov rax, qword ptr [rsp]", "488b0424"},
	{func(a *Assembler) { a.Load(W64, RAX, At(R12, 8)) }, "mov rax, qword ptr [r12+0x8]", "498b442408"},
	{func(a *Assembler) { a.Load(W64, RAX, At(RBP, 0)) }, "mov rax, qword ptr [rbp]", "488b4500"},
	{func(a *Assembler) { a.Load(W64, RAX, At(R13, 0)) }, "mov rax, qword ptr [r13]", "498b4500"},
	{func(a *Assembler) { a.Load(W32, R8, At(RCX, 127)) }, "mov r8d, dword ptr [rcx+0x7f]", "448b417f"},
	{func(a *Assembler) { a.Load(W32, R8, At(RCX, 128)) }, "mov r8d, dword ptr [rcx+0x80]", "448b8180000000"},
	{func(a *Assembler) { a.Load(W32, R8, At(RCX, -128)) }, "mov r8d, dword ptr [rcx-0x80]", "448b4180"},
	{func(a *Assembler) { a.Load(W32, R8, At(RCX, -129)) }, "mov r8d, dword ptr [rcx-0x81]", "448b817fffffff"},
	{func(a *Assembler) { a.Load(W16, R10, AtIndex(R14, R13, 12)) }, "movzx r10d, word ptr [r14+r13+0xc]", "470fb7542e0c"},
	{func(a *Assembler) { a.Load(W8, RAX, AtIndex(R13, RAX, 0)) }, "movzx eax, byte ptr [r13+rax]", "410fb6440500"},
	{func(a *Assembler) { a.Load(W64, RDX, Mem{R15, R12, 8, -8}) }, "mov rdx, qword ptr [r15+8*r12-0x8]", "4b8b54e7f8"},
	{func(a *Assembler) { a.Load(W64, RDX, Mem{NoReg, RCX, 4, 0}) }, "mov rdx, qword ptr [4*rcx]", "488b148d00000000"},
	{func(a *Assembler) { a.Load(W64, RDX, Mem{NoReg, NoReg, 0, 0x1000}) }, "mov rdx, qword ptr [0x1000]", "488b142500100000"},
	{func(a *Assembler) { a.LoadSX(W8, W32, RAX, At(RSI, 0)) }, "movsx eax, byte ptr [rsi]", "0fbe06"},
	{func(a *Assembler) { a.LoadSX(W16, W64, R9, At(RSI, 0)) }, "movsx r9, word ptr [rsi]", "4c0fbf0e"},
	{func(a *Assembler) { a.LoadSX(W32, W64, RAX, At(R8, 4)) }, "movsxd rax, dword ptr [r8+0x4]", "49634004"},
	{func(a *Assembler) { a.Store(W8, At(RBP, 0), RSI) }, "mov byte ptr [rbp], sil", "40887500"},
	{func(a *Assembler) { a.Store(W8, At(RBP, 0), RDX) }, "mov byte ptr [rbp], dl", "885500"},
	{func(a *Assembler) { a.Store(W16, At(R13, 128), RDI) }, "mov word ptr [r13+0x80], di", "664189bd80000000"},
	{func(a *Assembler) { a.Store(W32, AtIndex(RAX, R9, 1), R9) }, "mov dword ptr [rax+r9+0x1], r9d", "46894c0801"},
	{func(a *Assembler) { a.Store(W64, At(RSP, 16), R8) }, "mov qword ptr [rsp+0x10], r8", "4c89442410"},
	{func(a *Assembler) { a.StoreImm(W8, At(RDI, 0), 200) }, "mov byte ptr [rdi], 0xc8", "c607c8"},
	{func(a *Assembler) { a.StoreImm(W16, At(RDI, 0), -2) }, "mov word ptr [rdi], -0x2", "66c707feff"},
	{func(a *Assembler) { a.StoreImm(W16, At(RDI, 0), 0xfffe) }, "mov word ptr [rdi], -0x2", "66c707feff"},
	{func(a *Assembler) { a.StoreImm(W32, At(R9, 4), 1) }, "mov dword ptr [r9+0x4], 0x1", "41c7410401000000"},
	{func(a *Assembler) { a.StoreImm(W64, At(RAX, 0), -1) }, "mov qword ptr [rax], -0x1", "48c700ffffffff"},
	{func(a *Assembler) { a.LoadBE(W16, RCX, At(RDX, 2)) }, "movbe cx, word ptr [rdx+0x2]", "660f38f04a02"},
	{func(a *Assembler) { a.LoadBE(W32, R8, AtIndex(R14, RBX, 26)) }, "movbe r8d, dword ptr [r14+rbx+0x1a]", "450f38f0441e1a"},
	{func(a *Assembler) { a.LoadBE(W64, RAX, At(R12, 0)) }, "movbe rax, qword ptr [r12]", "490f38f00424"},
	{func(a *Assembler) { a.Lea(W64, RAX, Mem{RBX, RCX, 8, 100}) }, "lea rax, [rbx+8*rcx+0x64]", "488d44cb64"},
	{func(a *Assembler) { a.Lea(W32, R9, At(R10, -1)) }, "lea r9d, [r10-0x1]", "458d4aff"},

	// Arithmetic: one opcode pattern, a digit for the operation, imm8 where it fits.
	{func(a *Assembler) { a.ALU(Add, W64, RAX, R8) }, "add rax, r8", "4c01c0"},
	{func(a *Assembler) { a.ALU(Xor, W32, R8, RAX) }, "xor r8d, eax", "4131c0"},
	{func(a *Assembler) { a.ALU(Sbb, W8, RCX, RSI) }, "sbb cl, sil", "4018f1"},
	{func(a *Assembler) { a.ALU(Cmp, W16, RAX, RBX) }, "cmp ax, bx", "6639d8"},
	{func(a *Assembler) { a.ALUImm(Add, W64, RDX, 127) }, "add rdx, 0x7f", "4883c27f"},
	{func(a *Assembler) { a.ALUImm(Add, W64, RDX, 128) }, "add rdx, 0x80", "4881c280000000"},
	{func(a *Assembler) { a.ALUImm(Add, W64, RAX, 128) }, "add rax, 0x80", "480580000000"},
	{func(a *Assembler) { a.ALUImm(Sub, W32, R15, -128) }, "sub r15d, -0x80", "4183ef80"},
	{func(a *Assembler) { a.ALUImm(And, W32, RBX, 0xff00) }, "and ebx, 0xff00", "81e300ff0000"},
	{func(a *Assembler) { a.ALUImm(Cmp, W16, RCX, 0xfffe) }, "cmp cx, -0x2", "6683f9fe"},
	{func(a *Assembler) { a.ALUImm(Cmp, W8, RAX, 6) }, "cmp al, 0x6", "3c06"},
	{func(a *Assembler) { a.ALUImm(Cmp, W8, RSI, 255) }, "cmp sil, 0xff", "4080feff"},
	{func(a *Assembler) { a.ALULoad(Or, W64, R9, At(RSP, 8)) }, "or r9, qword ptr [rsp+0x8]", "4c0b4c2408"},
	{func(a *Assembler) { a.ALULoad(Cmp, W8, RDI, At(RAX, 0)) }, "cmp dil, byte ptr [rax]", "403a38"},
	{func(a *Assembler) { a.ALUMemImm(Cmp, W8, At(RBX, 23), 17) }, "cmp byte ptr [rbx+0x17], 0x11", "807b1711"},
	{func(a *Assembler) { a.ALUMemImm(Cmp, W16, At(RBX, 12), 8) }, "cmp word ptr [rbx+0xc], 0x8", "66837b0c08"},
	{func(a *Assembler) { a.ALUMemImm(Cmp, W16, AtIndex(R14, R13, 12), 0xdd86) }, "cmp word ptr [r14+r13+0xc], -0x227a", "6643817c2e0c86dd"},
	{func(a *Assembler) { a.ALUMemImm(Cmp, W32, At(R8, 26), 0x0100007f) }, "cmp dword ptr [r8+0x1a], 0x100007f", "4181781a7f000001"},
	{func(a *Assembler) { a.ALUMemImm(Sub, W64, At(R15, 0), 1) }, "sub qword ptr [r15], 0x1", "49832f01"},
	{func(a *Assembler) { a.TestRR(W64, RAX, RAX) }, "test rax, rax", "4885c0"},
	{func(a *Assembler) { a.TestRR(W32, R9, RBX) }, "test r9d, ebx", "4185d9"},
	{func(a *Assembler) { a.TestRI(W64, RAX, 1) }, "test al, 0x1", "a801"},
	{func(a *Assembler) { a.TestRI(W32, RSI, 0x40) }, "test sil, 0x40", "40f6c640"},
	{func(a *Assembler) { a.TestRI(W32, RCX, 0x80) }, "test ecx, 0x80", "f7c180000000"},
	{func(a *Assembler) { a.TestRI(W64, R8, 0x1fff) }, "test r8d, 0x1fff", "41f7c0ff1f0000"},
	{func(a *Assembler) { a.TestRI(W64, R8, -2) }, "test r8, -0x2", "49f7c0feffffff"},
	{func(a *Assembler) { a.TestMI(W8, At(RBX, 20), 0x1f) }, "test byte ptr [rbx+0x14], 0x1f", "f643141f"},
	{func(a *Assembler) { a.TestMI(W16, At(RBX, 20), 0xff1f) }, "test word ptr [rbx+0x14], -0xe1", "66f743141fff"},
	{func(a *Assembler) { a.Neg(W32, RAX) }, "neg eax", "f7d8"},
	{func(a *Assembler) { a.Neg(W64, R11) }, "neg r11", "49f7db"},
	{func(a *Assembler) { a.Not(W64, RCX) }, "not rcx", "48f7d1"},

	// Shifts: by one, by an immediate, by CL, by any register.
	{func(a *Assembler) { a.Shift(Shl, W32, RAX) }, "shl eax, cl", "d3e0"},
	{func(a *Assembler) { a.Shift(Sar, W64, R9) }, "sar r9, cl", "49d3f9"},
	{func(a *Assembler) { a.ShiftImm(Shr, W64, RAX, 1) }, "shr rax, 0x1", "48d1e8"},
	{func(a *Assembler) { a.ShiftImm(Shl, W32, R8, 3) }, "shl r8d, 0x3", "41c1e003"},
	{func(a *Assembler) { a.ShiftImm(Ror, W16, RAX, 8) }, "ror ax, 0x8", "66c1c808"},
	{func(a *Assembler) { a.ShiftImm(Rol, W16, RDI, 8) }, "rol di, 0x8", "66c1c708"},
	{func(a *Assembler) { a.Shlx(W64, RAX, R9, RCX) }, "shlx rax, r9, rcx", "c4c2f1f7c1"},
	{func(a *Assembler) { a.Shrx(W32, R8, RAX, R15) }, "shrx r8d, eax, r15d", "c46203f7c0"},
	{func(a *Assembler) { a.Sarx(W64, RDI, RSI, RAX) }, "sarx rdi, rsi, rax", "c4e2faf7fe"},
	{func(a *Assembler) { a.Bswap(W32, RCX) }, "bswap ecx", "0fc9"},
	{func(a *Assembler) { a.Bswap(W64, R13) }, "bswap r13", "490fcd"},

	// Products and quotients.
	{func(a *Assembler) { a.Imul(W64, RAX, R8) }, "imul rax, r8", "490fafc0"},
	{func(a *Assembler) { a.Imul(W32, R8, RAX) }, "imul r8d, eax", "440fafc0"},
	{func(a *Assembler) { a.ImulImm(W64, RAX, RBX, 10) }, "imul rax, rbx, 0xa", "486bc30a"},
	{func(a *Assembler) { a.ImulImm(W32, R9, R9, 1000) }, "imul r9d, r9d, 0x3e8", "4569c9e8030000"},
	{func(a *Assembler) { a.Mul(W64, R8) }, "mul r8", "49f7e0"},
	{func(a *Assembler) { a.Div(W32, RCX) }, "div ecx", "f7f1"},
	{func(a *Assembler) { a.Div(W64, R10) }, "div r10", "49f7f2"},
	{func(a *Assembler) { a.Idiv(W64, RBX) }, "idiv rbx", "48f7fb"},
	{func(a *Assembler) { a.Cdq(W32) }, "cdq", "99"},
	{func(a *Assembler) { a.Cdq(W64) }, "cqo", "4899"},

	// Atomics.
	{func(a *Assembler) { a.Xadd(W32, At(R12, 0), R11) }, "lock xadd dword ptr [r12], r11d", "f0450fc11c24"},
	{func(a *Assembler) { a.Xadd(W64, At(RAX, 0), RAX) }, "lock xadd qword ptr [rax], rax", "f0480fc100"},
	{func(a *Assembler) { a.Xchg(W64, AtIndex(R15, RBX, 8), RCX) }, "xchg qword ptr [r15+rbx+0x8], rcx", "49874c1f08"},
	{func(a *Assembler) { a.Cmpxchg(W64, At(RDI, 0), R9) }, "lock cmpxchg qword ptr [rdi], r9", "f04c0fb10f"},
	{func(a *Assembler) { a.LockALU(Add, W64, At(R13, 0), RAX) }, "lock add qword ptr [r13], rax", "f049014500"},
	{func(a *Assembler) { a.LockALU(Xor, W16, At(RBX, 2), R8) }, "lock xor word ptr [rbx+0x2], r8w", "66f044314302"},

	// Ways out.
	{func(a *Assembler) { a.JmpMem(Mem{R15, RAX, 8, 64}) }, "jmp qword ptr [r15+8*rax+0x40]", "41ff64c740"},
	{func(a *Assembler) { a.Ret() }, "ret", "c3"},
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
		if got := Text(code.Bytes); len(got) != 1 || got[0] != (Line{0, len(code.Bytes), row.text}) {
			t.Errorf("%s reads as %v", row.text, got)
		}
	}
}
