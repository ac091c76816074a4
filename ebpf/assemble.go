package ebpf

import (
	"fmt"
	"strings"
)

// Assemble makes a program of text in the style of the kernel's verifier log,
// one instruction a line, as [Disassemble] writes it:
//
//	        r6 = r1
//	        r0 = *(u16 *)skb[12]        ; EtherType
//	        if r0 != 0x800 goto drop
//	        r0 = 0xffff
//	        exit
//	drop:   r0 = 0
//	        exit
//
// Targets of jumps and calls are labels or distances in slots ("pc+2", "+2").
// Maps are named if a line above declares them ([MapDeclaration]).
// Comments start with ";", "//" or "#". Numbers are decimal or, after 0x,
// hexadecimal. Blanks are free; what clang's assembler writes differently from
// the kernel ("*(u32 *)(r1 + 4)", w registers for 32-bit loads,
// "call 1") is understood too, and so are lines pasted
// from a verifier log or bpftool, with their "7: (b7)" in front.
//
// Every instruction is valid by itself, but the program need not be whole, so
// that fragments can be assembled: a jump may leave it. [Validate] tells. The
// error is a [*SyntaxError].
func Assemble(text string) ([]Instruction, error) {
	unit, err := AssembleUnit(text)
	if err != nil {
		return nil, err
	}
	return unit.Insns, nil
}

// AssembleUnit is [Assemble] for who wants the declarations of maps, too.
func AssembleUnit(text string) (*Unit, error) {
	a := assembler{labels: map[string]int{}, mapIndex: map[string]int{}}
	line := 0
	for l := range strings.Lines(text) {
		line++
		a.scanner = scanner{text: strings.TrimRight(l, "\r\n"), line: line}
		if err := a.statement(); err != nil {
			return nil, err
		}
	}
	for _, f := range a.fixups {
		if err := a.resolve(f); err != nil {
			return nil, err
		}
	}
	return &Unit{Insns: a.prog, Maps: a.maps}, nil
}

// An assembler collects the program; its scanner stands in the current line.
type assembler struct {
	scanner
	prog     []Instruction
	labels   map[string]int
	fixups   []fixup
	maps     []MapDeclaration
	mapIndex map[string]int // by name
	code     int            // the opcode that the line claims in front, or -1
}

// A fixup is a use of a label, to be filled in when all labels are known.
type fixup struct {
	scanner
	index int
	name  string
}

// statement assembles one line: labels, then at most one instruction.
func (a *assembler) statement() error {
	if err := a.logPrefix(); err != nil {
		return err
	}
	if a.take(".map") {
		return a.declaration()
	}
	for {
		if a.end() {
			return nil
		}
		start := a.scanner
		name := a.word()
		if name == "" || !a.take(":") {
			a.scanner = start
			break
		}
		if err := a.define(name, start); err != nil {
			return err
		}
	}
	index, at := len(a.prog), a.pos
	if err := a.instruction(); err != nil {
		return err
	}
	if !a.end() {
		return a.expected("the end of the line")
	}
	if err := validateAt(a.prog, index); err != nil {
		return a.fail(at, "%s", err.Msg)
	}
	if a.code >= 0 && Opcode(a.code) != a.prog[index].Op {
		return a.fail(at, "the line says opcode 0x%02x, but the text means 0x%02x", a.code, uint8(a.prog[index].Op))
	}
	return nil
}

// logPrefix skips the "7: (b7)" of a line from a verifier log. The opcode is
// kept: it tells "r1 = 0x5" for a 64-bit immediate from the same text for a
// 32-bit one, and guards against misreading.
func (a *assembler) logPrefix() error {
	a.code = -1
	start := a.scanner
	if _, ok, err := a.number(); err != nil || !ok || !a.take(":") {
		a.scanner = start
		return nil
	}
	if !a.take("(") {
		return nil
	}
	at := a.pos
	hex := a.word()
	if _, err := fmt.Sscanf(hex, "%02x", &a.code); err != nil || len(hex) != 2 || !a.take(")") {
		return a.fail(at, "expected an opcode of two hexadecimal digits in parentheses")
	}
	return nil
}

