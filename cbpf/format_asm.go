package cbpf

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/net/bpf"
)

// writeAsm writes the syntax of the kernel's bpf_asm. Labels are L and the
// index of the instruction that they stand before.
func writeAsm(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error) {
	targets, err := jumpTargets(prog)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for i, ins := range prog {
		text, err := asmText(ins, i)
		if err != nil {
			return nil, err
		}
		if targets[i] {
			fmt.Fprintf(&b, "L%d:", i)
		}
		fmt.Fprintf(&b, "\t%s%s\n", text, o.beside(i, "\t; ", ""))
	}
	return b.Bytes(), nil
}

// jumpTargets marks the instructions that need a label. The target of a
// conditional jump needs none where it is the next instruction and the text
// leaves it out.
func jumpTargets(prog []bpf.RawInstruction) ([]bool, error) {
	targets := make([]bool, len(prog))
	mark := func(from int, distance uint32) error {
		to, ok := jumpTarget(from, distance, len(prog))
		if !ok {
			return fmt.Errorf("instruction %d: jump out of the program, which has no text", from)
		}
		targets[to] = true
		return nil
	}
	for i, ins := range prog {
		var err error
		switch {
		case ins.Op == ClassJMP|JA:
			err = mark(i, ins.K)
		case isConditional(ins.Op):
			if ins.Jt != 0 || ins.Jf == 0 || inverse[opcodes[ins.Op&0xff].name] == "" {
				err = mark(i, uint32(ins.Jt))
			}
			if err == nil && ins.Jf != 0 {
				err = mark(i, uint32(ins.Jf))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// inverse has the mnemonics for jumps that are taken if the condition does not
// hold. There is none for jset.
var inverse = map[string]string{"jeq": "jneq", "jgt": "jle", "jge": "jlt"}

// asmText writes an instruction with labels for jump targets.
func asmText(ins bpf.RawInstruction, index int) (string, error) {
	op, ok := lookup(ins.Op)
	if !ok {
		return "", fmt.Errorf("instruction %d: opcode 0x%x has no mnemonic", index, ins.Op)
	}
	label := func(distance uint32) string { return fmt.Sprintf("L%d", uint32(index+1)+distance) }
	operand := asmOperand(op.operand, ins)
	switch {
	case op.operand == opndNone:
		return op.name, nil
	case op.operand == opndLabel:
		return "ja " + label(ins.K), nil
	case !isConditional(ins.Op):
		return op.name + " " + operand, nil
	case ins.Jf == 0:
		return fmt.Sprintf("%s %s, %s", op.name, operand, label(uint32(ins.Jt))), nil
	case ins.Jt == 0 && inverse[op.name] != "":
		return fmt.Sprintf("%s %s, %s", inverse[op.name], operand, label(uint32(ins.Jf))), nil
	}
	return fmt.Sprintf("%s %s, %s, %s", op.name, operand, label(uint32(ins.Jt)), label(uint32(ins.Jf))), nil
}

func asmOperand(kind operand, ins bpf.RawInstruction) string {
	switch kind {
	case opndA:
		return "a"
	case opndLen:
		return "#len"
	case opndAbs:
		if ad, ok := extension(ins); ok && extensionNames[ad/4].asm != "" {
			return "#" + extensionNames[ad/4].asm
		}
	}
	return operandText(kind, ins.K)
}

// An assembler holds what parseAsm has read so far.
type assembler struct {
	*scanner
	prog   []bpf.RawInstruction
	labels map[string]labelDef
	jumps  []jumpRef
}

// A labelDef is where a label stands.
type labelDef struct {
	offset int // in the text
	index  int // of the instruction that follows
}

// A jumpRef is a use of a label.
type jumpRef struct {
	label token
	index int
	kind  byte // 't' and 'f' for the targets of a conditional jump, 'k' for ja
}

// parseAsm reads the syntax of the kernel's bpf_asm.
func parseAsm(data []byte) ([]bpf.RawInstruction, error) {
	a := &assembler{scanner: newScanner(data, ";"), labels: map[string]labelDef{}}
	for a.tok.kind != 0 {
		a.statement()
	}
	for _, j := range a.jumps {
		a.resolve(j)
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.prog, nil
}

// statement reads a label or an instruction.
func (a *assembler) statement() {
	name := a.tok
	if !a.accept('w') {
		a.unexpected("an instruction or a label")
		return
	}
	if a.accept(':') {
		if _, twice := a.labels[name.text]; twice {
			a.fail(name.offset, "label %q is defined twice", shorten(name.text))
		}
		a.labels[name.text] = labelDef{name.offset, len(a.prog)}
		return
	}
	mnemonic := strings.ToLower(name.text)
	if mnemonic == "ja" || mnemonic == "jmp" {
		a.jumpTo('k')
		a.prog = append(a.prog, bpf.RawInstruction{Op: ClassJMP | JA})
		return
	}
	yes, no := byte('t'), byte('f')
	if plain, ok := uninverted(mnemonic); ok {
		name.text, yes, no = plain, 'f', 't'
	}
	ins := a.instruction(name)
	if isConditional(ins.Op) {
		a.expect(',')
		a.jumpTo(yes)
		if a.accept(',') {
			a.jumpTo(no)
		}
	}
	a.prog = append(a.prog, ins)
}

// uninverted returns the mnemonic that one of the inverse jumps is made of.
func uninverted(mnemonic string) (string, bool) {
	if mnemonic == "jne" {
		mnemonic = "jneq"
	}
	for plain, inv := range inverse {
		if inv == mnemonic {
			return plain, true
		}
	}
	return "", false
}

// jumpTo reads a label that the next instruction to be added jumps to.
func (a *assembler) jumpTo(kind byte) {
	if a.tok.kind != 'w' {
		a.unexpected("a label")
		return
	}
	a.jumps = append(a.jumps, jumpRef{a.tok, len(a.prog), kind})
	a.next()
}

// resolve fills in the distance of a jump.
func (a *assembler) resolve(j jumpRef) {
	if a.err != nil {
		return
	}
	label, ok := a.labels[j.label.text]
	if !ok {
		a.fail(j.label.offset, "label %q is not defined", shorten(j.label.text))
		return
	}
	ins, distance := &a.prog[j.index], label.index-j.index-1
	switch {
	case label.index == len(a.prog):
		a.fail(label.offset, "no instruction follows the label %q", shorten(j.label.text))
	case j.kind == 'k':
		ins.K = uint32(distance)
	case distance < 0 || distance > 255:
		a.fail(j.label.offset, "a conditional jump reaches 1 to 256 instructions ahead, %q is at %+d", shorten(j.label.text), distance+1)
	case j.kind == 't':
		ins.Jt = uint8(distance)
	default:
		ins.Jf = uint8(distance)
	}
}
