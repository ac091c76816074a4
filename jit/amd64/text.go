package amd64

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// A Line is one instruction of machine code.
type Line struct {
	Offset, Size int    // its bytes
	Text         string // in Intel syntax, as "mov eax, dword ptr [rbx+0x4]"
}

// Target returns the offset that a jump goes to, or that an address relative to
// the next instruction means.
func (l Line) Target() (offset int, ok bool) {
	_, operand, found := strings.Cut(l.Text, " # ")
	if !found && strings.HasPrefix(l.Text, "j") {
		_, operand, _ = strings.Cut(l.Text, " ")
	}
	n, err := strconv.ParseInt(operand, 0, 64)
	return int(n), err == nil
}

// Text disassembles code. The targets of jumps are offsets into it. A byte that
// begins no instruction becomes a line of its own, as ".byte 0x06".
func Text(code []byte) []Line {
	var lines []Line
	for offset := 0; offset < len(code); {
		size, text := instruction(code[offset:], offset)
		lines = append(lines, Line{offset, size, text})
		offset += size
	}
	return lines
}

// instruction returns the size and the text of the instruction that code begins
// with; it is the one at offset.
func instruction(code []byte, offset int) (int, string) {
	inst, err := x86asm.Decode(code, 64)
	if err != nil || inst.Op == 0 || inst.Len == 0 {
		return 1, fmt.Sprintf(".byte 0x%02x", code[0])
	}
	for i, arg := range inst.Args {
		if m, ok := arg.(x86asm.Mem); ok {
			m.Disp = int64(int32(m.Disp)) // behind a SIB byte it comes without its sign
			inst.Args[i] = m
		}
	}
	text := x86asm.IntelSyntax(inst, uint64(offset), nil)
	return inst.Len, intelNames(inst, text) + target(inst, offset)
}

// intelNames brings text, in the dialect of Intel's XED, to that of Intel's
// manuals and of assemblers, where conditions are named as they are here.
func intelNames(inst x86asm.Inst, text string) string {
	text = strings.TrimPrefix(text, "data16 ") // already in the names of operands
	mnemonic, operands, found := strings.Cut(text, " ")
	name := strings.ToLower(inst.Op.String())
	switch {
	case name == "nop": // its operand is not read
		operands, _, _ = strings.Cut(operands, ",")
	case name == "lea":
		operands = strings.Replace(operands, " ptr ", " ", 1)
	case name[0] == 'j', strings.HasPrefix(name, "cmov"), strings.HasPrefix(name, "set"):
		mnemonic = name
	}
	if !found {
		return mnemonic
	}
	return mnemonic + " " + strings.Replace(operands, "[]", "[0x0]", 1)
}

// target says in a comment what an operand relative to the next instruction
// refers to.
func target(inst x86asm.Inst, offset int) string {
	for _, arg := range inst.Args {
		if m, ok := arg.(x86asm.Mem); ok && m.Base == x86asm.RIP {
			return fmt.Sprintf(" # %#x", int64(offset+inst.Len)+m.Disp)
		}
	}
	return ""
}
