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

// TestNop: n bytes, in no more instructions than needed.
func TestNop(t *testing.T) {
	for n := range 50 {
		var a Assembler
		a.Nop(n)
		code, err := a.Finish()
		if err != nil {
			t.Fatal(err)
		}
		lines := Text(code.Bytes)
		if len(code.Bytes) != n || len(lines) != (n+8)/9 {
			t.Errorf("%d bytes: %v", n, lines)
		}
		for _, line := range lines {
			if line.Text[:3] != "nop" {
				t.Errorf("%d bytes: %v", n, line)
			}
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