// define gives the label the index of the next instruction.
func (a *assembler) define(name string, at scanner) error {
	at.blanks()
	if !isLabel(name) {
		return a.fail(at.pos, "%q cannot be a label", shorten(name))
	}
	if _, taken := a.labels[name]; taken {
		return a.fail(at.pos, "label %q is defined twice", shorten(name))
	}
	a.labels[name] = len(a.prog)
	return nil
}

// isLabel reports whether the word is free to name a place: it does not start
// with a digit and is neither a register nor pc.
func isLabel(w string) bool {
	s := scanner{text: w}
	_, register := s.register()
	return w != "" && (w[0] < '0' || w[0] > '9') && !register && w != "pc"
}

func (a *assembler) emit(ins ...Instruction) { a.prog = append(a.prog, ins...) }

// instruction assembles one instruction by its first word.
func (a *assembler) instruction() error {
	switch {
	case a.take("exit"):
		a.emit(Return())
		return nil
	case a.take("goto"):
		return a.jump(Instruction{Op: ClassJMP | Ja})
	case a.take("gotol"):
		return a.jump(Instruction{Op: ClassJMP32 | Ja})
	case a.take("may_goto"):
		return a.jump(Instruction{Op: ClassJMP | Jcond})
	case a.take("if"):
		return a.branch()
	case a.take("call"):
		return a.call()
	case a.take("callx"):
		target, err := a.needRegister(false)
		a.emit(Instruction{Op: CallX, Dst: target.reg})
		return err
	case a.take("lock"):
		return a.locked()
	case a.take("store_release"):
		return a.storeRelease()
	}
	if a.take("*") {
		return a.store()
	}
	if dst, ok := a.register(); ok {
		return a.assignment(dst)
	}
	return a.expected("an instruction")
}

// jump takes the target of a jump and emits it.
func (a *assembler) jump(ins Instruction) error {
	if a.take("pc") || a.signNext() {
		bits := 32
		if ins.shortDistance() {
			bits = 16
		}
		v, err := a.needNumber("a distance", bits)
		if err != nil {
			return err
		}
		ins.setDistance(v)
		a.emit(ins)
		return nil
	}
	return a.reference(ins)
}

// reference takes a label and emits the instruction that uses it.
func (a *assembler) reference(ins Instruction) error {
	start := a.scanner
	start.blanks()
	name := a.word()
	if !isLabel(name) {
		a.scanner = start
		return a.expected("a label or a distance such as pc+2")
	}
	a.fixups = append(a.fixups, fixup{scanner: start, index: len(a.prog), name: name})
	a.emit(ins)
	return nil
}

// resolve fills in the distance to a label.
func (a *assembler) resolve(f fixup) error {
	target, ok := a.labels[f.name]
	if !ok {
		return f.fail(f.pos, "no label %q", shorten(f.name))
	}
	distance := int64(target - f.index - 1)
	ins := &a.prog[f.index]
	if ins.shortDistance() && distance != int64(int16(distance)) {
		return f.fail(f.pos, "label %q is %d slots away, more than 16 bits can say (gotol can)", shorten(f.name), distance)
	}
	ins.setDistance(distance)
	return nil
}

func (ins *Instruction) setDistance(v int64) {
	if ins.shortDistance() {
		ins.Off = int16(v)
	} else {
		ins.Imm = int32(v)
	}
}

// branch assembles what follows "if".
func (a *assembler) branch() error {
	dst, err := a.needRegister(true)
	if err != nil {
		return err
	}
	op, ok := a.operator(branchText)
	if !ok {
		return a.expected("a comparison (== != > >= < <= & s> s>= s< s<=)")
	}
	class := ClassJMP
	if dst.half {
		class = ClassJMP32
	}
	ins, err := a.right(Instruction{Op: class | op, Dst: dst.reg}, dst, pattern)
	if err != nil {
		return err
	}
	if err := a.need("goto"); err != nil {
		return err
	}
	return a.jump(ins)
}

