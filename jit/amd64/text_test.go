package amd64_test

import (
	"fmt"
	"testing"

	. "github.com/bpflab/bpflab/jit/amd64"
)

// Jumps, addresses and bytes that are no instruction.
func ExampleText() {
	var a Assembler
	reject, table := a.NewLabel(), a.NewLabel()
	a.ALUMemImm(Cmp, W16, At(RDI, 12), 8)
	a.Jcc(CondNE, reject)
	a.MovRI(RAX, 1)
	a.Ret()
	a.Bind(reject)
	a.LeaLabel(RAX, table)
	a.Ret()
	a.Bind(table)
	code, _ := a.Finish()
	bytes := append(code.Bytes, 0x06, 0x48)
	for _, line := range Text(bytes) {
		fmt.Printf("%2x: %x %s\n", line.Offset, bytes[line.Offset:line.Offset+line.Size], line.Text)
	}
	// Output:
	//  0: 66837f0c08 cmp word ptr [rdi+0xc], 0x8
	//  5: 7506 jne 0xd
	//  7: b801000000 mov eax, 0x1
	//  c: c3 ret
	//  d: 488d0501000000 lea rax, [rip+0x1] # 0x15
	// 14: c3 ret
	// 15: 06 .byte 0x06
	// 16: 48 .byte 0x48
}

// TestTextOfOthers reads instructions that other compilers' code has, as the
// kernel's, and the assembler has no methods for.
func TestTextOfOthers(t *testing.T) {
	for code, want := range map[string]string{
		"\x90":                                 "nop",
		"\x66\x90":                             "nop",
		"\x0f\x1f\x40\x00":                     "nop dword ptr [rax]",
		"\x66\x0f\x1f\x84\x00\x00\x00\x00\x00": "nop word ptr [rax+rax]",
		"\x41\x0f\x4d\xc0":                     "cmovge eax, r8d",
		"\x40\x0f\x97\xc7":                     "seta dil",
		"\x49\x97":                             "xchg r15, rax",
		"\x41\xff\xe3":                         "jmp r11",
		"\x41\x11\x0c\x24":                     "adc dword ptr [r12], ecx",
		"\x0f\x38\xf1\x03":                     "movbe dword ptr [rbx], eax",
		"\x0f\x0b":                             "ud2",
		"\x0f\xae\xf0":                         "mfence",
		"\xf3\x90":                             "pause",
	} {
		if got := Text([]byte(code)); len(got) != 1 || got[0] != (Line{0, len(code), want}) {
			t.Errorf("%x: %v, want %s", code, got, want)
		}
	}
}

// FuzzText: any bytes give lines that cover them.
func FuzzText(f *testing.F) {
	for _, row := range rows {
		var a Assembler
		row.write(&a)
		code, _ := a.Finish()
		f.Add(code.Bytes)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		offset := 0
		for _, line := range Text(code) {
			if line.Offset != offset || line.Size < 1 || line.Text == "" {
				t.Fatalf("%+v at %d of %x", line, offset, code)
			}
			offset += line.Size
		}
		if offset != len(code) {
			t.Fatalf("%d of %d bytes", offset, len(code))
		}
	})
}
