package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
)

var order = binary.LittleEndian

func encode(program []ebpf.Instruction) []byte { return ebpf.Append(nil, program, order) }

// suiteText is what the instructions of the suite's assembly, which is ubpf's,
// are in ours, by mnemonic: "add %r0, 5" is "r0 += 5". {1r} is the first
// operand as a 64-bit register, {1w} as a 32-bit one, v and x a register of
// either width or a number, n a number, l one of 64 bits, m an address, t the
// target of a jump.
var suiteText = makeSuiteText()

func makeSuiteText() map[string]string {
	t := map[string]string{
		"lddw": "{1r} = {2l} ll", "neg": "{1r} = -{1r}", "neg32": "{1w} = -{1w}",
		"movsx832": "{1w} = (s8){2w}", "movsx1632": "{1w} = (s16){2w}",
		"movsx864": "{1r} = (s8){2r}", "movsx1664": "{1r} = (s16){2r}", "movsx3264": "{1r} = (s32){2r}",
		"ja": "goto {1t}", "ja32": "gotol {1t}", "exit": "exit",
		"call": "call {1n}", "call helper": "call {1n}", "call local": "call {1t}", "call %": "callx {1r}",
	}
	for name, op := range map[string]string{
		"mov": "=", "add": "+=", "sub": "-=", "mul": "*=", "div": "/=", "sdiv": "s/=", "mod": "%=", "smod": "s%=",
		"or": "|=", "and": "&=", "xor": "^=", "lsh": "<<=", "rsh": ">>=", "arsh": "s>>=",
	} {
		t[name], t[name+"32"] = "{1r} "+op+" {2v}", "{1w} "+op+" {2x}"
	}
	for name, op := range map[string]string{
		"jeq": "==", "jne": "!=", "jgt": ">", "jge": ">=", "jlt": "<", "jle": "<=", "jset": "&",
		"jsgt": "s>", "jsge": "s>=", "jslt": "s<", "jsle": "s<=",
	} {
		t[name], t[name+"32"] = "if {1r} "+op+" {2v} goto {3t}", "if {1w} "+op+" {2x} goto {3t}"
	}
	for name, bits := range map[string]string{"b": "8", "h": "16", "w": "32", "dw": "64"} {
		t["ldx"+name], t["ldxs"+name] = "{1r} = *(u"+bits+" *){2m}", "{1r} = *(s"+bits+" *){2m}"
		t["st"+name], t["stx"+name] = "*(u"+bits+" *){1m} = {2n}", "*(u"+bits+" *){1m} = {2r}"
	}
	for _, bits := range []string{"16", "32", "64"} {
		t["le"+bits], t["be"+bits] = "{1r} = le"+bits+" {1r}", "{1r} = be"+bits+" {1r}"
		t["swap"+bits] = "{1r} = bswap" + bits + " {1r}"
		t["bswap"+bits] = t["swap"+bits]
	}
	addAtomics(t, "", "64", "r")
	addAtomics(t, "32", "", "w")
	return t
}

// addAtomics adds the atomic operations of one width: the suffix of the suite's
// names, that of ours, and the letter of registers.
func addAtomics(t map[string]string, suffix, bits, letter string) {
	pointer := map[string]string{"64": "u64", "": "u32"}[bits]
	src, at := "{2"+letter+"}", "("+pointer+" *){1m}"
	for name, op := range map[string]string{"add": "+=", "or": "|=", "and": "&=", "xor": "^="} {
		t["lock "+name+suffix] = "lock *" + at + " " + op + " " + src
		t["lock fetch "+name+suffix] = src + " = atomic" + bits + "_fetch_" + name + "(" + at + ", " + src + ")"
	}
	t["lock xchg"+suffix] = src + " = atomic" + bits + "_xchg(" + at + ", " + src + ")"
	t["lock cmpxchg"+suffix] = letter + "0 = atomic" + bits + "_cmpxchg(" + at + ", " + letter + "0, " + src + ")"
}

// assembleSuite assembles the suite's text.
func assembleSuite(text string) ([]ebpf.Instruction, error) {
	var b strings.Builder
	exits := 0
	for line := range strings.Lines(text) {
		words := strings.Fields(strings.ReplaceAll(line, ",", " "))
		if len(words) == 0 {
			continue
		}
		if label, ok := strings.CutSuffix(words[0], ":"); ok {
			fmt.Fprintf(&b, "to_%s:\n", label)
			continue
		}
		if words[0] == "exit" { // the first one is a label, too
			if exits++; exits == 1 {
				b.WriteString("to_exit:\n")
			}
		}
		rewritten, err := rewriteSuite(words)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
		fmt.Fprintln(&b, rewritten)
	}
	if b.Len() == 0 {
		return nil, errors.New("no instructions")
	}
	return ebpf.Assemble(b.String())
}

var placeholder = regexp.MustCompile(`\{(\d)(\w)\}`)

// rewriteSuite rewrites one instruction. The longest run of words that is a
// mnemonic is one; what follows are the operands.
func rewriteSuite(words []string) (string, error) {
	var text string
	var args []string
	for n := min(3, len(words)); n > 0 && text == ""; n-- {
		text, args = suiteText[strings.Join(words[:n], " ")], words[n:]
	}
	if words[0] == "call" && len(args) > 0 && strings.HasPrefix(args[0], "%") {
		text = suiteText["call %"]
	}
	if text == "" {
		return "", errors.New("no such instruction")
	}
	wanted := 0
	var failed error
	text = placeholder.ReplaceAllStringFunc(text, func(p string) string {
		i := int(p[1] - '0')
		if wanted = max(wanted, i); i > len(args) {
			return p
		}
		operand, err := rewriteOperand(args[i-1], p[2])
		failed = errors.Join(failed, err)
		return operand
	})
	if len(args) != wanted {
		return "", fmt.Errorf("%d operands, not %d", len(args), wanted)
	}
	return text, failed
}

var address = regexp.MustCompile(`^\[%(r\d+)([-+]\w+)?\]$`)

func rewriteOperand(arg string, as byte) (string, error) {
	register, isRegister := strings.CutPrefix(arg, "%r")
	switch {
	case (as == 'r' || as == 'v') && isRegister:
		return "r" + register, nil
	case (as == 'w' || as == 'x') && isRegister:
		return "w" + register, nil
	case as == 'v' || as == 'x' || as == 'n':
		// A number is the 32 bits of the field, in hexadecimal without a sign.
		if v, err := strconv.ParseUint(arg, 0, 32); err == nil && strings.HasPrefix(arg, "0x") {
			return strconv.Itoa(int(int32(v))), nil
		}
		v, err := strconv.ParseInt(arg, 10, 32)
		return strconv.FormatInt(v, 10), err
	case as == 'l':
		return arg, nil
	case as == 't' && strings.ContainsAny(arg[:1], "+-"):
		return "pc" + arg, nil
	case as == 't':
		return "to_" + arg, nil
	case as == 'm':
		if m := address.FindStringSubmatch(arg); m != nil {
			return "(" + m[1] + " " + m[2] + ")", nil
		}
	}
	return "", fmt.Errorf("operand %s", arg)
}