// operator takes the longest operator of a table.
func (a *assembler) operator(table map[Opcode]string) (Opcode, bool) {
	a.blanks()
	found, length := Opcode(0), 0
	for op, text := range table {
		if len(text) > length && strings.HasPrefix(a.text[a.pos:], text) {
			found, length = op, len(text)
		}
	}
	a.pos += length
	return found, length > 0
}

// right takes the second operand, a register of the same width or an
// immediate. On 32 bits an immediate has no sign extension to go wrong.
func (a *assembler) right(ins Instruction, dst operand, e extent) (Instruction, error) {
	if src, ok := a.register(); ok {
		if src.half != dst.half {
			return ins, a.fail(src.at, "both registers must be of 64 bits (r) or both of 32 bits (w)")
		}
		ins.Op, ins.Src = ins.Op|SourceX, src.reg
		return ins, nil
	}
	if dst.half {
		e = low32
	}
	imm, err := a.needImmediate(e)
	ins.Imm = imm
	return ins, err
}

// call assembles what follows "call": a distance or a label for a function of
// the program, a helper by name or number, a kernel function by BTF id.
func (a *assembler) call() error {
	local := Instruction{Op: ClassJMP | Call, Src: CallLocal}
	if a.take("kernel-function#") {
		return a.kfunc()
	}
	start := a.scanner
	start.blanks()
	if n, ok, err := a.number(); err != nil {
		return err
	} else if ok && a.text[start.pos] != '+' && a.text[start.pos] != '-' {
		imm, err := a.immediate(n, extended)
		a.emit(CallTo(imm))
		return err
	}
	a.scanner = start
	name := a.word()
	number, known := HelperNumber(name)
	if hash := name != "" && a.hashNumber(); known || hash {
		return a.helper(name, number, known, hash, start)
	}
	a.scanner = start
	return a.jump(local)
}

// helper finishes the call of a named helper. The "#N" that may follow has to
// agree with the name; a number without a name is "unknown#N", as the kernel
// writes it. Kernel functions have a name and a number in its log too, so
// other names are not taken for helpers.
func (a *assembler) helper(name string, number int32, known, hash bool, start scanner) error {
	if !hash {
		a.emit(CallTo(number))
		return nil
	}
	v, err := a.needNumber("the number of a helper function", 32)
	if err != nil {
		return err
	}
	is := HelperName(int32(v))
	switch {
	case is != "" && is != name:
		return a.fail(start.pos, "helper %d is %s, not %s", v, is, shorten(name))
	case known && is == "":
		return a.fail(start.pos, "%s is helper %d, not %d", name, number, v)
	case is == "" && name != "unknown":
		return a.fail(start.pos, "no helper %s (a kernel function is written kernel-function#%d)", shorten(name), v)
	}
	a.emit(CallTo(int32(v)))
	return nil
}

// hashNumber takes the "#" of "#1" right after a name. With a blank before it
// or without a number after it, it starts a comment.
func (a *assembler) hashNumber() bool {
	rest, ok := strings.CutPrefix(a.text[a.pos:], "#")
	digits := strings.TrimPrefix(rest, "-")
	if !ok || digits == "" || digits[0] < '0' || digits[0] > '9' {
		return false
	}
	a.pos++
	return true
}

// kfunc takes "123" or "123[1]": the BTF id and the index of the module.
func (a *assembler) kfunc() error {
	id, err := a.needNumber("a BTF id", 32)
	if err != nil {
		return err
	}
	ins := Instruction{Op: ClassJMP | Call, Src: CallKfunc, Imm: int32(id)}
	if a.take("[") {
		module, err := a.needNumber("a module index", 16)
		if err != nil {
			return err
		}
		if err := a.need("]"); err != nil {
			return err
		}
		ins.Off = int16(module)
	}
	a.emit(ins)
	return nil
}
