package ebpf

import (
	"bytes"
	"fmt"
	"strings"
)

// writeGo writes an expression of the type of this package, as gofmt has it
// but for the alignment of the comments.
func writeGo(prog []Instruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("[]ebpf.Instruction{\n")
	for i, text := range Disassemble(prog) {
		ins := prog[i]
		fmt.Fprintf(&b, "\t{Op: 0x%02x, Dst: %d, Src: %d, Off: %d, Imm: %d},", uint8(ins.Op), ins.Dst, ins.Src, ins.Off, ins.Imm)
		if comment := text + o.beside(i, "; ", ""); comment != "" {
			b.WriteString(" // " + comment)
		}
		b.WriteByte('\n')
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

// inComment keeps a text from ending a C comment, or seeming to begin another.
var inComment = strings.NewReplacer("*/", "* /", "/*", "/ *")

// writeC writes an array of the type of <linux/bpf.h>. The fields are named,
// because the order of the two register fields depends on the byte order.
func writeC(prog []Instruction, o WriteOptions) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("struct bpf_insn program[] = {\n")
	for i, text := range Disassemble(prog) {
		ins := prog[i]
		fmt.Fprintf(&b, "\t{ .code = 0x%02x, .dst_reg = %d, .src_reg = %d, .off = %d, .imm = %s },",
			uint8(ins.Op), ins.Dst, ins.Src, ins.Off, cInt(ins.Imm))
		if comment := text + o.beside(i, "; ", ""); comment != "" {
			b.WriteString(" /* " + inComment.Replace(comment) + " */")
		}
		b.WriteByte('\n')
	}
	b.WriteString("};\n")
	return b.Bytes(), nil
}

// cInt writes a number as C reads it: -2147483648 would be the negation of
// what does not fit an int.
func cInt(v int32) string {
	if v == -1<<31 {
		return "-2147483647 - 1"
	}
	return fmt.Sprint(v)
}
